--- Peers of TLS by Python's ssl: see spec/fixtures/tls.py.
local condition = require "spec.support.condition"
local json = require "moonwire.json"
local process = require "spec.support.process"

local python = {}

local function reports(output)
  local list = {}
  for line in output:gmatch "{[^\n]*}" do
    list[#list + 1] = assert(json.decode(line))
  end
  return list
end

--- Visits a server, and returns what each visit found.
---@param wish table
---@return table[]
function python.visit(wish)
  local words = { "python3", "spec/fixtures/tls.py", "client", json.encode(wish) }
  local status, output, errors = process.run(words)
  if status ~= 0 then
    error("tls.py: " .. errors, 2)
  end
  return reports(output)
end

--- Starts a client of several rounds of visits; a line to its `stdin` begins the next.
---@param wish table
---@return spec.process
function python.start(wish)
  return process.start { "python3", "spec/fixtures/tls.py", "client", json.encode(wish), stdin = "stream" }
end

--- Starts a server.
---@param wish table
---@return spec.process
---@return integer port
function python.serve(wish)
  local server = process.start { "python3", "spec/fixtures/tls.py", "server", json.encode(wish) }
  local port = condition.wait_until(function() return server:output():match "^(%d+)\n" end, 10, function()
    return "tls.py has no port: " .. server:errors()
  end)
  return server, math.tointeger(tonumber(port))
end

--- What a peer has found so far.
---@param peer spec.process
---@return table[]
function python.found(peer)
  return reports(peer:output())
end

return python
