--- What looks at the bytes of one direction of a connection for what rules say.
local check = require "moonwire.check"
local log = require "moonwire.log"

-- Of all connections.
---@class moonwire.gate.signatures
---@field rules moonwire.gate_rule[]
---@field set moonwire.signature_set whose numbers are their places

---@class moonwire.gate_scanner
---@field private rules moonwire.gate_rule[]
---@field private looking moonwire.signature_scan
local Scanner = { __name = "moonwire.gate_scanner" }
Scanner.__index = Scanner

---@param signatures moonwire.gate.signatures
---@return moonwire.gate_scanner
local function new(signatures)
  return setmetatable({ rules = signatures.rules, looking = signatures.set:scan() }, Scanner)
end

--- Looks at the next bytes.
---@param chunk string
---@param last? boolean nothing comes behind them
---@return moonwire.gate_rule[] found the rules that they meet, each once in a connection
function Scanner:scan(chunk, last)
  check.object(self, Scanner, "scan")
  check.type(chunk, "string", 1, "scan")
  local found = {}
  for _, number in ipairs(self.looking:feed(chunk, last) or found) do
    local rule = self.rules[math.abs(number)]
    if number > 0 then
      found[#found + 1] = rule
    else
      log.warn("the expression of a rule takes too long", { rule = rule.name })
    end
  end
  return found
end

--- Whether no more bytes can meet a rule.
---@return boolean
function Scanner:is_done()
  check.object(self, Scanner, "is_done")
  return self.looking:is_done()
end

return { new = new }
