--- Holds what calls raise and return against what the API promises of failures.
local core = require "moonwire.core"

local SHOWN <const> = 20 -- complaints; the others are counted

local Judge = {}
Judge.__index = Judge

-- The words that docs/errors.md lists.
local function read_codes()
  local codes, file = {}, assert(io.open("docs/errors.md"))
  for line in file:lines() do
    local code = line:match("^| `([%l_]+)` |")
    codes[code or ""] = true
  end
  file:close()
  assert(codes.timeout and codes.error)
  return codes
end

--- A judge without complaints. `raised` are the values that random arguments raise on purpose.
---@param raised table<any, boolean>
function Judge.new(raised)
  return setmetatable({
    codes = read_codes(), raised = raised, complaints = {}, calls = 0, errors = 0,
  }, Judge)
end

--- Notes a fault.
---@param shown string the call
---@param problem string
function Judge:complain(shown, problem)
  self.complaints[#self.complaints + 1] = ("%s: %s"):format(shown, problem)
end

-- A misuse blames the line that called, in one of the fuzzer's files; memory has no line.
local function has_place(message)
  return message:find("^%./spec/fuzz/[%l/]+%.lua:%d+: ") or message:find("^spec/fuzz/[%l/]+%.lua:%d+: ")
    or message == "not enough memory"
end

function Judge:see_error(shown, value)
  self.errors = self.errors + 1
  local code = core.is_fault(value)
  if self.raised[value] then
    return
  elseif code then
    if not self.codes[code] then
      self:complain(shown, ("raised a fault of the unknown code '%s'"):format(code))
    end
  elseif type(value) ~= "string" then
    self:complain(shown, ("raised a %s"):format(type(value)))
  elseif not has_place(value) then
    self:complain(shown, "blames no line of the caller: " .. value)
  end
end

function Judge:see_results(shown, results)
  local first, message, code = table.unpack(results, 1, 3)
  if first ~= nil or results.n < 2 or type(message) ~= "string" then
    return
  end
  if type(code) ~= "string" or not self.codes[code] then
    self:complain(shown, ("returned nil, %q and the unknown code '%s'"):format(message, tostring(code)))
  elseif message == "" then
    self:complain(shown, "returned a failure without a message")
  end
end

--- Judges one call.
---@param shown string the call
---@param ok boolean whether it returned
---@param results any packed, or what it raised; nil after a timeout of the fuzzer's own
function Judge:see(shown, ok, results)
  self.calls = self.calls + 1
  if not ok then
    self:see_error(shown, results)
  elseif results then
    self:see_results(shown, results)
  end
end

--- How many complaints there are.
---@return integer
function Judge:count()
  return #self.complaints
end

--- Writes the complaints and a summary to standard error.
---@param functions integer how many were called
function Judge:report(functions)
  for i = 1, math.min(#self.complaints, SHOWN) do
    io.stderr:write("fault: ", self.complaints[i], "\n")
  end
  io.stderr:write(("fuzz api: %d calls of %d functions, %d raised, %d faults\n"):format(
    self.calls, functions, self.errors, #self.complaints))
end

return Judge
