--- Rules: what is looked for, in the bytes of a connection or in what happens, and what follows.
local check = require "moonwire.check"
local tally = require "moonwire.tally"

local ACTIONS <const> = { log = true, drop = true, tarpit = true, ban = true }
local DIRECTIONS <const> = { client = true, server = true, both = true }
local KNOWN <const> = {
  name = "string", bytes = "string", event = "string", direction = "string", within = "number",
  times = "number", seconds = "number", action = "string",
}
local WITHIN_DEFAULT <const>, WITHIN_MOST <const> = 4096, 1 << 30
local BYTES_MOST <const> = 1024

---@class moonwire.gate_rule
---@field name string as events call it
---@field bytes? string what must occur, any bytes; or `event`
---@field event? string what must happen, as rules:happen calls it
---@field direction? "client"|"server"|"both" who sends the bytes; default "client"
---@field within? integer the first bytes of a connection that are looked at; default 4096
---@field times? integer so often in so many seconds a client may do it; default 0: never
---@field seconds? number default 60
---@field action? "log"|"drop"|"tarpit"|"ban" default "drop"

---@class moonwire.gate_rules
---@field private list moonwire.gate_rule[]
---@field private of_event table<string, moonwire.gate_rule[]>
---@field private rates table<moonwire.gate_rule, moonwire.tally_rate>
local Rules = { __name = "moonwire.gate_rules" }
Rules.__index = Rules

local function is_count(value, most)
  return math.type(value) == "integer" and value > 0 and value <= most
end

local function problem_of_types(rule)
  for key, value in pairs(rule) do
    if not KNOWN[key] then
      return ("unknown key '%s'"):format(tostring(key))
    elseif type(value) ~= KNOWN[key] then
      return ("'%s': %s expected, got %s"):format(key, KNOWN[key], type(value))
    end
  end
end

-- What is wrong with a rule; nil: nothing.
local function problem_of(rule)
  if type(rule) ~= "table" then
    return "a table expected"
  end
  local problem = problem_of_types(rule)
  if problem then
    return problem
  elseif not rule.name then
    return "'name': string expected"
  elseif not rule.bytes == not rule.event then
    return "either 'bytes' or 'event' expected"
  elseif rule.bytes and (rule.bytes == "" or #rule.bytes > BYTES_MOST) then
    return ("'bytes': 1 to %d bytes expected"):format(BYTES_MOST)
  elseif not DIRECTIONS[rule.direction or "client"] then
    return "'direction': client, server or both expected"
  elseif not ACTIONS[rule.action or "drop"] then
    return "'action': log, drop, tarpit or ban expected"
  elseif not is_count(rule.within or WITHIN_DEFAULT, WITHIN_MOST) then
    return "'within': an integer above 0 expected"
  elseif rule.times and not is_count(rule.times, 1000000) then
    return "'times': an integer above 0 expected"
  elseif rule.seconds and (rule.seconds ~= rule.seconds or rule.seconds <= 0) then
    return "'seconds': above 0 expected"
  end
end

local function add(self, rule)
  local copy = {
    name = rule.name, bytes = rule.bytes, event = rule.event, direction = rule.direction or "client",
    within = rule.within or WITHIN_DEFAULT, action = rule.action or "drop",
  }
  self.list[#self.list + 1] = copy
  if copy.event then
    self.of_event[copy.event] = self.of_event[copy.event] or {}
    table.insert(self.of_event[copy.event], copy)
  end
  if rule.times then
    self.rates[copy] = tally.rate("gate rule " .. rule.name,
      { rate = rule.times / (rule.seconds or 60), burst = rule.times })
  end
end

---@param list moonwire.gate_rule[]
---@return moonwire.gate_rules? rules
---@return string? problem
local function new(list)
  local self = setmetatable({ list = {}, of_event = {}, rates = {} }, Rules)
  for i, rule in ipairs(list) do
    local problem = problem_of(rule)
    if problem then
      return nil, ("rule %d: %s"):format(i, problem)
    end
    add(self, rule)
  end
  return self
end

-- Whether it is too often now.
local function counts(self, rule, client)
  local rate = self.rates[rule]
  return not rate or not rate:take(client)
end

--- Which rule a client breaks by an event, if it does. Of several the first.
---@param event string
---@param client string its address
---@return moonwire.gate_rule?
function Rules:happen(event, client)
  check.object(self, Rules, "happen")
  check.type(event, "string", 1, "happen")
  check.type(client, "string", 2, "happen")
  local found
  for _, rule in ipairs(self.of_event[event] or {}) do
    found = counts(self, rule, client) and not found and rule or found
  end
  return found
end

--- Whether a rule that the bytes of a client have met is broken: at once, unless it says `times`.
---@param rule moonwire.gate_rule
---@param client string its address
---@return boolean
function Rules:is_broken(rule, client)
  check.object(self, Rules, "is_broken")
  check.type(rule, "table", 1, "is_broken")
  check.type(client, "string", 2, "is_broken")
  return counts(self, rule, client)
end

-- --- bytes

-- What of a stream is looked at, and what of it a match could still begin in.
---@class moonwire.gate_scanner
---@field private rules moonwire.gate_rule[]
---@field private seen integer bytes so far
---@field private most integer bytes that any rule looks at
---@field private longest integer bytes of any rule
---@field private tail string
local Scanner = { __name = "moonwire.gate_scanner" }
Scanner.__index = Scanner

--- What looks at the bytes of one direction; nil when no rule does.
---@param direction "client"|"server"
---@return moonwire.gate_scanner?
function Rules:scanner(direction)
  check.object(self, Rules, "scanner")
  check.type(direction, "string", 1, "scanner")
  local scanner = setmetatable({ rules = {}, seen = 0, most = 0, longest = 0, tail = "" }, Scanner)
  for _, rule in ipairs(self.list) do
    if rule.bytes and (rule.direction == direction or rule.direction == "both") then
      scanner.rules[#scanner.rules + 1] = rule
      scanner.most = math.max(scanner.most, rule.within)
      scanner.longest = math.max(scanner.longest, #rule.bytes)
    end
  end
  return scanner.rules[1] and scanner or nil
end

-- Whether it occurs, and ends in the part that is new and within its bounds.
local function occurs(rule, text, before, seen)
  local from = math.max(1, #before - #rule.bytes + 2)
  local _, last = text:find(rule.bytes, from, true)
  return last and seen - #before + last <= rule.within
end

--- The rules that the next bytes meet; each can meet once.
---@param chunk string
---@return moonwire.gate_rule[] found
function Scanner:scan(chunk)
  check.object(self, Scanner, "scan")
  check.type(chunk, "string", 1, "scan")
  local text, found, left = self.tail .. chunk, {}, {}
  for _, rule in ipairs(self.rules) do
    local list = occurs(rule, text, self.tail, self.seen) and found or left
    list[#list + 1] = rule
  end
  self.rules = left
  self.seen = self.seen + #chunk
  self.tail = self.longest > 1 and text:sub(-(self.longest - 1)) or ""
  return found
end

--- Whether no more bytes can meet a rule.
---@return boolean
function Scanner:is_done()
  check.object(self, Scanner, "is_done")
  return self.seen >= self.most or not self.rules[1]
end

local function are(value)
  return getmetatable(value) == Rules
end

return { new = new, are = are }
