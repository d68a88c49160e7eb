-- The one connection that a super-server has started the process for.
local authority = require "spec.support.authority"
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local http = require "moonwire.http.client"
local inetd = require "spec.run.inetd"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local test = require "moonwire.test"
local websocket = require "moonwire.websocket"

test.deadline(120)

local NAMES <const> = [[
local log = require "moonwire.log"
return function(conn)
  log.warn("somebody came")
  io.stderr:write("aside\n")
  io.stdout:write("aside\n")
  print("aside")
  conn:write(conn:peer_address(), " ", conn:local_address(), "\n")
  for line in conn:lines() do
    conn:write(line, "\n")
  end
  conn:write("the end\n")
end
]]

local DOORS <const> = [[
local function greets(word)
  return { connect = function(conn) conn:write(word, "\n") end }
end
return { doors = { one = greets "first", two = greets "second" } }
]]

describe("a socket that is standard input and output", function()
  for how, what in pairs {
    inetd = "and standard error, as inetd does", two = "alone", socket = "and passed by systemd, too",
    systemd = "or that systemd passes with Accept=yes",
  } do
    it(("is the connection, %s"):format(what), function()
      local server <close> = inetd.start { code = NAMES, how = how }
      local conn <close> = server:connect()
      local names = conn:local_address() .. " " .. conn:peer_address()
      assert.equal(names, conn:read_line())
      conn:write "hello\n"
      assert.equal("hello", conn:read_line())
      conn:shutdown_write()
      assert.equal("the end\n", conn:read_all())
      assert.equal(0, server:status())
    end)
  end

  it("may be of IPv6", function()
    local server <close> = inetd.start { code = NAMES, family = "v6" }
    local conn <close> = server:connect()
    assert.matches("^%[::1%]:%d+ %[::1%]:%d+$", conn:read_line())
    conn:close()
    assert.equal(0, server:status())
  end)

  it("has its log where the options say", function()
    local here <close> = folder.new()
    local server <close> = inetd.start { code = NAMES, log = here.path .. "/log" }
    local conn <close> = server:connect()
    conn:shutdown_write()
    assert.matches("^%S+ %S+\nthe end\n$", conn:read_all())
    assert.equal(0, server:status())
    assert.matches("warn  somebody came .*connection=127.0.0.1:%d+", here:read "log")
  end)

  it("ends where the script ends it, while the process goes on", function()
    local here <close> = folder.new()
    local server <close> = inetd.start {
      code = [[
        local task = require "moonwire.task"
        return function(conn, ctx)
          conn:write("bye\n")
          conn:close()
          while not io.open(ctx.config.gate) do task.sleep(0.02) end
        end
      ]],
      options = { "--stdio", "--set", "gate=" .. here.path .. "/gate" },
    }
    local conn <close> = server:connect()
    assert.equal("bye\n", conn:read_all())
    here:write("gate", "")
    assert.equal(0, server:status())
  end)

  it("is cut where the script cuts it", function()
    local server <close> = inetd.start { code = "return function(conn) conn:read_line() conn:abort() end" }
    local conn <close> = server:connect()
    conn:write "now\n"
    local _, err = conn:read_line()
    assert.equal("reset", err)
    assert.equal(0, server:status())
  end)

  it("has what is written at the end, however much that is", function()
    local server <close> = inetd.start { code = "return function(conn) conn:write(('x'):rep(3000000)) end" }
    local conn <close> = server:connect()
    assert.equal(3000000, #conn:read_all(4000000))
    assert.equal(0, server:status())
  end)
end)

describe("a service of requests", function()
  local CODE <const> = [[return { request = function(request, response)
    response:send(request.method .. " " .. request.path .. " " .. request.peer)
  end }]]

  it("answers those of the connection, and ends with it", function()
    local server <close> = inetd.start { code = CODE }
    local client <close> = http.new()
    local url = server.address:gsub("^tcp", "http")
    for _, path in ipairs { "/a", "/b", "/c" } do
      local answer = assert(client:get(url .. path))
      assert.matches("^GET " .. path .. " 127.0.0.1:%d+$", answer.body)
    end
    client:close()
    assert.equal(0, server:status())
  end)

  it("serves on pipes, where it has no peer", function()
    local status, _, output = moonwire.run {
      code = CODE:gsub("request.peer", "request.path"), options = { "--stdio" },
      input = "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    }
    assert.equal(0, status)
    assert.matches("GET /a /a.*GET /b /b$", output)
  end)

  it("waits for an answer that is being made when the input has ended", function()
    local status, _, output = moonwire.run {
      code = [[local task = require "moonwire.task"
        return { request = function(_, response) task.sleep(0.1) response:send("late") end }]],
      options = { "--stdio" }, input = "GET / HTTP/1.0\r\n\r\n",
    }
    assert.equal(0, status)
    assert.matches("late$", output)
  end)

  it("may turn to WebSocket", function()
    local server <close> = inetd.start {
      code = [[local websocket = require "moonwire.websocket"
        return { request = function(request, response)
          local ws = assert(websocket.accept(request, response))
          for message in ws:messages() do ws:send("got " .. message) end
        end }]],
    }
    local ws = assert(websocket.connect((server.address:gsub("^tcp", "ws"))))
    assert(ws:send "one")
    assert.equal("got one", (ws:receive()))
    ws:close()
    assert.equal(0, server:status())
  end)
end)

describe("the door", function()
  local function said(options, code)
    local status, errors, output = moonwire.run { code = code or DOORS, options = options }
    return status, errors, output
  end

  it("is the one that is named", function()
    for name, word in pairs { one = "first", two = "second" } do
      local status, _, output = said { "--stdio=" .. name }
      assert.equal(0, status)
      assert.equal(word .. "\n", output)
    end
  end)

  it("is the only one without a name", function()
    local status, _, output = said({ "--stdio" },
      "return { doors = { one = { connect = function(conn) conn:write('only') end } } }")
    assert.equal(0, status)
    assert.equal("only", output)
  end)

  it("has to be named where there are several, and to exist", function()
    for option, message in pairs {
      ["--stdio"] = "say --stdio=DOOR; the script has the doors one, two",
      ["--stdio=three"] = "--stdio=three: the script has no door of that name",
    } do
      local status, errors = said { option }
      assert.equal(1, status)
      assert.truthy(errors:find(message, 1, true), errors)
    end
    local status, errors = said({ "--stdio" }, "return { datagram = function() end }")
    assert.equal(1, status)
    assert.truthy(errors:find("--stdio: the script has no function 'connect' or 'request'", 1, true), errors)
  end)
end)

describe("TLS", function()
  local here, pair

  setup(function()
    here = folder.new()
    pair = authority.new(here):issue { "localhost", "127.0.0.1" }
  end)

  teardown(function()
    here:remove()
  end)

  local CODE <const> = [[return function(conn)
    conn:write(conn:tls().version, " ", conn:peer_address(), "\n")
    conn:write(conn:read_line(), "\n")
  end]]

  local function start(code)
    return inetd.start {
      code = code or CODE, options = { "--stdio", ("--tls=%s,%s"):format(pair.certificate, pair.key) },
    }
  end

  local function visit(address)
    return net.connect((address:gsub("^tcp", "tls")), { tls = { authorities = here.path .. "/ca.pem" } })
  end

  it("comes first with --tls", function()
    local server <close> = start()
    local conn <close> = assert(visit(server.address))
    assert.matches("^TLSv1.3 127.0.0.1:%d+$", conn:read_line())
    conn:write "hello\n"
    assert.equal("hello\n", conn:read_all())
    assert.equal(0, server:status())
  end)

  it("comes first for requests, too", function()
    local server <close> = start [[return { request = function(request, response)
      response:send(request.scheme) end }]]
    local client <close> = http.new { tls = { authorities = here.path .. "/ca.pem" } }
    local answer = assert(client:get((server.address:gsub("^tcp", "https"))))
    assert.equal("https", answer.body)
    client:close()
    assert.equal(0, server:status())
  end)

  it("comes in mid-stream by the script's option", function()
    local server <close> = inetd.start {
      code = ([[return {
        options = { tls = { certificate = %q, key = %q } },
        connect = function(conn)
          conn:read_line()
          conn:write("go\n")
          conn:flush()
          assert(conn:start_tls())
          conn:write(conn:tls().version, "\n")
        end,
      }]]):format(pair.certificate, pair.key),
    }
    local conn <close> = server:connect()
    conn:write "tls\n"
    assert.equal("go", conn:read_line())
    assert(conn:start_tls { name = "localhost", authorities = here.path .. "/ca.pem" })
    assert.equal("TLSv1.3\n", conn:read_all())
    assert.equal(0, server:status())
  end)

  it("that fails is a failure of the process", function()
    local server <close> = start()
    local conn <close> = server:connect()
    conn:write "GET / HTTP/1.1\r\n\r\n"
    conn:read_all()
    assert.equal(1, server:status())
  end)

  it("goes over pipes", function()
    local place <close> = folder.new()
    local script = place:write("script.lua", CODE)
    local both, path = place:write("both.pem", pair.pem .. pair.key_pem), place.path .. "/socket"
    local server <close> = process.start {
      "socat", "UNIX-LISTEN:" .. path,
      ("EXEC:%s run %s --stdio --tls=%s,pipes"):format(moonwire.binary, script, both),
    }
    local conn <close> = condition.wait_until(function() return net.connect("unix://" .. path) end)
    assert(conn:start_tls { name = "localhost", authorities = here.path .. "/ca.pem" })
    assert.equal("TLSv1.3 pipe", conn:read_line())
    conn:write "hello\n"
    assert.equal("hello\n", conn:read_all())
    assert.equal(0, server:wait(30))
  end)
end)

describe("the process", function()
  it("fails when the handler does", function()
    local status, errors = moonwire.run { code = "return function() error 'no' end", options = { "--stdio" } }
    assert.equal(1, status)
    assert.matches("script.lua:1: no", errors)
  end)

  it("does not fail when the peer does", function()
    local server <close> = inetd.start { code = "return function(conn) conn:read_line() end" }
    local conn <close> = server:connect()
    conn:abort()
    assert.equal(0, server:status())
  end)

  it("ends when it is asked to, with what the service does at its stop", function()
    local here <close> = folder.new()
    local server <close> = inetd.start {
      code = [[return {
        connect = function(conn) conn:write(moonwire and "" or "", "ready\n") conn:read_line() end,
        stop = function(ctx) io.open(ctx.config.trace, "w"):close() end,
      }]],
      options = { "--stdio", "--set", "trace=" .. here.path .. "/trace" },
    }
    local conn <close> = server:connect()
    assert.equal("ready", conn:read_line())
    local children = io.open(("/proc/%d/task/%d/children"):format(server.process:pid(), server.process:pid()))
    local pid = children:read "n"
    children:close()
    assert.equal(0, (process.run { "kill", "-TERM", tostring(pid) }))
    assert.equal("", conn:read_all())
    assert.equal(0, server:status())
    assert.equal("", here:read "trace")
  end)

  it("says that a listening socket is not a connection", function()
    local here <close> = folder.new()
    local server <close> = inetd.start { code = NAMES, how = "listening", log = here.path .. "/log" }
    assert.equal(1, server:status())
    assert.matches("standard input is a listening socket; serve it with %-%-listen fd://0", here:read "log")
  end)

  it("takes no other addresses beside, and TLS with nothing else", function()
    for option, message in pairs {
      ["--stdio"] = "--stdio is for one connection; it does not go with --listen",
      ["--tls"] = "--tls goes with --stdio",
    } do
      local options = { option, "--listen", "tcp://127.0.0.1:0" }
      local status, errors = moonwire.run { code = NAMES, options = options }
      assert.equal(2, status)
      assert.truthy(errors:find(message, 1, true), errors)
    end
  end)
end)

describe("scripts/mail.lua", function()
  it("answers at the door that is named", function()
    local here <close> = folder.new()
    local greetings = { ["--stdio"] = "220 ", ["--stdio=submission"] = "220 ", ["--stdio=pop3"] = "+OK" }
    for option, greeting in pairs(greetings) do
      local status, errors, output = moonwire.run {
        script = "scripts/mail.lua", input = "QUIT\r\n", seconds = 60,
        options = {
          option, "--set", "domain=example.org", "--set", "maildir=" .. here.path, "--set", "users.bob=S",
        },
      }
      assert.equal(0, status, errors)
      assert.equal(greeting, output:sub(1, #greeting), output)
    end
  end)
end)

describe("scripts/ftp.lua", function()
  it("serves a whole session, data connections and TLS included", function()
    local here <close> = folder.new()
    local server <close> = inetd.start {
      script = "scripts/ftp.lua",
      options = {
        "--stdio", "--set", "root=" .. here.path, "--set", "users.bob=SECRET", "--set", "tls=optional",
        "--set", "certificate=auto",
      },
    }
    local url = server.address:gsub("^tcp", "ftp")
    local status, output, errors = process.run {
      "curl", "--silent", "--show-error", "--insecure", "--ssl-reqd", "--user", "bob:SECRET",
      "--upload-file", "README.md", url .. "/one",
      "--next", "--silent", "--insecure", "--ssl-reqd", "--user", "bob:SECRET",
      url .. "/one",
      seconds = 60,
    }
    assert.equal(0, status, errors)
    assert.equal(here:read "one", output)
    assert.equal(0, server:status())
  end)
end)

describe("a PROXY header", function()
  it("names the peer of the one connection", function()
    local server <close> = inetd.start {
      code = [[return {
        options = { proxies = { "127.0.0.1" } },
        connect = function(conn) conn:write(conn:peer_address()) end,
      }]],
    }
    local conn <close> = server:connect()
    conn:write "PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n"
    assert.equal("192.0.2.7:1234", conn:read_all())
    assert.equal(0, server:status())
  end)
end)
