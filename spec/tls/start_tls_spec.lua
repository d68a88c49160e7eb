-- TLS that begins in mid-stream.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local streams = require "spec.support.streams"
local task = require "moonwire.task"

local here, ca, www

setup(function()
  here = folder.new()
  ca = authority.new(here)
  www = ca:issue { "localhost", "127.0.0.1" }
end)

teardown(function()
  here:remove()
end)

local function pair_of(pair)
  return { certificate = pair.certificate, key = pair.key }
end

-- A dialogue as of SMTP: the server says what it heard in which state.
local function dialogue(conn)
  conn:write("220 ready\r\n")
  for line in conn:lines() do
    if line == "STARTTLS" then
      conn:write("220 go on\r\n")
      local ok, err, code = conn:start_tls(pair_of(www))
      if not ok then
        return nil, err, code
      end
    else
      conn:write(conn:tls() and "secret " or "clear ", line, "\r\n")
    end
  end
end

describe("start_tls", function()
  local log

  before_each(function() log = {} end)

  it("makes a connection in clear one of TLS, in both roles", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", dialogue))
    local conn <close> = assert(net.connect("tcp://" .. listener:local_address()))
    assert.equal("220 ready", conn:read_line())
    conn:write("EHLO\r\n")
    assert.equal("clear EHLO", conn:read_line())
    assert.is_nil(conn:tls())
    conn:write("STARTTLS\r\n")
    assert.equal("220 go on", conn:read_line())
    assert.equal(conn, conn:start_tls { authorities = ca.file })
    assert.equal("TLSv1.3", conn:tls().version)
    assert.equal("CN=localhost", conn:tls().certificate.subject) -- the name is that of the address
    conn:write("EHLO\r\n")
    assert.equal("secret EHLO", conn:read_line())
  end)

  it("has the certificates of another connection, also where this end has connected", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      local port = conn:read_line()
      local second = assert(net.connect("tcp://127.0.0.1:" .. port))
      local _, fault = pcall(second.start_tls, second, conn, { ticket = true })
      log[#log + 1] = fault:match "unknown option"
      assert(second:start_tls(conn, { tickets = false }))
      second:write("hello\n")
      conn:close()
      local third, _, code = net.pair():start_tls(conn)
      log[#log + 1] = third == nil and code
    end, { tls = pair_of(www) }))
    local client <close> = assert(net.connect("tcp://" .. listener:local_address()))
    local own <close> = assert(net.listen "tcp://127.0.0.1:0")
    client:write(own:local_address():match ":(%d+)$", "\n")
    local second <close> = assert(own:accept(10))
    assert(second:start_tls { role = "client", name = "localhost", authorities = ca.file })
    assert.equal("hello", second:read_line())
    assert.is_nil(client:read_some())
    assert.same({ "unknown option", "closed" }, log)
  end)

  it("resumes the session of a connection to another port of the same server", function()
    local seen = {}
    local function note(conn)
      seen[#seen + 1] = conn:tls()
      conn:write("hello\n")
    end
    local first <close> = assert(net.serve("tls://127.0.0.1:0", note, { tls = pair_of(www) }))
    local second <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      assert(conn:start_tls(pair_of(www)))
      note(conn)
    end, { tls = pair_of(www) }))
    local tls = { name = "localhost", authorities = ca.file }
    local one <close> = assert(net.connect("tls://" .. first:local_address(), { tls = tls }))
    assert.equal("hello", one:read_line())
    for i, other in ipairs { false, one } do
      local two <close> = assert(net.connect("tcp://" .. second:local_address()))
      assert(two:start_tls(tls, other or nil))
      assert.equal("hello", two:read_line())
      assert.equal(i == 2, two:tls().resumed)
      assert.is_nil(two:tls().lineage)
    end
    assert.equal(16, #seen[1].lineage)
    assert.equal(seen[1].lineage, seen[3].lineage)
    assert.not_equal(seen[1].lineage, seen[2].lineage)
  end)

  it("refuses what came in clear before the handshake", function()
    local result
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      conn:read_line()
      result = table.pack(conn:start_tls(pair_of(www)))
    end))
    local conn <close> = assert(net.connect("tcp://" .. listener:local_address()))
    conn:write("STARTTLS\r\nRCPT TO:<victim>\r\n")
    conn:read_all()
    assert.is_nil(result[1])
    assert.equal("protocol", result[3])
    assert.matches("clear", result[2])
  end)

  it("says what goes wrong, and closes", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", dialogue))
    local function begin(options)
      local conn = assert(net.connect("tcp://" .. listener:local_address()))
      conn:read_line()
      conn:write("STARTTLS\r\n")
      conn:read_line()
      local ok, err, code = conn:start_tls(options)
      assert.is_nil(ok)
      assert.is_false(conn:is_open())
      return err, code
    end
    local err, code = begin { authorities = ca.file, name = "other.test" }
    assert.matches("^tls handshake 127%.0%.0%.1:%d+: .*not for other%.test", err)
    assert.equal("certificate", code)
    err = begin()
    assert.matches("^tls handshake 127%.0%.0%.1:%d+: ", err)
  end)

  it("takes the certificates of its listener", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      conn:read_line()
      conn:write("go on\n")
      assert(conn:start_tls())
      conn:write("hello\n")
    end, { tls = pair_of(www) }))
    local conn <close> = assert(net.connect("tcp://" .. listener:local_address()))
    conn:write("STARTTLS\n")
    conn:read_line()
    assert(conn:start_tls { authorities = ca.file })
    assert.equal("hello", conn:read_line())
  end)

  it("needs to know who is who", function()
    local a, b = net.pair()
    local ok, message = pcall(a.start_tls, a, { verify = "none" })
    assert.is_false(ok)
    assert.matches("option 'role' is needed", message)
    ok, message = pcall(a.start_tls, a, { role = "waiter" })
    assert.is_false(ok)
    assert.matches("option 'role': \"server\" or \"client\" expected", message)
    ok, message = pcall(a.start_tls, a, { role = "client" })
    assert.is_false(ok)
    assert.matches("option 'name' is needed", message)
    ok, message = pcall(b.start_tls, b, { role = "server" })
    assert.is_false(ok)
    assert.matches("a server needs a certificate", message)
  end)

  it("works in memory, and within TLS", function()
    local a, b = net.pair()
    for level = 1, 3 do
      local server = task.spawn(function()
        assert(b:start_tls { role = "server", certificate = www.certificate, key = www.key })
      end)
      task.sleep(0) -- what comes before a server begins is in clear to it
      assert(a:start_tls { role = "client", authorities = ca.file, name = "localhost" })
      server:join()
      a:write("level ", level, "\n")
      assert.equal("level " .. level, b:read_line())
      b:write("back ", level, "\n")
      assert.equal("back " .. level, a:read_line())
    end
    a:close()
    assert.is_nil((b:read_line()))
    b:close()
  end)

  it("is busy with nobody else, and ends with the connection", function()
    local ours, theirs = streams.tcp()
    local results = {}
    local waiting = task.spawn(function()
      results = table.pack(ours:start_tls { verify = "none", name = "x" })
    end)
    task.sleep(0.01)
    assert.equal("busy", select(2, ours:read_line()))
    assert.equal("busy", select(2, ours:start_tls { verify = "none", name = "x" }))
    ours:close()
    waiting:join()
    assert.equal("closed", results[2])
    theirs:close()
  end)

  it("ends when its peer leaves", function()
    local ours, theirs = streams.tcp()
    local leaving = task.spawn(function()
      theirs:read_some()
      theirs:close()
    end)
    local ok, err = ours:start_tls { verify = "none", name = "x" }
    assert.is_nil(ok)
    assert.is_string(err)
    assert.is_false(ours:is_open())
    leaving:join()
  end)

  it("ends with the deadline of its scope, and with its task", function()
    local ours, theirs = streams.tcp()
    local done, err = task.with_timeout(0.03, ours.start_tls, ours, { verify = "none", name = "x" })
    assert.is_nil(done)
    assert.equal("timeout", err)
    assert.is_false(ours:is_open())
    theirs:close()
    ours, theirs = streams.tcp()
    local waiting = task.spawn(ours.start_tls, ours, { verify = "none", name = "x" })
    task.sleep(0.01)
    waiting:cancel()
    pcall(waiting.join, waiting)
    assert.is_false(ours:is_open())
    theirs:close()
  end)

  it("has a time of its own", function()
    local ours, theirs = streams.tcp()
    local ok, err = ours:start_tls { verify = "none", name = "x", handshake_timeout = 0.03 }
    assert.is_nil(ok)
    assert.equal("timeout", err)
    theirs:close()
    assert.same({ nil, "closed", "closed" }, { ours:start_tls { verify = "none" } })
  end)
end)
