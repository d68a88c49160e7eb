--- Servers of the binary under test, for specs.
---
---     local server <close> = moonwire.serve [[return function(conn) conn:write("hello") end]]
---     local conn = net.connect(server.address)
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local process = require "spec.support.process"

local moonwire = {}

--- The binary under test.
moonwire.binary = os.getenv "MOONWIRE" or "build/moonwire"

---@class spec.moonwire_options
---@field script? string path of a script
---@field code? string or its text, which is written to a file script.lua
---@field listen? string[] default one free port: { "tcp://127.0.0.1:0" }
---@field options? string[] further options of `moonwire run`, such as { "--log-level", "debug" }
---@field arguments? string[] for the script, after --
---@field env? table<string, string|false>

---@field input? string moonwire.run only: its standard input
---@field seconds? number moonwire.run only: what it may take; default 10

---@class spec.moonwire
---@field address string of the first listener: "tcp://127.0.0.1:40123", "unix:///tmp/x.sock"
---@field addresses string[] of all
---@field port? integer of the first listener
---@field script string path of the script
---@field process spec.process
local Server = {}
Server.__index = Server

local function command(options, script)
  local words = { moonwire.binary, "run", script, env = options.env }
  for _, address in ipairs(options.listen or {}) do
    words[#words + 1] = "--listen"
    words[#words + 1] = address
  end
  table.move(options.options or {}, 1, #(options.options or {}), #words + 1, words)
  if options.arguments then
    words[#words + 1] = "--"
    table.move(options.arguments, 1, #options.arguments, #words + 1, words)
  end
  return words
end

-- What the log says of a listener, with the scheme that net.connect wants.
local function with_scheme(address)
  return address:find("^%a+:/") and address or "tcp://" .. address
end

local function listening(log)
  local addresses = {}
  for line in log:gmatch("[^\n]+") do
    local address = line:match(" listening .-address=(%S+)") or line:match('"listening".-"address":"(.-)"')
    if address then
      addresses[#addresses + 1] = with_scheme(address:gsub('^"(.*)"$', "%1"))
    end
  end
  return addresses
end

local function await_listeners(self, count)
  condition.wait_until(function()
    self.addresses = listening(self:log())
    return #self.addresses >= count or self.process:status()
  end, 30, function()
    return "moonwire does not listen; its log:\n" .. self:log() .. "\n"
  end)
  if #self.addresses < count then
    error("moonwire ended: " .. self:log(), 3)
  end
  self.address = self.addresses[1]
  self.port = self.address and math.tointeger(tonumber(self.address:match(":(%d+)$")))
end

--- Starts `moonwire run` and waits until it listens everywhere.
---@param options string|spec.moonwire_options a string is the text of the script
---@return spec.moonwire
function moonwire.serve(options)
  options = type(options) == "string" and { code = options } or options
  options.listen = options.listen or { "tcp://127.0.0.1:0" }
  local place = folder.new()
  local self = setmetatable({ folder = place }, Server)
  self.script = options.script or place:write("script.lua", options.code)
  self.process = process.start(command(options, self.script))
  local ok, message = pcall(await_listeners, self, #options.listen)
  if not ok then
    self:stop()
    error(message, 2)
  end
  return self
end

--- Runs a script to its end.
---@param options string|spec.moonwire_options a string is the text; by default it does not listen
---@return integer status
---@return string errors its log
---@return string output
---@return string script its path
function moonwire.run(options)
  options = type(options) == "string" and { code = options } or options
  local place = folder.new()
  local script = options.script or place:write("script.lua", options.code)
  local words = command(options, script)
  words.input, words.seconds = options.input, options.seconds
  local ok, status, output, errors = pcall(process.run, words)
  place:remove()
  if not ok then
    error(status, 2)
  end
  return status, errors, output, script
end

--- Its log so far.
---@return string
function Server:log()
  return self.process:errors()
end

--- Waits until the log has an entry that matches, and returns its line.
---@param pattern string
---@param seconds? number default 5
---@return string line
function Server:wait_for_log(pattern, seconds)
  return condition.wait_for_entry(function() return self:log() end, pattern, seconds)
end

--- Ends it if it still runs. The log stays readable.
---@return integer? status
function Server:stop()
  local status = self.process:stop()
  self.folder:remove()
  return status
end

Server.__close = Server.stop

return moonwire
