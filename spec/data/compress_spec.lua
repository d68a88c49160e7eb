local compress = require "moonwire.compress"
local core = require "moonwire.core"
local process = require "spec.support.process"
local task = require "moonwire.task"

local KINDS <const> = { "gzip", "deflate", "raw", "brotli" }

local function raised(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert.is_false(ok)
  return problem
end

-- Text that shrinks, but not to nothing.
local function sample(size)
  local words, seed = {}, 42
  while #words * 4 < size do
    seed = (seed * 1103515245 + 12345) % 2147483648
    words[#words + 1] = ("%04x"):format(seed >> 15)
  end
  return table.concat(words):sub(1, size)
end

-- What a program makes of its input.
local function piped(input, ...)
  local status, output = process.run { input = input, ... }
  assert.are.equal(0, status)
  return output
end

local large <const> = sample(1000000)

describe("compress.encode and compress.decode", function()
  it("give back what they took, of every kind, size and level", function()
    for _, kind in ipairs(KINDS) do
      for _, size in ipairs { 0, 1, 1000, 100000 } do
        for level = 1, 9, 4 do
          local data = large:sub(1, size)
          local bytes = assert(compress.encode(kind, data, { level = level }))
          assert.are.equal(data, compress.decode(kind, bytes))
        end
      end
    end
  end)

  it("understand other programs, and are understood by them", function()
    local data = large:sub(1, 50000)
    assert.are.equal(data, piped(compress.gzip(data), "gzip", "-dc"))
    assert.are.equal(data, compress.decode("gzip", piped(data, "gzip", "-9c")))
    assert.are.equal(data, piped(compress.encode("brotli", data), "brotli", "-dc"))
    assert.are.equal(data, compress.decode("brotli", piped(data, "brotli", "-c")))
    local zlib = "import sys,zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read(), %s))"
    assert.are.equal(data, piped(compress.encode("deflate", data), "python3", "-c", zlib:format("15")))
    assert.are.equal(data, piped(compress.encode("raw", data), "python3", "-c", zlib:format("-15")))
  end)

  it("take several files of gzip as one, and nothing behind the end of others", function()
    local twice = compress.gzip("one, ") .. compress.gzip("two")
    assert.are.equal("one, two", compress.decode("gzip", twice))
    for _, kind in ipairs(KINDS) do
      local _, err, code = compress.decode(kind, compress.encode(kind, "one") .. "more")
      assert.are.equal("invalid", code)
      assert.are.equal(("decode %s: not of this coding, or damaged"):format(kind), err)
    end
  end)

  it("refuse what is cut, at every byte", function()
    for _, kind in ipairs(KINDS) do
      local bytes = compress.encode(kind, large:sub(1, 300))
      for size = 0, #bytes - 1 do
        local data, err, code = compress.decode(kind, bytes:sub(1, size))
        assert.is_nil(data)
        assert.are.equal("invalid", code)
        assert.are.equal(("decode %s: it ends too early"):format(kind), err)
      end
    end
  end)

  it("let out no more than is allowed, whatever is in it", function()
    for _, kind in ipairs(KINDS) do
      local bomb = compress.encode(kind, ("\0"):rep(12 << 20), { level = 9 })
      assert.is_true(#bomb < 20000)
      local taken = core.memory().taken
      assert.are.same({ nil, "too_large", "too_large" }, { compress.decode(kind, bomb) })
      assert.are.same({ nil, "too_large", "too_large" }, { compress.decode(kind, bomb, 1000) })
      assert.are.same({ nil, "too_large", "too_large" }, { compress.decode(kind, bomb, (12 << 20) - 1) })
      assert.are.equal(12 << 20, #compress.decode(kind, bomb, 12 << 20))
      assert.is_true(core.memory().taken < taken + (13 << 20))
    end
    assert.are.equal("", compress.decode("gzip", compress.gzip(""), 0))
  end)

  it("raise for what is no kind, no level, no option", function()
    assert.matches("invalid option 'zip'", raised(compress.encode, "zip", ""))
    assert.matches("'level'", raised(compress.gzip, "", { level = 10 }))
    assert.matches("'level'", raised(compress.encoder, "gzip", { level = 0 }))
    assert.matches("string expected", raised(compress.decode, "gzip", nil))
    assert.matches("#3", raised(compress.decode, "gzip", "", -1))
    assert.matches("'max'", raised(compress.decoder, "gzip", { max = 0 }))
  end)

  it("leave others their turn while much is worked on", function()
    local turns = 0
    local other = task.spawn(function()
      while true do
        task.yield()
        turns = turns + 1
      end
    end)
    local bytes = compress.encode("gzip", large)
    assert.is_true(turns > 0)
    turns = 0
    assert.are.equal(large, compress.decode("gzip", bytes))
    assert.is_true(turns > 0)
    other:cancel()
  end)
end)

describe("an encoder", function()
  it("makes a stream of what comes bit by bit", function()
    for _, kind in ipairs(KINDS) do
      local encoder, parts = compress.encoder(kind), {}
      for at = 1, 200000, 40000 do
        parts[#parts + 1] = encoder:add(large:sub(at, at + 39999))
      end
      parts[#parts + 1] = encoder:finish("the end")
      assert.are.equal(large:sub(1, 200000) .. "the end", compress.decode(kind, table.concat(parts)))
    end
  end)

  it("makes all that was taken in readable with a flush", function()
    for _, kind in ipairs(KINDS) do
      local encoder, decoder = compress.encoder(kind), compress.decoder(kind)
      for i = 1, 20 do
        local line = ("line %d\n"):format(i)
        assert.are.equal(line, decoder:add(encoder:add(line, true)))
      end
      assert.are.equal("", decoder:add(encoder:finish()))
      assert.is_true(decoder:finish())
    end
  end)

  it("is finished once", function()
    local encoder = compress.encoder "gzip"
    assert.are.equal("moonwire.encoder: gzip", tostring(encoder))
    encoder:finish()
    assert.are.equal("moonwire.encoder: finished", tostring(encoder))
    assert.matches("it is finished", raised(encoder.add, encoder, ""))
    assert.matches("it is finished", raised(encoder.finish, encoder))
    local much = compress.encoder "gzip"
    assert.are.equal(large, compress.decode("gzip", much:finish(large)))
    assert.matches("it is finished", raised(much.add, much, ""))
  end)

  it("is one task's at a time, and of no use when that left", function()
    local encoder = compress.encoder("gzip", { level = 9 })
    local user = task.spawn(function() encoder:add(large:rep(8)) end)
    task.yield()
    assert.are.same({ nil, "busy", "busy" }, { encoder:add "" })
    assert.are.same({ nil, "busy", "busy" }, { encoder:finish() })
    user:cancel()
    local _, word
    repeat
      task.yield()
      _, word = encoder:add ""
    until word ~= "busy"
    assert.are.equal("closed", word)
  end)

  it("counts as memory of the service until it is finished", function()
    collectgarbage()
    local before, encoders = core.memory().taken, {}
    for i = 1, 20 do
      encoders[i] = compress.encoder "gzip"
    end
    assert.is_true(core.memory().taken >= before + 20 * 256 * 1024)
    for _, encoder in ipairs(encoders) do
      encoder:finish()
    end
    assert.is_true(core.memory().taken < before + 1024 * 1024)
  end)
end)

describe("a decoder", function()
  it("takes a stream cut anywhere", function()
    for _, kind in ipairs(KINDS) do
      local bytes, decoder, parts = compress.encode(kind, large:sub(1, 2000)), compress.decoder(kind), {}
      for i = 1, #bytes do
        parts[i] = decoder:add(bytes:sub(i, i))
      end
      assert.is_true(decoder:finish())
      assert.are.equal(large:sub(1, 2000), table.concat(parts))
      assert.matches("it is finished", raised(decoder.add, decoder, ""))
    end
  end)

  it("has a limit for all that comes out", function()
    local bytes = compress.gzip(large:sub(1, 2000))
    local decoder = compress.decoder("gzip", { max = 1999 })
    local _, code
    for i = 1, #bytes do
      _, _, code = decoder:add(bytes:sub(i, i))
      if code then break end
    end
    assert.are.equal("too_large", code)
    assert.are.same({ nil, "closed", "closed" }, { decoder:add "" })
    assert.are.same({ nil, "closed", "closed" }, { decoder:finish() })
    local exact = compress.decoder("gzip", { max = 2000 })
    assert.are.equal(2000, #exact:add(bytes))
    assert.is_true(exact:finish())
  end)

  it("misses the end", function()
    local decoder = compress.decoder "brotli"
    decoder:add(compress.encode("brotli", "abc"):sub(1, 3))
    assert.are.same({ nil, "decode brotli: it ends too early", "invalid" }, { decoder:finish() })
    assert.are.equal("invalid", select(3, compress.decoder "gzip":finish()))
  end)

  it("refuses noise and what is behind the end", function()
    local decoder = compress.decoder "deflate"
    assert.are.equal("abc", decoder:add(compress.encode("deflate", "abc")))
    assert.are.equal("", decoder:add "")
    assert.are.equal("invalid", select(3, decoder:add "x"))
    for _, kind in ipairs { "gzip", "deflate" } do
      assert.are.equal("invalid", select(3, compress.decoder(kind):add(("\xa5"):rep(100))))
    end
  end)
end)
