--- What has happened, for programs: a file with a line of JSON for each event, written behind the back of
--- whoever tells of it.
local check = require "moonwire.check"
local file = require "moonwire.file"
local json = require "moonwire.json"
local log = require "moonwire.log"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local FIRST <const> = { "event", "client" } -- behind the time; the others follow in the order of their names
local BATCH_BYTES <const> = 64 * 1024
local TEXT_MOST <const> = 1024
local WARN_SECONDS <const> = 60

---@class moonwire.gate_events
---@field private path string
---@field private lines string[] that are not written yet
---@field private first integer of them
---@field private last integer
---@field private most integer
---@field private lost integer
---@field private news moonwire.event
---@field private idle moonwire.event
local Events = { __name = "moonwire.gate_events" }
Events.__index = Events

-- Text from strangers: what is no UTF-8, or too long, is shown as far as it is ASCII.
local function encode(value)
  if type(value) == "string" and (#value > TEXT_MOST or not utf8.len(value)) then
    value = value:sub(1, TEXT_MOST):gsub("[^ -~]", "?")
  end
  return json.encode(value)
end

local function line_of(fields)
  local parts, names = { ('"ts":"%s"'):format(os.date "!%Y-%m-%dT%H:%M:%SZ") }, {}
  for name in pairs(fields) do
    names[#names + 1] = name ~= "event" and name ~= "client" and name ~= "ts" and name or nil
  end
  table.sort(names)
  for _, list in ipairs { FIRST, names } do
    for _, name in ipairs(list) do
      if fields[name] ~= nil then
        parts[#parts + 1] = json.encode(name) .. ":" .. encode(fields[name])
      end
    end
  end
  return "{" .. table.concat(parts, ",") .. "}\n"
end

-- Some of the lines that wait, which do not any more.
local function take(self)
  local batch, size = {}, 0
  while self.first <= self.last and size < BATCH_BYTES do
    local line = self.lines[self.first]
    self.lines[self.first] = nil
    self.first = self.first + 1
    batch[#batch + 1] = line
    size = size + #line
  end
  return table.concat(batch), #batch
end

local function append(self, text, count)
  if self.lost > 0 then
    text = text .. line_of { event = "lost", count = self.lost }
    self.lost = 0
  end
  local ok, err = file.append(self.path, text)
  if not ok then
    self.lost = self.lost + count
    log.warn("events cannot be written", { path = self.path, reason = err })
    task.sleep(WARN_SECONDS)
  end
end

local function write_all(self)
  while true do
    self.news:wait()
    while self.first <= self.last do
      append(self, take(self))
    end
    self.news:clear()
    self.idle:set()
  end
end

---@param path string
---@param options table checked
---@return moonwire.gate_events? events
---@return string? err
---@return moonwire.code? code
local function open(path, options)
  local ok, err, code = file.append(path, "")
  if not ok then
    return nil, err, code
  end
  local self = setmetatable({
    path = path, lines = {}, first = 1, last = 0, lost = 0, most = options.most or 10000,
    news = sync.event(), idle = sync.event(),
  }, Events)
  task.spawn(write_all, self)
  return self
end

--- Tells of an event. Never waits: past `most` that are not written yet it is counted, and a line says later
--- how many were lost.
---@param fields table<string, string|number|boolean> `event` among them
function Events:write(fields)
  check.object(self, Events, "write")
  check.type(fields, "table", 1, "write")
  check.type(fields.event, "string", 1, "write")
  if self.last - self.first + 1 >= self.most then
    self.lost = self.lost + 1
    return
  end
  self.last = self.last + 1
  self.lines[self.last] = line_of(fields)
  self.idle:clear()
  self.news:set()
end

--- Waits until all events are in the file.
---@param seconds? number at most; default: for ever
---@return boolean whether they are
function Events:flush(seconds)
  check.object(self, Events, "flush")
  check.optional_seconds(seconds, 1, "flush")
  if self.first > self.last and not self.news:is_set() then
    return true
  end
  return self.idle:wait(seconds) == true
end

return { open = open }
