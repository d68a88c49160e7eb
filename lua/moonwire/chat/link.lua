--- Halls of several processes as one, over the bus. Not for scripts.
---
--- Each hall is a node: it owns the members whose connections it has, and tells all others what they do, in
--- messages with numbers. Who misses one asks for the whole state of that node. So any bus will do, also one
--- that loses messages and goes away for a while.
local bus = require "moonwire.bus"
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local log = require "moonwire.log"
local remote = require "moonwire.chat.remote"
local state = require "moonwire.chat.state"
local store = require "moonwire.store"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

local ID_BYTES <const> = 12
local QUEUE <const> = 100000 -- messages of others that wait
local TICK_SECONDS <const> = 1
local DEAD_SECONDS <const> = 15 -- of silence
local SUSPECT_SECONDS <const> = 3 -- of silence, once another process is at its place
local ASK_SECONDS <const> = 2 -- until a state is asked for again
local STATE_SECONDS <const> = 0.2 -- in which one that was sent is for all who ask
local FIRST_SECONDS <const> = 3 -- that a start waits for the states of others
local HELLO_SECONDS <const> = 0.02
local HINT_SECONDS <const> = 15 -- that a node is known in the store
local CLAIM_SECONDS <const> = 10 -- in which all others have heard of a nickname
local ERRANDS_MOST <const> = 1000
local GONE <const> = "server gone"

---@class moonwire.chat_node
---@field seq integer of the last message of which all is known
---@field life integer generation of its code
---@field heard number when
---@field place? string
---@field pid? string
---@field asked? number when its state was asked for, which has not come yet
---@field parts? table of its state, so far
---@field suspect? boolean

---@class moonwire.chat_link
---@field hall moonwire.hall
---@field name string
---@field topic string
---@field id string of this node
---@field life integer
---@field seq integer
---@field nodes table<string, moonwire.chat_node> the others
---@field place? string the same for all processes that follow each other as one worker
---@field pid? string
---@field errands moonwire.queue of calls of the store
---@field is_over? boolean newer code is this node now
local Link = {}
Link.__index = Link

local function read_file(path)
  local file <close> = io.open(path)
  return file and file:read "l"
end

-- Where this process is, which tells whose place it takes; nil where that cannot be known.
local function find_place(worker)
  local host, stat = read_file "/proc/sys/kernel/hostname", read_file "/proc/self/stat"
  local pid, parent = (stat or ""):match "^(%d+) .*%) %a (%d+)"
  if host and pid then
    return ("%s/%s/%d"):format(host, parent, worker), pid
  end
end

---@param hall moonwire.hall
---@param name string
---@param worker integer
---@return moonwire.chat_link
function Link.new(hall, name, worker)
  local place, pid = find_place(worker)
  return setmetatable({
    hall = hall, name = name, topic = "chat." .. name, id = codec.hex_encode(crypto.random_bytes(ID_BYTES)),
    life = 1, seq = 0, nodes = {}, place = place, pid = pid, errands = sync.queue(ERRANDS_MOST),
  }, Link)
end

local function send(self, message)
  message.node, message.life, message.seq = self.id, self.life, message.seq or self.seq
  if not self.is_over then
    bus.publish(self.topic, message)
  end
end

local function hello(self)
  send(self, { kind = "hello", place = self.place, pid = self.pid })
end

local function send_state(self)
  self.state_sent, self.state_seq = timer.now(), self.seq
  for _, message in ipairs(state.messages(self.hall)) do
    send(self, message)
  end
end

--- Tells the others what happened here. While a reload moves the hall only the number counts: if this hall
--- goes on after all, the others find out that they have missed something.
---@param act table
function Link:tell(act)
  self.seq = self.seq + 1
  if next(self.nodes) and not self.hall:is_leaving() then
    act.kind = "act"
    send(self, act)
    act.kind = nil
  end
end

local function ask(self, id, node)
  node.asked, node.parts = timer.now(), nil
  send(self, { kind = "want", of = id })
end

local function claim_key(self, folded)
  return ("chat/%s/nick/%s"):format(self.name, folded)
end

-- A claim of its that is not over yet keeps nobody waiting.
local function release(self, id, folded)
  self.errands:try_push { store.compare_and_set, claim_key(self, folded), id, nil }
end

local function forget(self, id)
  self.nodes[id] = nil
  for folded, member in pairs(self.hall.members) do
    if member.node == id then
      release(self, id, folded)
    end
  end
  remote.remove_all(self.hall, id, GONE)
end

-- Of processes at one place the last one lives; the others show it if they do, too.
local function suspect_others(self, id, message)
  for other, node in pairs(self.nodes) do
    if other ~= id and node.place and node.place == message.place and node.pid ~= message.pid then
      node.suspect = true
    end
  end
end

local handlers = {}

function handlers.hello(self, message, id, node)
  node.place, node.pid = message.place, message.pid
  suspect_others(self, id, message)
  if message.seq > node.seq then
    ask(self, id, node)
  end
  if message.life == 1 then
    send_state(self) -- newer code of a node that is there already knows all
  end
end

function handlers.alive(self, message, id, node)
  if message.seq > node.seq and not node.asked then
    ask(self, id, node)
  end
end

function handlers.want(self, message)
  local is_under_way = self.state_seq == self.seq and timer.now() - self.state_sent < STATE_SECONDS
  if message.of == self.id and not is_under_way then
    send_state(self)
  end
end

function handlers.bye(self, _, id)
  forget(self, id)
end

function handlers.state(self, message, id, node)
  if message.seq < node.seq or message.seq == node.seq and not node.asked then
    return
  end
  local parts = message.part == 1 and {} or node.parts
  if not parts or #parts ~= message.part - 1 then
    return -- its beginning was missed; it will be asked for again
  end
  parts[message.part] = message
  node.parts = parts
  if message.part == message.parts then
    node.parts, node.asked, node.seq = nil, nil, message.seq
    state.merge(self.hall, id, parts)
  end
end

function handlers.act(self, message, id, node)
  if message.seq <= node.seq or node.asked then
    return
  elseif message.seq > node.seq + 1 then
    return ask(self, id, node)
  end
  node.seq = message.seq
  if remote.apply(self.hall, id, message) == false then
    ask(self, id, node)
  end
end

local function receive(self, message)
  local id, handler = message.node, handlers[message.kind]
  if id == self.id then
    self.is_over = self.is_over or message.life > self.life
  end
  if id == self.id or not handler or self.is_over then
    return
  end
  local node = self.nodes[id]
  if not node then
    node = { seq = -1, life = message.life, heard = 0 }
    self.nodes[id] = node
  end
  if message.life < node.life then
    return
  end
  node.life, node.heard, node.suspect = message.life, timer.now(), nil
  handler(self, message, id, node)
end

-- What others send is from the same code, or from newer or older one: a fault in it ends nothing here.
local function listen(self, messages)
  for message in messages do
    local ok, err = pcall(receive, self, message)
    if not ok then
      log.warn("chat: a message of another process", { err = tostring(err) })
    end
  end
end

local function hint_key(self)
  return ("chat/%s/node/%s"):format(self.name, self.id)
end

local function hint(self)
  self.hinted = timer.now()
  store.set(hint_key(self), self.place or false, { expire = HINT_SECONDS })
end

local function tick(self)
  if self.is_over or self.hall:is_leaving() then
    return
  end
  local now = timer.now()
  for id, node in pairs(self.nodes) do
    local silence = now - node.heard
    if silence > DEAD_SECONDS or node.suspect and silence > SUSPECT_SECONDS then
      forget(self, id)
    elseif node.asked and now - node.asked > ASK_SECONDS then
      ask(self, id, node)
    end
  end
  send(self, { kind = "alive" })
  if now - (self.hinted or 0) > HINT_SECONDS / 3 then
    pcall(hint, self)
  end
end

-- The others that the store knows of; all is well without.
local function hinted_nodes(self)
  local prefix, found = ("chat/%s/node/"):format(self.name), {}
  pcall(function()
    for key, place in store.scan(prefix) do
      local id = key:sub(#prefix + 1)
      if id ~= self.id and not (place and place == self.place) then
        found[#found + 1] = id
      end
    end
  end)
  return found
end

local function knows_all(self, ids)
  for _, id in ipairs(ids) do
    if not self.nodes[id] or self.nodes[id].seq < 0 then
      return false
    end
  end
  return true
end

-- Calls of the store that nobody waits for. What is not done ends by itself.
local function run_errands(self)
  for errand in self.errands:values() do
    pcall(table.unpack(errand, 1, 4))
  end
end

--- Begins: the hall knows what the others know when this returns, or soon after.
function Link:start()
  task.spawn(function()
    listen(self, bus.subscribe(self.topic, { queue = QUEUE }))
  end)
  task.spawn(run_errands, self)
  task.yield()
  pcall(hint, self)
  local others, due = hinted_nodes(self), timer.now() + FIRST_SECONDS
  repeat
    hello(self) -- again and again: the bus may not reach a process that has just begun
    task.sleep(HELLO_SECONDS)
  until timer.now() > due or knows_all(self, others)
  self.ticking = timer.every(TICK_SECONDS, tick, self)
end

--- Ends: its members leave all others.
function Link:stop()
  send(self, { kind = "bye" })
  self.is_over = true
  pcall(store.delete, hint_key(self))
end

--- Whether a nickname, which nobody is known to have, is ours. Two processes that ask at the same time get
--- different answers; without a store both get it, and one of the members another name afterwards. May wait.
---@param folded string
---@return boolean
function Link:claim(folded)
  local key = claim_key(self, folded)
  local ok, _, code = store.compare_and_set(key, nil, self.id, { expire = CLAIM_SECONDS })
  if ok or code ~= "conflict" then
    return true
  end
  local holder = store.get(key)
  return holder == nil or holder == self.id
end

--- A nickname is free again.
---@param folded string
function Link:release(folded)
  if next(self.nodes) then
    release(self, self.id, folded)
  end
end

--- What the link of newer code needs to be this node.
---@return table
function Link:export()
  local nodes = {}
  for id, node in pairs(self.nodes) do
    nodes[id] = { seq = node.seq, life = node.life, place = node.place, pid = node.pid }
  end
  return { id = self.id, life = self.life, seq = self.seq, nodes = nodes }
end

--- Is from now on the node that another generation was.
---@param data table
function Link:import(data)
  send(self, { kind = "bye" })
  self.errands:try_push { store.delete, hint_key(self) }
  self.hinted = nil
  self.id, self.life, self.seq, self.nodes = data.id, data.life + 1, data.seq, {}
  for id, node in pairs(data.nodes) do
    node.heard = timer.now()
    self.nodes[id] = node
  end
  hello(self)
end

return Link
