--- Rules: what is looked for, in the bytes of a connection or in what happens, and what follows.
local check = require "moonwire.check"
local core = require "moonwire.core"
local scanner = require "moonwire.gate.scanner"
local tally = require "moonwire.tally"

local ACTIONS <const> = { log = true, drop = true, tarpit = true, ban = true }
local DIRECTIONS <const> = { client = true, server = true, both = true }
local KNOWN <const> = {
  name = "string", bytes = "string", pcre = "string", event = "string", direction = "string",
  within = "number",
  times = "number", seconds = "number", action = "string",
}
local WITHIN_DEFAULT <const>, WITHIN_MOST <const> = 4096, 1 << 30
local BYTES_MOST <const>, SIGNATURES_MOST <const> = 1024, 1024

---@class moonwire.gate_rule
---@field name string as events call it
---@field bytes? string what must occur, any bytes; or `pcre`, or `event`
---@field pcre? string an expression of PCRE2 that must match
---@field event? string what must happen, as rules:happen calls it
---@field direction? "client"|"server"|"both" who sends the bytes; default "client"
---@field within? integer the first bytes of a connection that are looked at; default 4096
---@field times? integer so often in so many seconds a client may do it; default 0: never
---@field seconds? number default 60
---@field action? "log"|"drop"|"tarpit"|"ban" default "drop"

---@class moonwire.gate_rules
---@field private list moonwire.gate_rule[]
---@field private of_event table<string, moonwire.gate_rule[]>
---@field private signatures table<string, moonwire.gate.signatures> by direction; nil: there are none
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
  elseif (rule.bytes and 1 or 0) + (rule.pcre and 1 or 0) + (rule.event and 1 or 0) ~= 1 then
    return "one of 'bytes', 'pcre' and 'event' expected"
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
    name = rule.name, bytes = rule.bytes, pcre = rule.pcre, event = rule.event,
    direction = rule.direction or "client", within = rule.within or WITHIN_DEFAULT,
    action = rule.action or "drop",
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

-- What the rules look for in a direction. False and what is wrong with one.
local function compile(self, direction)
  local rules, list = {}, {}
  for _, rule in ipairs(self.list) do
    if not rule.event and (rule.direction == direction or rule.direction == "both") then
      rules[#rules + 1] = rule
      list[#list + 1] = { rule.pcre or rule.bytes, rule.pcre ~= nil, rule.within }
    end
  end
  if not rules[1] then
    return true
  elseif #list > SIGNATURES_MOST then
    return false, ("%d rules for bytes at most expected"):format(SIGNATURES_MOST)
  end
  local set, place, why = core.signature.set(list)
  if not set then
    local rule = rules[place]
    return false, ("rule '%s': '%s': %s"):format(rule.name, rule.pcre and "pcre" or "bytes", why)
  end
  self.signatures[direction] = { rules = rules, set = set }
  return true
end

---@param list moonwire.gate_rule[]
---@return moonwire.gate_rules? rules
---@return string? problem
local function new(list)
  local self = setmetatable({ list = {}, of_event = {}, rates = {}, signatures = {} }, Rules)
  for i, rule in ipairs(list) do
    local problem = problem_of(rule)
    if problem then
      return nil, ("rule %d: %s"):format(i, problem)
    end
    add(self, rule)
  end
  for _, direction in ipairs { "client", "server" } do
    local ok, problem = compile(self, direction)
    if not ok then
      return nil, problem
    end
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

--- What looks at the bytes of one direction of a connection; nil when no rule does.
---@param direction "client"|"server"
---@return moonwire.gate_scanner?
function Rules:scanner(direction)
  check.object(self, Rules, "scanner")
  check.type(direction, "string", 1, "scanner")
  local signatures = self.signatures[direction]
  return signatures and scanner.new(signatures)
end

local function are(value)
  return getmetatable(value) == Rules
end

return { new = new, are = are }
