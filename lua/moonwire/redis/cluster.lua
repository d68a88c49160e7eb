--- The servers of a cluster of Redis: which one has which key. Not for scripts.
---
--- What is known comes from redirections alone: a key that nobody has told of is looked for at the server of
--- the URL. A server that does not answer is forgotten, and the others are asked who has its keys now.
local command = require "moonwire.redis.command"
local connections = require "moonwire.redis.connections"
local reply = require "moonwire.redis.reply"

---@class moonwire.redis.cluster
---@field private home moonwire.redis.connections of the server of the URL
---@field private nodes table<string, moonwire.redis.connections> the others by their addresses
---@field private slots table<integer, moonwire.redis.connections>
local Cluster = {}
Cluster.__index = Cluster

local SLOTS <const> = 16384
local NODES_MOST <const> = 1000 -- as many as a cluster should have
local REDIRECTIONS_MOST <const> = 5 -- of one command
local ASKING <const> = command.encode { "ASKING" }

---@param settings table
---@param home moonwire.redis.connections
---@return moonwire.redis.cluster
function Cluster.new(settings, home)
  return setmetatable({ settings = settings, home = home, nodes = {}, node_count = 0, slots = {} }, Cluster)
end

-- CRC-16 of XMODEM, bit by bit for each byte once.
local CRC <const> = {}
for byte = 0, 255 do
  local value = byte << 8
  for _ = 1, 8 do
    value = value & 0x8000 ~= 0 and (value << 1) ~ 0x1021 or value << 1
  end
  CRC[byte] = value & 0xffff
end

--- The slot of a key: that of what stands in its first braces, if anything does.
---@param key string
---@return integer
function Cluster.slot(key)
  local tag, value = key:match("{(.-)}"), 0
  local hashed = tag and tag ~= "" and tag or key
  for index = 1, #hashed do
    value = (value << 8 & 0xffff) ~ CRC[value >> 8 ~ hashed:byte(index)]
  end
  return value % SLOTS
end

-- One that answered when it was last asked, as far as any did.
local function well_one(self)
  if self.home:is_well() then
    return self.home
  end
  for _, node in next, self.nodes do
    if node:is_well() then
      return node
    end
  end
end

--- The connections to the server that is said to have a key; to another when that one does not answer.
---@param key? string|number nil: to any
---@return moonwire.redis.connections
function Cluster:of(key)
  local node = key and next(self.slots) and self.slots[Cluster.slot(tostring(key))] or self.home
  return node:is_well() and node or well_one(self) or node
end

local function node_at(self, place)
  local scheme, host = self.settings.address:match("^(%l+://)(.*):%d+$")
  if not scheme then
    return nil -- a Unix socket
  end
  local other_host, port = place:match("^(.*):(%d+)$")
  if not port or other_host:find("[^%w%-._:%[%]]") then
    return nil
  end
  host = other_host == "" and host or other_host
  host = host:find(":", 1, true) and not host:find("^%[") and "[" .. host .. "]" or host
  local address = scheme .. host .. ":" .. port
  if address == self.settings.address then
    return self.home
  elseif not self.nodes[address] and self.node_count < NODES_MOST then
    local settings = setmetatable({ address = address }, { __index = self.settings })
    self.nodes[address], self.node_count = connections.new(settings), self.node_count + 1
  end
  return self.nodes[address]
end

--- Where a redirection leads.
---@param value any a reply
---@return moonwire.redis.connections? node nil: it is none
---@return boolean? is_ask for this command alone
function Cluster:redirection(value)
  local kind = reply.is_error(value) and value.kind
  if kind ~= "MOVED" and kind ~= "ASK" then
    return nil
  end
  local slot, place = value.message:match("^%u+ (%d+) (%S+)$")
  local node = place and node_at(self, place)
  if node and kind == "MOVED" and #slot <= 5 then
    self.slots[tonumber(slot)] = node
  end
  return node, kind == "ASK"
end

local function forget(self, node)
  for slot, known in next, self.slots do
    if known == node then
      self.slots[slot] = nil
    end
  end
end

local function exchange(self, node, bytes, count, seconds)
  local link, err, code = node:shared()
  if not link then
    forget(self, node)
    return nil, err, code
  end
  return link:exchange(bytes, count, seconds)
end

-- The first attempt: where nobody answers nothing was sent, and any other server says who has the key.
local function exchange_with_any(self, node, bytes, count, seconds)
  local link, err, code = node:shared()
  while not link do
    forget(self, node)
    node = well_one(self)
    if not node then
      return nil, err, code
    end
    link = node:shared()
  end
  return link:exchange(bytes, count, seconds)
end

local function follow(self, replies, bytes, seconds)
  local err, code
  for _ = 1, REDIRECTIONS_MOST do
    local node, is_ask = self:redirection(replies[#replies])
    if not node then
      return { replies[#replies] }
    end
    replies, err, code = exchange(self, node, (is_ask and ASKING or "") .. bytes, is_ask and 2 or 1, seconds)
    if not replies then
      return nil, err, code
    end
  end
  return { replies[#replies] }
end

--- A command at the server that has its key.
---@param key? string|number
---@param bytes string
---@param seconds number
---@return any[]? replies one
---@return string? err
---@return moonwire.code? code
function Cluster:call(key, bytes, seconds)
  local replies, err, code = exchange_with_any(self, self:of(key), bytes, 1, seconds)
  if not replies then
    return nil, err, code
  end
  return follow(self, replies, bytes, seconds)
end

-- The places of commands in a list, by server, in the order of their first.
local function by_node(self, keys, count)
  local groups, order = {}, {}
  for index = 1, count do
    local node = self:of(keys[index])
    if not groups[node] then
      groups[node] = {}
      order[#order + 1] = node
    end
    table.insert(groups[node], index)
  end
  return groups, order
end

--- Commands at the servers that have their keys; what belongs to one server goes there at once.
---@param keys table<integer, string|number>
---@param pieces string[] the commands
---@param seconds number
---@return any[]? replies
---@return string? err
---@return moonwire.code? code
function Cluster:pipeline(keys, pieces, seconds)
  local groups, order = by_node(self, keys, #pieces)
  local all = {}
  for _, node in ipairs(order) do
    local bytes = {}
    for place, index in ipairs(groups[node]) do
      bytes[place] = pieces[index]
    end
    local replies, err, code = exchange_with_any(self, node, table.concat(bytes), #bytes, seconds)
    for place, index in ipairs(groups[node]) do
      local followed = replies
      if replies then
        followed, err, code = follow(self, { replies[place] }, pieces[index], seconds)
      end
      if not followed then
        return nil, err, code
      end
      all[index] = followed[1]
    end
  end
  return all
end

--- A transaction, whose keys are all in one slot: again where its first refusal leads to, for then nothing
--- was done.
---@param key? string|number
---@param bytes string
---@param count integer
---@param seconds number
---@return any[]? replies
---@return string? err
---@return moonwire.code? code
function Cluster:transaction(key, bytes, count, seconds)
  local node, replies, err, code = self:of(key), nil, nil, nil
  for redirections = 0, REDIRECTIONS_MOST do
    local attempt = redirections == 0 and exchange_with_any or exchange
    replies, err, code = attempt(self, node, bytes, count, seconds)
    local moved
    for _, value in ipairs(replies or {}) do
      moved = moved or self:redirection(value)
    end
    if not moved or not reply.is_error(replies[count]) then
      break
    end
    node = moved
  end
  return replies, err, code
end

--- Closes the connections to all but the server of the URL.
function Cluster:close()
  for _, node in next, self.nodes do
    node:close()
  end
end

return Cluster
