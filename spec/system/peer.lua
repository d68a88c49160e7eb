--- Foreign peers of the behaviours in spec/fixtures/peer.py and crowd.py.
---
---     local client <close> = peer.start("deaf", server.port)
---     peer.await_output(client, "connected")
local condition = require "spec.support.condition"
local net = require "moonwire.net"
local process = require "spec.support.process"
local timer = require "moonwire.timer"

local peer = {}

---@param behaviour string a function of peer.py
---@param port integer
---@param ... string|integer its further arguments
---@return spec.process
function peer.start(behaviour, port, ...)
  return process.start { "python3", "spec/fixtures/peer.py", behaviour, port, ... }
end

--- Many clients in one process.
---@param mode "hold"|"shout"|"burst"
---@param port integer
---@param count integer
---@return spec.process
function peer.crowd(mode, port, count)
  local stdin = mode == "shout" and "stream" or nil
  return process.start { "python3", "spec/fixtures/crowd.py", mode, port, count, stdin = stdin }
end

--- Waits until what a program wrote matches.
---@param program spec.process
---@param pattern string
---@param seconds? number default 10
---@return string capture the first one, or the whole match
function peer.await_output(program, pattern, seconds)
  local function written()
    return program:output() .. program:errors()
  end
  return condition.wait_until(function()
    return written():match(pattern)
  end, seconds or 10, function()
    return ("%s does not write %q but %q"):format(program.name, pattern, written())
  end)
end

--- A connection to an echo server whose answer is awaited, and how long that took.
---@param address string
---@return number seconds
function peer.echo(address)
  local begun = timer.now()
  local conn <close> = assert(net.connect(address))
  assert(conn:write("are you there?\n"))
  assert(conn:read_line() == "are you there?")
  return timer.now() - begun
end

--- The slowest of echoes that follow one another for as long as a condition does not hold.
---@param address string
---@param fn fun(): any true ends it
---@param seconds? number the most it may take; default 10
---@return number seconds
function peer.slowest_echo_until(address, fn, seconds)
  local slowest = 0
  condition.wait_until(function()
    slowest = math.max(slowest, peer.echo(address))
    return fn()
  end, seconds or 10)
  return slowest
end

return peer
