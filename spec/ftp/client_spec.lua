local authority = require "spec.support.authority"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local ftp = require "moonwire.ftp"
local net = require "moonwire.net"

describe("an FTP client", function()
  local here, place, root, listener, address, ca

  local function serve(options)
    local account = { name = "bob", root = root, may_write = true }
    local service = ftp.service {
      login = function(name, password) return name == "bob" and password == "SECRET" and account or nil end,
      failure_delay = 0, tls = options and "required" or "off", require_session_reuse = true,
    }
    listener = assert(net.serve("tcp://127.0.0.1:0", service.connect, options))
    address = "tcp://" .. listener:local_address()
  end

  local function connect(options)
    local whole = { user = "bob", password = "SECRET" }
    for key, value in pairs(options or {}) do
      whole[key] = value
    end
    return ftp.connect(address, whole)
  end

  -- A server that says these lines, one after each of the client's.
  local function speak(lines)
    listener = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      for _, line in ipairs(lines) do
        conn:write(line)
        if not conn:read_line() then
          return
        end
      end
    end))
    address = "tcp://" .. listener:local_address()
  end

  setup(function()
    here = folder.new()
    ca = authority.new(here)
  end)

  teardown(function()
    here:remove()
  end)

  before_each(function()
    place = folder.new()
    root = assert(file.root(place.path))
  end)

  after_each(function()
    listener:close()
    root:close()
    place:remove()
  end)

  local function work(client)
    assert.equal("/", client:folder())
    assert.is_true(client:make_folder 'a "b"')
    assert.is_true(client:change_folder 'a "b"')
    assert.equal('/a "b"', client:folder())
    assert.is_true(client:put("x", "0123456789"))
    assert.is_true(client:put("x", "abc", { append = true }))
    assert.is_true(client:put("x", "ABC", { offset = 5 }))
    assert.equal("01234ABC", client:get "x")
    assert.equal("ABC", client:get("x", { offset = 5 }))
    assert.equal(8, client:size "x")
    assert.is_true(math.abs(client:modified "x" - os.time()) < 1000)
    local list = assert(client:list())
    assert.equal("x", list[1].name)
    assert.equal("file", list[1].kind)
    assert.equal(8, list[1].size)
    assert.equal(client:modified "x", list[1].modified)
    assert.is_true(client:rename("x", "y"))
    local _, _, code = client:get "x"
    assert.equal("not_found", code)
    local target <close> = assert(file.open(place.path .. "/here", "update"))
    assert.equal(8, client:download("y", target))
    assert.is_true(client:put("z", target))
    assert.equal("01234ABC", client:get "z")
    _, _, code = client:get("z", { max = 4 })
    assert.equal("too_large", code)
    assert.is_true(client:remove "y")
    assert.is_true(client:remove "z")
    assert.is_true(client:change_folder "..")
    assert.is_true(client:remove_folder 'a "b"')
  end

  it("does all that there is, passive and active", function()
    serve()
    for _, active in ipairs { false, true } do
      local client <close> = assert(connect { active = active })
      work(client)
    end
  end)

  it("does so over TLS, with a server that proves its name and wants one session", function()
    local pair = ca:issue { "127.0.0.1" }
    serve { tls = { certificate = pair.certificate, key = pair.key } }
    for _, active in ipairs { false, true } do
      local client <close> = assert(connect { active = active, tls = { authorities = ca.file } })
      work(client)
    end
    local _, _, code = connect { tls = {} }
    assert.equal("certificate", code)
    _, _, code = connect()
    assert.equal("denied", code)
  end)

  it("says what is wrong", function()
    serve()
    local _, err, code = connect { password = "no" }
    assert.equal("denied", code)
    assert.matches("ftp PASS 127.0.0.1:%d+: 530", err)
    local client <close> = assert(connect())
    _, _, code = client:get "x\r\nDELE y"
    assert.equal("invalid", code)
    _, err, code = client:change_folder "none"
    assert.equal("not_found", code)
    assert.matches("ftp CWD 127.0.0.1:%d+: 550 No such file", err)
    assert.has_error(function() client:get("x", { size = 1 }) end)
    assert.has_error(function() ftp.connect "ftp://x" end)
  end)

  it("reads what other servers list, and no name that leads elsewhere", function()
    local second = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      conn:write("-rw-r--r--    1 1000     1000         1234 Nov 25 10:00 a file\r\n",
        "drwxr-xr-x    2 0        0            4096 Jan 01  2020 d\r\ntotal 5\r\n",
        "lrwxrwxrwx    1 0        0               7 Nov 25 10:00 l -> target\r\n",
        "-rw-r--r--    1 0        0               7 Nov 25 10:00 ../../etc/passwd\r\n")
    end))
    local port = math.tointeger(tonumber(second:local_address():match ":(%d+)$"))
    local passive = ("227 (10,0,0,1,%d,%d)\r\n"):format(port >> 8, port & 255)
    speak { "220-hello\r\n220 nice\r\n", "331 x\r\n", "230 x\r\n", "200 x\r\n", "500 EPSV?\r\n", passive,
      "500 MLSD?\r\n", "500 EPSV?\r\n", passive, "150 x\r\n226 x\r\n" }
    local client <close> = assert(connect())
    assert.same({
      { name = "a file", kind = "file", size = 1234 }, { name = "d", kind = "folder", size = 4096 },
      { name = "l", kind = "link", size = 7 },
    }, client:list())
    second:close()
  end)

  it("takes no nonsense for a reply", function()
    speak { "SSH-2.0\r\n" }
    local _, _, code = connect()
    assert.equal("protocol", code)
    listener:close()
    speak { ("220-x\r\n"):rep(2000) }
    _, _, code = connect()
    assert.equal("too_large", code)
  end)
end)
