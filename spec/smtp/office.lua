--- A server of mail for specs, which keeps what it gets.
---
---     local office <close> = office.open { hostname = "mx.example.org" }
---     office:connect() ... office.messages[1].text
local net = require "moonwire.net"
local smtp = require "moonwire.smtp.server"

local office = {}

local SECONDS <const> = 20

---@class spec.office
---@field address string
---@field messages table[] envelopes with the field text
---@field aborted integer
---@field closed integer connections that have ended
local Office = {}
Office.__index = Office

-- What recipients of that name make happen.
local REFUSALS <const> = {
  nobody = function() return nil, "no such file", "not_found" end,
  told = function() return nil, "not on a Sunday", "550 5.7.1" end,
  full = function() return nil, "disk", "full" end,
  silent = function() return false end,
  boom = function() error("boom") end,
}

local function sink_of(self, envelope)
  local parts = {}
  local first = envelope.recipients[1].local_part
  return {
    write = function(_, chunk)
      parts[#parts + 1] = chunk
      if first == "unwritable" then
        return nil, "disk", "full"
      end
      return true
    end,
    commit = function()
      if first == "uncommitted" then
        return nil, "disk", "system"
      end
      envelope.text = table.concat(parts)
      table.insert(self.messages, envelope)
      return true, first == "named" and "kept as 1" or nil
    end,
    abort = function()
      self.aborted = self.aborted + 1
    end,
  }
end

local function policy_of(self, more)
  local policy = {
    on_recipient = function(_, recipient)
      local refuse = REFUSALS[recipient.local_part]
      if refuse then
        return refuse()
      end
      return true
    end,
    on_message = function(_, envelope)
      return sink_of(self, envelope)
    end,
    on_close = function()
      self.closed = self.closed + 1
    end,
  }
  for name, callback in pairs(more or {}) do
    policy[name] = callback
  end
  return policy
end

--- Opens it.
---@param options? moonwire.smtp.server_options
---@param policy? moonwire.smtp.policy instead of, or besides, its own
---@param connections? moonwire.serve_options
---@return spec.office
function office.open(options, policy, connections)
  local self = setmetatable({ messages = {}, aborted = 0, closed = 0 }, Office)
  local settings = { hostname = "mx.example.org" }
  for name, value in pairs(options or {}) do
    settings[name] = value
  end
  self.listener = assert(smtp.serve("tcp://127.0.0.1:0", policy_of(self, policy), settings, connections))
  self.address = "tcp://" .. self.listener:local_address()
  return self
end

--- A connection that was not greeted yet.
---@return moonwire.stream
function Office:connect()
  return assert(net.connect(self.address, { read_timeout = SECONDS }))
end

--- Sends bytes, ends, and returns all that comes.
---@param ... string
---@return string
function Office:tell(...)
  local conn <close> = self:connect()
  conn:write(...)
  conn:shutdown_write()
  return assert(conn:read_all())
end

--- The codes of replies, with their enhanced ones: "220 250 5.1.1".
---@param text string
---@return string
function office.codes(text)
  local codes = {}
  for line in text:gmatch("([^\r\n]+)\r\n") do
    if line:find("^%d%d%d ") then
      codes[#codes + 1] = line:match("^%d+ (%d%.%d%.%d+)") or line:sub(1, 3)
    end
  end
  return table.concat(codes, " ")
end

function Office:__close()
  self.listener:close()
end

return office
