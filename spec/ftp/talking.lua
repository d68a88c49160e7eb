--- A client of FTP for specs: says lines, reads replies.
local net = require "moonwire.net"

local talking = {}

local SECONDS <const> = 20

---@class spec.ftp.client
---@field conn moonwire.stream
local Client = {}
Client.__index = Client

local function address_of(listener)
  return type(listener) == "string" and listener or "tcp://" .. listener:local_address()
end

--- Connects and takes the greeting; with a name it logs in.
---@param listener moonwire.listener|string
---@param name? string
---@param password? string
---@return spec.ftp.client
function talking.open(listener, name, password)
  local conn = assert(net.connect(address_of(listener), { read_timeout = SECONDS, timeout = SECONDS }))
  local self = setmetatable({ conn = conn }, Client)
  assert(self:reply():find "^220")
  if name then
    self:expect("331", "USER " .. name)
    self:expect("230", "PASS " .. password)
    self:expect("200", "TYPE I")
  end
  return self
end

--- A whole reply, lines joined by LF.
function Client:reply()
  local text = assert(self.conn:read_line())
  local code = text:match "^(%d%d%d)%-"
  while code and not text:find("\n" .. code .. " [^\n]*$") do
    text = text .. "\n" .. assert(self.conn:read_line())
  end
  return text
end

function Client:say(text)
  assert(self.conn:write(text, "\r\n"))
  return self:reply()
end

--- Says a line whose answer must begin so.
function Client:expect(beginning, text)
  local answer = self:say(text)
  if answer:sub(1, #beginning) ~= beginning then
    error(("%s: %s expected, got %s"):format(text, beginning, answer), 2)
  end
  return answer
end

--- The data connection that EPSV gives.
function Client:data()
  local port = self:expect("229", "EPSV"):match "|||(%d+)|"
  return assert(net.connect("tcp://127.0.0.1:" .. port, { read_timeout = SECONDS }))
end

--- What a command sends over a data connection.
function Client:get(text, ending)
  local data <close> = self:data()
  self:expect("150", text)
  local all = assert(data:read_all(64 * 1024 * 1024))
  local answer = self:reply()
  assert(answer:find("^" .. (ending or "226")), answer)
  return all
end

--- Sends bytes over a data connection; returns the reply.
function Client:put(text, bytes)
  local data <close> = self:data()
  self:expect("150", text)
  data:write(bytes)
  data:close()
  return self:reply()
end

function Client:close()
  self.conn:close()
end

Client.__close = Client.close

return talking
