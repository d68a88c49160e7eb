--- What the first lines of an example say is to be typed, for specs: the lines
--- of its header that are indented by three. Servers among them are started;
--- the ports they name stand for free ones.
---
---     local chat <close> = session.start "chat"
---     local ann <close> = terminal.open(chat.commands[1])
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"

local session = {}

---@class spec.session
---@field commands string[] what is to be typed in another terminal
---@field servers spec.moonwire[] in the order of the header
---@field ports table<string, integer> the port named in the header → the one in use
local Session = {}
Session.__index = Session

---@param path string of a script
---@return string[] commands of its header
function session.commands(path)
  local commands = {}
  for line in io.lines(path) do
    if not line:find("^%-%-") then
      break
    end
    commands[#commands + 1] = line:match("^%-%-   (%S.*)$")
  end
  return commands
end

--- A session in which nothing was started, for headers that say more than how to run the example.
---@param ports table<string, integer> the port named in the header → the one in use
---@return spec.session
function session.new(ports)
  return setmetatable({ commands = {}, servers = {}, ports = ports }, Session)
end

--- A port that nobody listens on.
---@return integer
function session.free_port()
  local listener <close> = assert(net.listen("tcp://127.0.0.1:0"))
  return math.tointeger(tonumber(listener:local_address():match("%d+$")))
end

--- The command with this binary, and with the ports in use.
---@param command string
---@return string
function Session:translate(command)
  command = command:gsub("%f[%d]%d%d%d%d%f[%D]", self.ports)
  return (command:gsub("build/moonwire", moonwire.binary))
end

local function words_of(text)
  local words = {}
  for word in text:gmatch("%S+") do
    words[#words + 1] = word
  end
  return words
end

-- "build/moonwire run SCRIPT --listen ADDRESS --set KEY=VALUE"
local function serve(self, command)
  local words = words_of(command)
  local options = { script = words[3], listen = {}, options = {} }
  for i = 4, #words, 2 do
    if words[i] == "--listen" then
      table.insert(options.listen, (words[i + 1]:gsub("%d+$", "0")))
    else
      table.move({ words[i], self:translate(words[i + 1]) }, 1, 2, #options.options + 1, options.options)
    end
  end
  local server = moonwire.serve(options)
  table.insert(self.servers, server)
  self.ports[command:match("%-%-listen%s+%S+:(%d+)")] = server.port
end

local function is_server(command)
  return command:find("^build/moonwire run ") and command:find(" --listen ", 1, true)
end

--- Starts what the header of examples/NAME.lua says.
---@param name string
---@return spec.session
function session.start(name)
  local self = session.new {}
  for _, command in ipairs(session.commands(("examples/%s.lua"):format(name))) do
    if is_server(command) then
      local ok, message = pcall(serve, self, command)
      if not ok then
        self:stop()
        error(message, 2)
      end
    else
      table.insert(self.commands, command)
    end
  end
  for i, command in ipairs(self.commands) do
    self.commands[i] = self:translate(command)
  end
  return self
end

--- Ends the servers.
---@return integer? status of the last one
function Session:stop()
  local status
  for i = #self.servers, 1, -1 do
    status = self.servers[i]:stop()
  end
  return status
end

Session.__close = Session.stop

return session
