-- The parts of a server of mail: parameters, xtext, replies, messages on their way.
local intake = require "moonwire.smtp.intake"
local parameters = require "moonwire.smtp.parameters"
local reply = require "moonwire.smtp.reply"
local xtext = require "moonwire.smtp.xtext"

local ALL <const> = {
  SIZE = true, BODY = true, SMTPUTF8 = true, AUTH = true, RET = true, ENVID = true, NOTIFY = true,
  ORCPT = true,
}

local function read(command, text, more)
  local offers = { offered = ALL, binarymime = false, utf8 = true }
  for name, value in pairs(more or {}) do
    offers[name] = value
  end
  return parameters.read(command, text, {}, offers)
end

describe("parameters", function()
  it("are read as the RFCs have them", function()
    assert.same({ size = 12, body = "8bitmime", smtputf8 = true, auth = "a@b", ret = "full", envid = "x y" },
      read("MAIL", " SIZE=12 body=8bitmime SMTPUTF8 AUTH=a@b RET=FULL ENVID=x+20y"))
    assert.same({ auth = "<>", body = "7bit", ret = "hdrs" }, read("MAIL", " AUTH=<> BODY=7BIT RET=hdrs  "))
    assert.same({ notify = { "never" }, orcpt = "rfc822;a b@c" },
      read("RCPT", " NOTIFY=NEVER ORCPT=RFC822;a+20b@c"))
    assert.same({ notify = { "delay", "success" } }, read("RCPT", " NOTIFY=delay,SUCCESS"))
    assert.same({ orcpt = "utf-8;\u{E4}+@b" }, read("RCPT", " ORCPT=utf-8;\\x{E4}+@b"))
    assert.same({}, read("MAIL", ""))
    assert.equal(math.maxinteger, read("MAIL", " SIZE=99999999999999999999").size)
    assert.equal("binarymime", read("MAIL", " BODY=BINARYMIME", { binarymime = true }).body)
  end)

  it("are refused when they are malformed", function()
    for _, text in ipairs {
      " SIZE", " SIZE=", " SIZE=-1", " SIZE=1x", " SIZE=0x10", " SIZE=999999999999999999999",
      " SIZE=1 SIZE=1",
      " BODY=9BIT", " BODY=BINARYMIME", " SMTPUTF8=1", " RET=ALL", " ENVID=+7", " ENVID=a+0Ab", " ENVID==",
      " ENVID=" .. ("x"):rep(101), " AUTH=", "SIZE=1", " =1", " SIZE=1=2", " -X",
    } do
      local into, problem = read("MAIL", text)
      assert.is_nil(into, text)
      assert.is_false(problem.unknown, text)
    end
    for _, text in ipairs {
      " NOTIFY=NEVER,DELAY", " NOTIFY=DELAY,DELAY", " NOTIFY=", " NOTIFY=,DELAY", " NOTIFY=ALWAYS",
      " ORCPT=x",
      " ORCPT=rfc822;", " ORCPT=rfc822;a+0D+0Ab", " ORCPT=utf-8;\\x{0D}", " ORCPT=rfc822;" .. ("x"):rep(500),
    } do
      assert.is_nil(read("RCPT", text), text)
    end
  end)

  it("are told apart from those that are not offered", function()
    for _, case in ipairs { { "MAIL", " COLOUR=red" }, { "MAIL", " NOTIFY=NEVER" }, { "RCPT", " SIZE=1" } } do
      local _, problem = read(case[1], case[2])
      assert.is_true(problem.unknown, case[2])
    end
    assert.is_true(select(2, read("MAIL", " SIZE=1", { offered = {} })).unknown)
  end)
end)

describe("xtext", function()
  it("stands for any text", function()
    local all = {}
    for byte = 0, 255 do
      all[#all + 1] = string.char(byte)
    end
    local text = table.concat(all)
    assert.equal(text, xtext.decode(xtext.encode(text)))
    assert.equal("a+2Bb+3D", xtext.encode "a+b=")
    for _, bad in ipairs { "a b", "a=b", "a+2b", "+", "+2", "\xE4" } do
      assert.is_nil(xtext.decode(bad), bad)
    end
  end)
end)

describe("a reply", function()
  it("has one line or several, and nothing that could be taken for another", function()
    assert.equal("250-a\r\n250 b\r\n", reply.format(reply.new(250, nil, "a\nb")))
    assert.equal("550-5.1.1 a?b\r\n550 5.1.1 ?\r\n", reply.format(reply.new(550, "5.1.1", "a\rb\n\0")))
    assert.equal(400 + 6, #reply.format(reply.new(250, nil, ("x"):rep(9999))))
  end)

  it("is what a callback says, or what stands for its word", function()
    local function of(...)
      return (reply.format((reply.of(...))))
    end
    assert.equal("550 5.7.1 go away\r\n", of("go away", "550 5.7.1"))
    assert.equal("550 5.7.1 refused\r\n", of(nil, nil))
    assert.equal("452 4.3.1 no room: try again later\r\n", of("/srv is full", "full"))
    assert.equal("451 4.3.0 not possible for now: try again later\r\n", of("secret", "system"))
    assert.equal("451 4.3.0 not possible for now: try again later\r\n", of("secret", "250 2.0.0"))
    assert.equal("451 4.3.0 not possible for now: try again later\r\n", of("secret", "550 4.0.0"))
  end)
end)

describe("a message on its way", function()
  local function receive(pieces, limits)
    local written, ended = {}, nil
    local sink = {
      write = function(_, chunk) table.insert(written, chunk) return true end,
      commit = function() ended = "committed" return true end,
      abort = function() ended = "aborted" end,
    }
    local all = { size_max = 1000, header_max = 500, hops_max = 5 }
    for name, value in pairs(limits or {}) do
      all[name] = value
    end
    local header
    local message = intake.new(sink, all, function(_, fn, ...) return fn(...) end, function(text)
      header = text
      return "First: 1\r\n"
    end)
    for _, piece in ipairs(pieces) do
      message:write(piece)
    end
    local done, problem = message:finish()
    return ended, table.concat(written), header, not done and problem.enhanced or nil
  end

  local function bytes(text)
    local pieces = {}
    for i = 1, #text do
      pieces[i] = text:sub(i, i)
    end
    return pieces
  end

  it("has a header, which is known before it goes on", function()
    local text = "A: b\r\nC: d\r\n\r\nbody\r\n\r\nmore\r\n"
    for _, pieces in ipairs { { text }, bytes(text) } do
      local ended, written, header = receive(pieces)
      assert.same({ "committed", "First: 1\r\n" .. text }, { ended, written })
      assert.equal("A: b\r\nC: d\r\n", header:sub(1, 12))
      assert.is_nil(header:find "body")
    end
    for _, short in ipairs { "", "\r\n", "A: b\r\n", "\r\nA: b\r\n\r\n" } do
      local ended, written = receive(bytes(short))
      assert.same({ "committed", "First: 1\r\n" .. short }, { ended, written })
    end
  end)

  it("is aborted at the limits", function()
    local cases = {
      { ("x: y\r\n"):rep(90), "5.3.4" }, { "\r\n" .. ("x"):rep(999), "5.3.4" },
      { ("Received: x\r\n"):rep(6), "5.4.6" },
      { "received : x\r\nRECEIVED:x\r\n", "5.4.6", { hops_max = 1 } },
    }
    for _, case in ipairs(cases) do
      for _, pieces in ipairs { { case[1] }, bytes(case[1]) } do
        local ended, _, _, problem = receive(pieces, case[3])
        assert.same({ "aborted", case[2] }, { ended, problem })
      end
    end
  end)
end)
