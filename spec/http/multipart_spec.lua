local core = require "moonwire.core"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local multipart = require "moonwire.http.multipart"
local process = require "spec.support.process"
local task = require "moonwire.task"
local web = require "spec.support.web"
local condition = require "spec.support.condition"

local BOUNDARY <const> = "----x'y"

-- A function that gives a text in pieces.
local function pieces(text, size)
  local at = 1
  return function()
    if at > #text then
      return nil, "eof", "eof"
    end
    at = at + size
    return text:sub(at - size, at - 1)
  end
end

local function body_of(...)
  local parts = {}
  for i, text in ipairs { ... } do
    parts[i] = "--" .. BOUNDARY .. "\r\n" .. text .. "\r\n"
  end
  return table.concat(parts) .. "--" .. BOUNDARY .. "--\r\n"
end

local function field(name, value)
  return ('Content-Disposition: form-data; name="%s"\r\n\r\n%s'):format(name, value)
end

-- What the parts of a body are, as text.
local function read(text, size, options)
  local seen = {}
  for part in multipart.parts(pieces(text, size or #text + 1), BOUNDARY, options) do
    local data, err, code = part:read_all()
    if not data then
      error(core.fault(code, err), 0)
    end
    seen[#seen + 1] = ("%s|%s|%s|%s"):format(part.name, part.filename, part.type, data)
  end
  return table.concat(seen, "\n")
end

local function fault(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert.is_false(ok)
  return core.is_fault(problem) or problem
end

describe("a form with files", function()
  local BODY <const> = "a preamble --" .. BOUNDARY .. "\r\n" .. body_of(
    field("a", "1"), field("b", ""),
    "content-type:  Text/CSV; charset=x\r\n"
      .. 'Content-Disposition:form-data ;name=f; filename="d\\e/f.csv"\r\n\r\n'
      .. "\r\n--" .. BOUNDARY:sub(1, -2) .. "\r\n\r\r\n-",
    field("c", ("long"):rep(1000))
  ) .. "an epilogue\r\n--" .. BOUNDARY

  it("is read the same, however it is cut", function()
    local whole = read(BODY)
    assert.are.equal("a|nil|text/plain|1\nb|nil|text/plain|\n"
      .. "f|f.csv|text/csv|\r\n--" .. BOUNDARY:sub(1, -2) .. "\r\n\r\r\n-\n"
      .. "c|nil|text/plain|" .. ("long"):rep(1000), whole)
    for size = 1, 130 do
      assert.are.equal(whole, read(BODY, size))
    end
  end)

  it("is read the same, cut once at any place", function()
    local text = body_of(field("a", "1"), field("b", "\r\n--x"))
    local whole = read(text)
    for at = 1, #text - 1 do
      local rest = pieces(text, at)
      local first, second = rest(), text:sub(at + 1)
      local list = { first, second }
      local seen = {}
      for part in multipart.parts(function()
        local piece = table.remove(list, 1)
        if piece then
          return piece
        end
        return nil, "eof", "eof"
      end, BOUNDARY) do
        seen[#seen + 1] = ("%s|nil|text/plain|%s"):format(part.name, part:read_all())
      end
      assert.are.equal(whole, table.concat(seen, "\n"))
    end
  end)

  it("without parts has none", function()
    assert.are.equal("", read("--" .. BOUNDARY .. "--"))
    assert.are.equal("", read("--" .. BOUNDARY .. "--\r\n", 1))
  end)

  it("is read as browsers and others write names", function()
    for text, expected in pairs {
      ['name="a"; filename="x.txt"'] = "a|x.txt", ['name="q%22\\"%0D%0A"'] = 'q""\r\n|nil',
      ['name=a; filename="C:\\dir\\x.txt"'] = "a|x.txt", ['name=a; filename="../../etc/passwd"'] = "a|passwd",
      ['name=a; filename=".."'] = "a|", ['name=a; filename=""'] = "a|", ['name=a; filename="/"'] = "a|",
      ['name="ä"; filename="ü.txt"'] = "ä|ü.txt", ['name=a; filename="100%25.txt"'] = "a|100%25.txt",
      ['NAME=a; FileName="\1x\127y"'] = nil, ['name="a;b=\\"c\\""'] = 'a;b="c"|nil',
      ['name=""'] = "|nil", ['name=a; filename="a\\\\b"'] = "a|b",
    } do
      local seen = read(body_of("Content-Disposition: form-data; " .. text .. "\r\n\r\nx"))
      assert.are.equal(expected .. "|text/plain|x", seen)
    end
    local header = 'Content-Disposition: form-data; name=a; filename="%s"\r\n\r\nx'
    local long = read(body_of(header:format(("ä"):rep(300))))
    assert.are.equal("a|" .. ("ä"):rep(127) .. "|text/plain|x", long)
  end)

  it("has headers of its parts, folded ones too", function()
    local text = body_of('Content-Disposition: form-data;\r\n  name="a"\r\nX-Y:  1 \r\nx-y: 2\r\n\r\nx')
    for part in multipart.parts(pieces(text, 9), BOUNDARY) do
      assert.are.equal("a", part.name)
      assert.are.equal("1, 2", part.headers["x-y"])
    end
  end)

  it("is skipped over where nobody reads", function()
    local names = {}
    for part in multipart.parts(pieces(BODY, 100), BOUNDARY) do
      names[#names + 1] = part.name
      part:read_some(2)
    end
    assert.are.equal("a b f c", table.concat(names, " "))
  end)

  it("gives a part until the next one is asked for", function()
    local first
    for part in multipart.parts(pieces(BODY, 100), BOUNDARY) do
      first = first or part
      if part ~= first then
        assert.are.same({ nil, "closed", "closed" }, { first:read_some() })
      end
    end
    local text = ""
    for part in multipart.parts(pieces(BODY, 7), BOUNDARY) do
      for chunk in part:chunks() do
        text = text .. chunk
      end
      assert.are.same({ nil, "eof", "eof" }, { part:read_some() })
    end
    assert.are.equal("1\r\n--" .. BOUNDARY:sub(1, -2) .. "\r\n\r\r\n-" .. ("long"):rep(1000), text)
  end)

  describe("is invalid", function()
    local function expect_invalid(text)
      for _, size in ipairs { 1, 3, 7, 1000 } do
        assert.are.equal("invalid", fault(read, text, size), text)
      end
    end

    it("when it ends early, wherever", function()
      local text = body_of(field("a", "1"), field("b", "2"))
      for length = 0, #text - 3 do
        assert.are.equal("invalid", fault(read, text:sub(1, length)), length)
      end
    end)

    it("with headers that are none of a form", function()
      for _, header in ipairs {
        "", "Content-Type: text/plain", "Content-Disposition: attachment; name=a",
        "Content-Disposition: form-data",
        'Content-Disposition: form-data; filename="x"', "Content-Disposition: form-data; name=a; name=b",
        'Content-Disposition: form-data; name="a', "Content-Disposition: form-data; name=a x=b",
        "Content-Disposition : form-data; name=a", "Content-Disposition: form-data; name=a\r\nX Y: 1",
        "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b", "nonsense",
        "Content-Disposition: form-data; name=a\r\nX: \0", "Content-Disposition: form-data; name=a\nX: 1",
      } do
        expect_invalid(body_of(header .. "\r\n\r\nx"))
      end
    end)

    it("with other bytes behind a boundary", function()
      for _, text in ipairs { "x", "-\r\n", " --\r\n", "\n", "\rx", (" "):rep(200) } do
        expect_invalid("--" .. BOUNDARY .. text .. ("y"):rep(300))
      end
    end)
  end)

  it("has limits", function()
    local text = body_of(field("a", ("x"):rep(50)), field("b", "y"))
    assert.are.equal("too_large", fault(read, text, 10, { max_parts = 1 }))
    assert.are.equal("too_large", fault(read, text, 10, { max_header = 20 }))
    assert.are.equal("too_large", fault(read, "--" .. BOUNDARY .. "\r\n" .. ("x"):rep(100000), 1000))
    for part in multipart.parts(pieces(text, 10), BOUNDARY, { max_field = 49 }) do
      if part.name == "a" then
        assert.are.same({ nil, "too_large", "too_large" }, { part:read_all() })
      else
        assert.are.equal("y", part:read_all(1))
      end
    end
  end)

  it("passes on what goes wrong with the body", function()
    local function broken()
      return nil, "reset", "reset"
    end
    assert.are.equal("reset", fault(multipart.parts(broken, BOUNDARY)))
  end)
end)

describe("the boundary of a form", function()
  it("is that of its type", function()
    assert.are.equal("a b", multipart.boundary_of 'Multipart/Form-Data; charset=x; boundary="a b"')
    assert.are.equal("unsupported", (select(3, multipart.boundary_of "text/plain")))
    assert.are.equal("unsupported", (select(3, multipart.boundary_of(nil))))
    for _, text in ipairs { "", "; boundary=", "; boundary=\"a \"", "; boundary=" .. ("x"):rep(71),
      '; boundary="a\\"b"',
      "; boundary=a; boundary=b" } do
      assert.are.equal("invalid", (select(3, multipart.boundary_of("multipart/form-data" .. text))), text)
    end
  end)
end)

describe("a form that is written", function()
  it("is read as it was meant", function()
    local count = 0
    local body, content_type = multipart.encode {
      { name = "a\"\r\n", value = 1 },
      { name = "f", filename = 'x"y.txt', value = "data" },
      { name = "g", filename = "z", type = "text/html", value = function()
        count = count + 1
        return count < 4 and "piece" .. count or nil
      end },
      { name = "e", value = "" },
    }
    local text = {}
    for chunk in body do
      text[#text + 1] = chunk
    end
    local seen = {}
    for part in multipart.parts(pieces(table.concat(text), 50), multipart.boundary_of(content_type)) do
      seen[#seen + 1] = { part.name, part.filename or false, part.type, part:read_all() }
    end
    assert.are.same({
      { "a\"\r\n", false, "text/plain", "1" }, { "f", 'x"y.txt', "application/octet-stream", "data" },
      { "g", "z", "text/html", "piece1piece2piece3" }, { "e", false, "text/plain", "" },
    }, seen)
  end)

  it("takes open files", function()
    local place <close> = folder.new()
    local source <close> = assert(file.open(place:write("x", ("0123456789"):rep(20000))))
    local size = 0
    for chunk in (multipart.encode { { name = "x", file = source } }) do
      size = size + #chunk
    end
    assert.is_true(size > 200000)
  end)

  it("is refused when it has no names or no values", function()
    for _, fields in ipairs { { 1 }, { {} }, { { name = "a" } },
      { { name = "a", value = 1, type = "a\r\nb" } } } do
      local ok, message = pcall(function() multipart.encode(fields) end)
      assert.is_false(ok)
      assert.matches("^spec/http/multipart_spec.lua:%d+: bad argument #1 to 'encode'", message)
    end
  end)
end)

describe("a part that is saved", function()
  local place, root, TEXT

  before_each(function()
    place = folder.new()
    root = assert(file.root(place.path))
    TEXT = body_of('Content-Disposition: form-data; name=f; filename="x.txt"\r\n\r\n'
      .. ("0123456789"):rep(30000))
  end)

  after_each(function()
    place:remove()
  end)

  local function save(options, text, size)
    return multipart.parts(pieces(text or TEXT, size or 4000), BOUNDARY)():save(root, options)
  end

  local function names()
    local list = {}
    for i, entry in ipairs(assert(root:list())) do
      list[i] = entry.name
    end
    return table.concat(list, " ")
  end

  it("has its name when it is whole", function()
    assert.are.equal(300000, save())
    assert.are.equal("x.txt", names())
    assert.are.equal(("0123456789"):rep(30000), place:read("x.txt"))
    assert.are.same({ 300000, "y" },
      { save { name = "y", permissions = "600", sync = false }, (names():match(" (.*)")) })
    assert.are.equal("600", root:stat("y").permissions)
  end)

  it("replaces nothing unless it is told to", function()
    place:write("x.txt", "old")
    assert.are.equal("exists", (select(3, save())))
    assert.are.equal("old", place:read("x.txt"))
    assert.are.equal(300000, save { replace = true })
    assert.are.equal("x.txt", names())
  end)

  it("leaves nothing when it fails", function()
    assert.are.equal("too_large", (select(3, save { max = 299999 })))
    assert.are.equal("denied", (select(3, save { name = "../x" })))
    assert.are.equal("not_found", (select(3, save { name = "no/x" })))
    assert.are.equal("invalid", (select(3, save(nil, body_of(field("a", "1"))))))
    assert.are.equal("invalid", (select(3, save(nil, TEXT:sub(1, 100000)))))
    condition.wait_until(function() return names() == "" end, nil, names)
  end)

  it("leaves nothing when its task is cancelled, or out of time", function()
    local function hang()
      local source = pieces(TEXT, 4000)
      local count = 0
      for part in multipart.parts(function()
        count = count + 1
        if count > 10 then
          task.sleep(1000)
        end
        return source()
      end, BOUNDARY) do
        local own = assert(file.root(place.path))
        part:save(own)
      end
    end
    local job = task.spawn(hang)
    condition.wait_until(function() return names():find "^%.upload%-" end, nil, names)
    job:cancel()
    job:join()
    condition.wait_until(function() return names() == "" end, nil, names)
    assert.are.same({ nil, "timeout", "timeout" }, { task.with_timeout(0.05, hang) })
    condition.wait_until(function() return names() == "" end, nil, names)
  end)

  it("needs a folder", function()
    for part in multipart.parts(pieces(TEXT, 4000), BOUNDARY) do
      for _, other in ipairs { "/tmp", {}, 1 } do
        local ok, message = pcall(function() part:save(other) end)
        assert.is_false(ok)
        assert.matches("#1 to 'save' %(a folder", message)
      end
      local ok, message = pcall(function() part:save(root, { overwrite = true }) end)
      assert.is_false(ok)
      assert.matches("unknown option 'overwrite'", message)
      part:read_all()
    end
  end)

  it("comes in a request, and takes no more memory for more of it", function()
    local server <close> = moonwire.serve {
      code = ([[
        local file = require "moonwire.file"
        local http = require "moonwire.http"
        local root = assert(file.root "%s")
        return http.service(function(request, response)
          for part in request:parts() do
            response:send(tostring(part:save(root)))
          end
        end, { body_max = false })
      ]]):format(place.path),
      options = { "--memory-limit", "4M" },
    }
    local big = place:write("big", ("0123456789abcdef"):rep(2 * 1024 * 1024))
    local status, output = process.run {
      "curl", "-sS", "-F", "f=@" .. big .. ";filename=copy", ("http://127.0.0.1:%d/"):format(server.port),
    }
    assert.are.same({ 0, "33554432" }, { status, output })
    assert.are.equal(0, (process.run { "cmp", big, place.path .. "/copy" }))
  end)

  it("is refused where nobody handles what is wrong with it", function()
    local site <close> = web.serve(function(request, response)
      for part in request:parts { max_parts = 2 } do
        part:read_some()
      end
      response:send()
    end)
    local kind <const> = "multipart/form-data; boundary=a"
    local one <const> = "--a\r\n" .. field("x", "") .. "\r\n"
    assert.are.equal(415, site:post("/", "x=1", "text/plain").status)
    assert.are.equal(400, site:post("/", one, kind).status)
    assert.are.equal(413, site:post("/", one .. one .. one .. "--a--", kind).status)
    local answer = site:post("/", "--a\r\nx\r\n\r\n", kind)
    assert.matches("^400 Bad Request\nrequest %x+\n$", answer.body)
    assert.are.equal(200, site:post("/", one .. "--a--", kind).status)
  end)

  it("is refused in a request of another type", function()
    local site <close> = web.serve(function(request, response)
      local ok, problem = pcall(function()
        for _ in request:parts() do end -- luacheck: ignore 542
      end)
      return ok and response:send() or response:refuse(problem)
    end)
    assert.are.equal(415, site:post("/", "x=1", "application/x-www-form-urlencoded").status)
    assert.are.equal(415, site:post("/", "x=1").status)
    assert.are.equal(400, site:post("/", "x", "multipart/form-data").status)
    assert.are.equal(400, site:post("/", "x", "multipart/form-data; boundary=a").status)
    assert.are.equal("400: not understood\n",
      site:post("/", "--a\r\n\r\n", "multipart/form-data; boundary=a").body)
    assert.are.equal(413, site:post("/", "--a\r\n" .. ("x"):rep(10000),
      "multipart/form-data; boundary=a").status)
  end)
end)
