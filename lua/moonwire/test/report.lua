--- The report of `moonwire test`: what failed in full, what was skipped by name,
--- and the counts in the last line. Not for scripts.
local core = require "moonwire.core"

local report = {}

---@class moonwire.test.report
---@field passed integer
---@field failed integer
---@field skipped integer
local Report = {}
Report.__index = Report

---@return moonwire.test.report
function report.new()
  return setmetatable({ passed = 0, failed = 0, skipped = 0 }, Report)
end

local function indent(text)
  return (text:gsub("[^\n]+", "    %0"))
end

local function say(...)
  io.stdout:write(...)
  io.stdout:flush()
end

function Report:pass()
  self.passed = self.passed + 1
end

---@param name string the full name of the case
---@param reason? string
function Report:skip(name, reason)
  self.skipped = self.skipped + 1
  say("skipped: ", name, reason and " (" .. reason .. ")" or "", "\n")
end

---@class moonwire.test.fault
---@field message string
---@field traceback? string

---@param place string file:line of the case, or the file
---@param name string
---@param faults moonwire.test.fault[]
function Report:fail(place, name, faults)
  self.failed = self.failed + 1
  say("failed: ", place, ": ", name, "\n")
  for _, fault in ipairs(faults) do
    say(indent(fault.message), "\n")
    local traceback = fault.traceback and fault.traceback:gsub("^%s*stack traceback:%s*", ""):gsub("%s+$", "")
    if traceback and traceback ~= "" then
      say("  at\n", indent(traceback:gsub("\t", "")), "\n")
    end
  end
end

--- Writes the counts, and sees to it that nothing follows them: at the end of
--- the process the core warns of what is left open.
---@return boolean ok whether at least one case ran and none failed
function Report:finish()
  core.log.set_level("error")
  say(("%d passed, %d failed, %d skipped\n"):format(self.passed, self.failed, self.skipped))
  return self.failed == 0 and self.passed > 0
end

return report
