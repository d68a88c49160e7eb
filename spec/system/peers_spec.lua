local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local peer = require "spec.system.peer"
local process = require "spec.support.process"

local ECHO <const> = [[
return function(conn)
  for chunk in conn:chunks() do
    conn:write(chunk)
  end
end]]

local TEXT <const> = "one\ntwo\n" .. ("three "):rep(5000) .. "\n"

local function has_ipv6()
  local listener <close> = net.listen("tcp://[::1]:0")
  return listener ~= nil
end

-- A place for sockets: $FOLDER, $NAME for abstract ones, and the $PORT once it is known.
local function fill_in(text, place, port)
  return (text:gsub("%$(%u+)", { FOLDER = place.path, NAME = place.path:match("[^/]+$"), PORT = port }))
end

describe("a server", function()
  local CLIENTS <const> = {
    { "nc over IPv4", "tcp://127.0.0.1:0", "nc -N 127.0.0.1 $PORT" },
    { "nc over IPv6", "tcp://[::1]:0", "nc -N ::1 $PORT" },
    { "nc over a Unix socket", "unix://$FOLDER/socket", "nc -N -U $FOLDER/socket" },
    { "socat over IPv4", "tcp://127.0.0.1:0", "socat -t 5 - TCP4:127.0.0.1:$PORT" },
    { "socat over IPv6", "tcp://[::1]:0", "socat -t 5 - 'TCP6:[::1]:$PORT'" },
    { "socat over a Unix socket", "unix://$FOLDER/socket", "socat -t 5 - UNIX-CONNECT:$FOLDER/socket" },
    { "socat over an abstract socket", "unix://@$NAME", "socat -t 5 - ABSTRACT-CONNECT:$NAME" },
  }

  for _, case in ipairs(CLIENTS) do
    local name, address, command = table.unpack(case)
    it("answers " .. name .. ", also after the end of its input", function()
      if address:find("::1", 1, true) and not has_ipv6() then
        return pending "there is no IPv6 here"
      end
      local place <close> = folder.new()
      local server <close> = moonwire.serve { code = ECHO, listen = { fill_in(address, place) } }
      local words = fill_in(command, place, server.port)
      local status, output = process.run { "sh", "-c", "exec " .. words, input = TEXT }
      assert.are.equal(TEXT, output)
      assert.are.equal(0, status)
    end)
  end

  it("gives a Python client every byte back, whatever the size of its pieces", function()
    local server <close> = moonwire.serve(ECHO)
    local client <close> = peer.start("transfer", server.port, 4000000)
    assert.are.equal(0, client:wait(20))
    assert.are.equal("the same 4000000\n", client:output())
  end)

  it("reads to the end of a half-closed connection, and answers then", function()
    local server <close> = moonwire.serve [[
      return function(conn)
        local text = conn:read_all()
        conn:write(#text, " bytes: ", text)
      end]]
    local status, output = process.run { "nc", "-N", "127.0.0.1", server.port, input = "abc" }
    assert.are.same({ 0, "3 bytes: abc" }, { status, output })
    local client <close> = peer.start("half_close", server.port, "defg")
    assert.are.equal(0, client:wait())
    assert.are.equal("4 bytes: defg\n", client:output())
  end)

  it("hears what a client says after the server has ended its own direction", function()
    local server <close> = moonwire.serve [[
      return function(conn)
        conn:write("that is all")
        conn:shutdown_write()
        local ok, _, code = conn:write("more")
        require "moonwire.log".info("heard", { text = conn:read_all(), write = tostring(ok), code = code })
      end]]
    local client <close> = peer.start("talk_on", server.port, "not all")
    local line = server:wait_for_log("heard")
    assert.matches('text="not all"', line)
    assert.matches("write=nil", line)
    assert.matches("code=closed", line)
    assert.are.equal(0, client:wait())
    assert.are.equal("read 11\n", client:output())
  end)

  it("goes on when a client is killed in the middle of an upload", function()
    local server <close> = moonwire.serve [[
      return function(conn)
        local total = 0
        for chunk in conn:chunks() do
          total = total + #chunk
          if total == #chunk then
            require "moonwire.log".info("begun")
          end
        end
        conn:write(total)
      end]]
    local client <close> = peer.start("endless", server.port)
    server:wait_for_log("begun")
    client:signal "KILL"
    assert.are.equal(128 + 9, client:wait())
    assert.are.same({ 0, "5", "" }, { process.run { "nc", "-N", "127.0.0.1", server.port, input = "hello" } })
    assert.is_nil(server:log():find(" error ", 1, true))
  end)

  it("goes on when a client is killed in the middle of a download", function()
    local server <close> = moonwire.serve [[
      return function(conn)
        conn:read_line()
        local piece, ok, err, code = ("x"):rep(16384), true, nil, nil
        while ok do
          ok, err, code = conn:write(piece)
        end
        require "moonwire.log".info("download ended", { err = err, code = code })
      end]]
    local client <close> = peer.start("deaf", server.port)
    peer.await_output(client, "connected")
    client:signal "KILL"
    assert.matches("code=reset", server:wait_for_log("download ended"))
    assert.is_nil(server:log():find(" error ", 1, true))
  end)
end)

describe("a client", function()
  local SERVERS <const> = {
    { "socat over IPv4", "TCP4-LISTEN:0,bind=127.0.0.1", "tcp://127.0.0.1:$PORT" },
    { "socat over IPv6", "TCP6-LISTEN:0,bind=[::1]", "tcp://[::1]:$PORT" },
    { "socat over a Unix socket", "UNIX-LISTEN:$FOLDER/socket", "unix://$FOLDER/socket" },
    { "socat over an abstract socket", "ABSTRACT-LISTEN:$NAME", "unix://@$NAME" },
  }

  for _, case in ipairs(SERVERS) do
    local name, listen, address = table.unpack(case)
    it("talks to " .. name, function()
      if listen:find("::1", 1, true) and not has_ipv6() then
        return pending "there is no IPv6 here"
      end
      local place <close> = folder.new()
      local server <close> = process.start { "socat", "-d", "-d", "-t5", fill_in(listen, place), "EXEC:cat" }
      local port = peer.await_output(server, "listening on AF=%d+ .-:?(%w+)[\"\n]")
      local conn <close> = assert(net.connect(fill_in(address, place, port)))
      assert(conn:write(TEXT))
      assert(conn:shutdown_write())
      assert.are.equal(TEXT, conn:read_all())
      assert.are.equal(0, server:wait())
    end)
  end

  it("talks to nc, which ends its direction first", function()
    local server <close> = process.start { "nc", "-lvnN", "127.0.0.1", "0", input = TEXT }
    local port = peer.await_output(server, "Listening on 127%.0%.0%.1 (%d+)")
    local conn <close> = assert(net.connect("tcp://127.0.0.1:" .. port))
    assert.are.equal(TEXT, conn:read_all())
    assert(conn:write("still here"))
    conn:close()
    assert.are.equal(0, server:wait())
    assert.are.equal("still here", server:output())
  end)

  it("keeps what a server said before it was killed, and learns of its end", function()
    local server <close> = peer.start("serve", 0, "half an ans")
    local address = "tcp://127.0.0.1:" .. peer.await_output(server, "listening (%d+)")
    local conn <close> = assert(net.connect(address))
    peer.await_output(server, "said")
    server:signal "KILL"
    assert.are.same({ "eof", "eof" }, { select(2, conn:read(20)) })
    assert.are.equal("half an ans", conn:read_some())
    server:wait()
    assert.are.equal("refused", select(3, net.connect(address)))
  end)

  it("learns of the end of a Moonwire server that is killed in mid-write", function()
    local server <close> = moonwire.serve [[
      return function(conn)
        local piece = ("x"):rep(16384)
        while conn:write(piece) do
        end
      end]]
    local conn <close> = assert(net.connect(server.address))
    assert(conn:read(100000))
    server.process:signal "KILL"
    local taken, piece, err = 0, "", nil
    while piece do
      piece, err = conn:read_some()
      taken = taken + #(piece or "")
    end
    assert.is_true(err == "eof" or err:find("reset", 1, true) ~= nil, err)
    assert.is_true(taken > 0)
  end)
end)
