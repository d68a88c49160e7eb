-- Services under super-servers of others: OpenBSD's inetd, and socat.
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local test = require "moonwire.test"

test.deadline(120)

local ECHO <const> = [[
local log = require "moonwire.log"
return function(conn)
  log.warn("somebody came")
  conn:write(conn:peer_address(), "\n")
  for line in conn:lines() do
    conn:write(line, "\n")
  end
end
]]

local function said_by(...)
  local _, output = process.run { ... }
  return (output:gsub("%s+$", ""))
end

local function free_port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener:local_address():match ":(%d+)$"
end

-- inetd with one line, and the port that it serves.
local function serve(place, command)
  local port = free_port()
  local config = place:write("inetd.conf", ("127.0.0.1:%s stream tcp nowait %s %s moonwire run %s\n"):format(
    port, said_by("id", "-un"), said_by("realpath", moonwire.binary), command))
  return process.start { "inetd", "-i", config }, port
end

local function connect(port)
  return condition.wait_until(function() return net.connect("tcp://127.0.0.1:" .. port) end)
end

local function talk(port)
  local conn <close> = connect(port)
  assert.equal(conn:local_address(), conn:read_line())
  conn:write "hello\n"
  assert.equal("hello", conn:read_line())
  conn:shutdown_write()
  assert.equal("", conn:read_all())
end

describe("inetd", function()
  it("has a process for each connection, and the peer nothing of the log", function()
    local place <close> = folder.new()
    local inetd <close>, port = serve(place, place:write("echo.lua", ECHO) .. " --stdio")
    for _ = 1, 3 do
      talk(port)
    end
    assert.is_nil(inetd:status())
  end)

  it("serves files by FTP, with TLS", function()
    local place <close> = folder.new()
    local settings = "--set users.bob=SECRET --set tls=optional --set certificate=auto"
    local inetd <close>, port = serve(place, ("%s --stdio --set root=%s %s"):format(
      said_by("realpath", "scripts/ftp.lua"), place.path, settings))
    connect(port):close()
    local status, output = process.run {
      "lftp", "-u", "bob,SECRET", "-p", port, "-e",
      "set ssl:verify-certificate no; set ftp:ssl-force yes; put README.md -o there; ls; "
        .. ("get there -o %s/back; bye"):format(place.path),
      "127.0.0.1", seconds = 60,
    }
    assert.equal(0, status)
    assert.matches("there", output)
    assert.equal(place:read "there", place:read "back")
    assert.is_nil(inetd:status())
  end)
end)

describe("socat", function()
  it("has a process for each connection", function()
    local place <close> = folder.new()
    local port = free_port()
    local command = ("EXEC:%s run %s --stdio"):format(moonwire.binary, place:write("echo.lua",
      (ECHO:gsub("conn:peer_address%(%)", "os.getenv 'SOCAT_PEERADDR', ':', os.getenv 'SOCAT_PEERPORT'"))))
    local socat <close> = process.start {
      "socat", ("TCP-LISTEN:%s,bind=127.0.0.1,reuseaddr,fork"):format(port), command,
    }
    for _ = 1, 3 do
      talk(port)
    end
    assert.matches("somebody came", socat:errors())
  end)
end)
