-- Libraries from Debian packages, unchanged, on our sockets. Most of the servers here are tasks of this very
-- process: a client that blocked would wait for itself for ever.
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local process = require "moonwire.process"
local task = require "moonwire.task"

local function forget()
  for name in pairs(package.loaded) do
    if name:find("^socket") or name == "ltn12" or name:find("^mime") then
      package.loaded[name] = nil
    end
  end
end

describe("on our sockets", function()
  setup(function()
    forget()
    require("moonwire.compat.socket").install()
  end)

  teardown(forget)

  local function serve(handler)
    local listener = assert(net.serve("tcp://127.0.0.1:0", handler))
    return listener, listener:local_address():match("^(.*):(%d+)$")
  end

  it("the libraries are those of the package", function()
    for _, name in ipairs { "socket.http", "socket.smtp", "socket.ftp", "socket.url", "ltn12", "mime" } do
      assert.matches("^/usr/share/lua/5.4/", (assert(package.searchpath(name, package.path))))
    end
    assert.are.equal(require "moonwire.compat.socket", require "socket")
  end)

  describe("LuaSocket's http", function()
    local function read_head(conn)
      local lines = {}
      for line in conn:lines() do
        if line == "" then
          break
        end
        lines[#lines + 1] = line
      end
      return lines
    end

    it("gets files from a server of another make, many at a time", function()
      local http = require "socket.http"
      local place <close> = folder.new()
      local text = ("0123456789abcde\n"):rep(20000)
      place:write("file.txt", text)
      local server <close> = assert(process.spawn {
        "python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", cwd = place.path, stderr = "null" })
      local port = server.stdout:read_line():match("port (%d+)")
      local address, running = ("http://127.0.0.1:%s/"):format(port), {}
      for i = 1, 20 do
        running[i] = task.spawn(http.request, address .. "file.txt")
      end
      for i = 1, 20 do
        local body, status, headers = running[i]:join()
        assert.are.equal(200, status)
        assert.is_true(body == text)
        assert.are.equal("text/plain", headers["content-type"])
      end
      assert.are.equal(404, (select(2, http.request(address .. "missing"))))
    end)

    it("waits for a hundred answers at a time", function()
      local http = require "socket.http"
      local waiting, gate = 0, require("moonwire.sync").event()
      local listener <close>, host, port = serve(function(conn)
        read_head(conn)
        waiting = waiting + 1
        gate:wait()
        conn:write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
      end)
      local running = {}
      for i = 1, 100 do
        running[i] = task.spawn(http.request, ("http://%s:%s/"):format(host, port))
      end
      condition.wait_until(function() return waiting == 100 end, 10) -- none is answered before all have asked
      gate:set()
      for i = 1, 100 do
        assert.are.same({ "ok", 200 }, { table.unpack({ running[i]:join() }, 1, 2) })
      end
      listener:close()
    end)

    it("sends a body and takes a chunked one, in pieces", function()
      local http, ltn12 = require "socket.http", require "ltn12"
      local got
      local listener <close>, host, port = serve(function(conn)
        local head = table.concat(read_head(conn), "\n"):lower()
        got = conn:read(math.tointeger(tonumber(head:match("content%-length: (%d+)"))))
        conn:write("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _, chunk in ipairs { "first ", "second ", ("x"):rep(5000) } do
          conn:write(("%x\r\n%s\r\n"):format(#chunk, chunk))
          conn:flush()
          task.sleep(0.005)
        end
        conn:write("0\r\n\r\n")
      end)
      local pieces = {}
      local ok, status = http.request {
        url = ("http://%s:%s/form"):format(host, port), method = "POST",
        source = ltn12.source.string("a=1&b=2"),
        headers = { ["content-length"] = 7 }, sink = ltn12.sink.table(pieces),
      }
      assert.are.same({ 1, 201 }, { ok, status })
      assert.are.equal("a=1&b=2", got)
      assert.are.equal("first second " .. ("x"):rep(5000), table.concat(pieces))
      listener:close()
    end)

    it("follows a redirect, and takes a body that ends with the connection", function()
      local http = require "socket.http"
      local listener <close>, host, port = serve(function(conn)
        if read_head(conn)[1]:find("^GET /old ") then
          conn:write("HTTP/1.0 302 Found\r\nLocation: /new\r\n\r\n")
        else
          conn:write("HTTP/1.0 200 OK\r\n\r\n", ("y"):rep(100000))
        end
      end)
      local body, status = http.request(("http://%s:%s/old"):format(host, port))
      assert.are.equal(200, status)
      assert.are.equal(100000, #body)
      listener:close()
    end)

    it("says what went wrong in LuaSocket's words", function()
      local http, socket = require "socket.http", require "socket"
      local unused = assert(net.listen("tcp://127.0.0.1:0"))
      local address = "http://" .. unused:local_address() .. "/"
      unused:close()
      assert.are.same({ nil, "connection refused" }, { http.request(address) })
      local listener <close>, host, port = serve(function(conn)
        read_head(conn)
        task.sleep(60)
      end)
      local function create()
        local connection = socket.tcp()
        function connection.settimeout(self) -- http sets its own
          return getmetatable(self).settimeout(self, 0.05)
        end
        return connection
      end
      assert.are.same({ nil, "timeout" }, { http.request {
        url = ("http://%s:%s/"):format(host, port), create = create } })
      listener:close()
    end)
  end)

  it("LuaSocket's smtp delivers mail", function()
    local smtp = require "socket.smtp"
    local heard = {}
    local listener <close>, host, port = serve(function(conn)
      local answers = { EHLO = "250-here\r\n250 SIZE 1000", DATA = "354 go on", QUIT = "221 bye" }
      conn:write("220 ready\r\n")
      local in_data = false
      for line in conn:lines() do
        table.insert(heard, line)
        if in_data and line == "." then
          in_data = false
          conn:write("250 taken\r\n")
        elseif not in_data then
          local verb = line:match("^%a+"):upper()
          in_data = verb == "DATA"
          conn:write(answers[verb] or "250 ok", "\r\n")
        end
      end
    end)
    local ok, message = smtp.send {
      server = host, port = port,
      from = "<ann@example.org>", rcpt = { "<bob@example.org>", "<eve@example.org>" },
      source = smtp.message { headers = { subject = "hello" }, body = "first\r\n.second\r\n" },
    }
    assert.are.equal(1, ok, message)
    local all = table.concat(heard, "\n")
    assert.matches("MAIL FROM:<ann@example.org>\nRCPT TO:<bob@example.org>\nRCPT TO:<eve@example.org>\n", all)
    assert.matches("Subject: hello\n", all)
    assert.matches("\nfirst\n%.%.second\n", all)
    listener:close()
  end)

  -- A server for one file, with passive data connections.
  local function serve_ftp(files)
    local data
    local commands = {
      EPSV = function()
        data = assert(net.listen("tcp://127.0.0.1:0"))
        return ("229 Entering Extended Passive Mode (|||%s|)"):format(data:local_address():match("%d+$"))
      end,
      RETR = function(conn, name)
        local peer <close> = assert(data:accept())
        conn:write("150 here it comes\r\n")
        peer:write(files[name])
        return "226 done"
      end,
      STOR = function(conn, name)
        conn:write("150 go on\r\n")
        local peer <close> = assert(data:accept())
        files[name] = peer:read_all()
        return "226 done"
      end,
      USER = function() return "331 and the password" end,
      PASS = function() return "230 come in" end,
      QUIT = function() return "221 bye" end,
    }
    return serve(function(conn)
      conn:write("220 ready\r\n")
      for line in conn:lines() do
        local verb, argument = line:match("^(%a+) ?(.*)$")
        local command = commands[verb:upper()]
        conn:write(command and command(conn, argument) or "200 ok", "\r\n")
      end
    end)
  end

  it("LuaSocket's ftp gets and puts a file", function()
    local ftp = require "socket.ftp"
    local files = { ["greeting.txt"] = ("hello\r\n"):rep(30000) }
    local listener <close>, host, port = serve_ftp(files)
    local address = ("ftp://ann:secret@%s:%s/"):format(host, port)
    local got, message = ftp.get(address .. "greeting.txt;type=i")
    assert.is_true(got == files["greeting.txt"], message)
    local text = ("upwards\n"):rep(30000)
    assert.are.equal(#text, ftp.put(address .. "up.txt;type=i", text))
    assert.is_true(files["up.txt"] == text)
    listener:close()
  end)

  describe("lua-redis", function()
    -- The package has no folder for 5.4, and the file is the same for all.
    local function load_redis()
      return assert(loadfile("/usr/share/lua/5.3/redis.lua"))()
    end

    local function start(place)
      local path = place.path .. "/redis.sock"
      local server = assert(process.spawn {
        "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", place.path,
        stdout = "null" })
      condition.wait_until(function()
        local conn <close> = net.connect("unix://" .. path)
        return conn
      end, 20, "redis-server does not listen")
      return server, path
    end

    it("speaks to a redis-server, also while others wait for it", function()
      local redis = load_redis()
      local place <close> = folder.new()
      local server <close>, path = start(place)
      local waiting = task.spawn(function()
        local client = redis.connect("unix://" .. path)
        return client:blpop("list", 10)
      end)
      local client = redis.connect("unix://" .. path)
      assert.is_true(client:ping())
      assert.is_true(client:set("key", "value\r\nwith lines"))
      assert.are.equal("value\r\nwith lines", client:get("key"))
      for i = 1, 100 do
        client:incrby("count", i)
      end
      assert.are.equal("5050", client:get("count"))
      client:rpush("list", "news")
      local popped = waiting:join()
      assert.are.same({ "list", "news" }, popped)
      client:quit()
      server:close()
      server:wait()
    end)
  end)
end)
