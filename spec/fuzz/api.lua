--- Calls every function and method of the API with random arguments, and says what is not as promised: an
--- error without a place, a code nobody knows, something that is left alive. A crash speaks for itself.
---
---     moonwire run spec/fuzz/api.lua --set calls=20000 --set seed=7
---
--- The settings: seed, calls, width (tasks at the same time; with 1 a seed gives nearly the same run again),
--- only (a pattern for names such as "stream:read"), trace (a file that gets every call before it is made).
--- It stays on loopback, in a temporary folder and in this process.
package.path = "./?.lua;" .. package.path
local Judge = require "spec.fuzz.api.judge"
local Surface = require "spec.fuzz.api.surface"
local Values = require "spec.fuzz.api.values"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local surface_rules = require "spec.fuzz.api.rules"
local task = require "moonwire.task"
local usage = require "moonwire.test.usage"

local CALL_SECONDS <const> = 0.02 -- what a call may wait
local STUCK_SECONDS <const> = 60

-- Like calls of scripts: from a line of Lua, which errors blame.
local function call(fn, arguments)
  local results = table.pack(fn(table.unpack(arguments, 1, arguments.n)))
  return results
end

local function call_within(seconds, fn, arguments)
  return task.with_timeout(seconds, call, fn, arguments)
end

local function show(name, arguments)
  local words = {}
  for i = 1, arguments.n do
    words[i] = Values.show(arguments[i])
  end
  return ("%s(%s)"):format(name, table.concat(words, ", "))
end

---@class spec.fuzz.run
---@field values table source of arguments
---@field surface table what can be called
---@field judge table
---@field left integer calls to make
local Run = {}
Run.__index = Run

local function new_run(config)
  math.randomseed(config.seed or 1)
  local surface = Surface.new(config.only)
  return setmetatable({
    values = Values.new(surface), surface = surface, judge = Judge.new(Values.raised),
    left = config.calls or 5000,
    trace = config.trace and assert(io.open(config.trace, "w")),
  }, Run)
end

function Run:note(shown)
  self.last = shown
  if self.trace then
    self.trace:seek("set", 0)
    self.trace:write(shown, "\n")
    self.trace:flush()
  end
end

function Run:step()
  local entry = self.surface:pick()
  local arguments = self.values:arguments(entry)
  local shown = show(entry.name, arguments)
  self:note(shown)
  local ok, results = pcall(call_within, CALL_SECONDS, entry.fn, arguments)
  self.judge:see(shown, ok, results)
  if ok then
    self.values:harvest(results)
  end
  surface_rules.after(entry.name)
end

function Run:work()
  while self.left > 0 do
    self.left = self.left - 1
    -- A task of its own for each: what a call leaves open closes with it, but for what is kept for others.
    if self.left % 3 == 0 then
      self.values:refill()
    end
    local one = task.spawn(function() self:step() end)
    one:join(STUCK_SECONDS)
    if one:status() ~= "done" then
      self.judge:complain(self.last, "does not come to its end")
      return
    end
  end
end

function Run:finish(before)
  self.values:close()
  self.values = nil
  surface_rules.restore()
  local leaks = usage.leaks_since(before)
  if leaks then
    self.judge:complain("after all calls", leaks .. " left")
  end
end

local function fuzz(config)
  local place <close> = folder.new()
  local here = lfs.currentdir()
  surface_rules.prepare()
  local run = new_run(config)
  lfs.chdir(place.path)
  local before = usage.measure()
  local group <close> = task.group()
  for _ = 1, config.width or 4 do
    group:spawn(run.work, run)
  end
  group:wait()
  run:finish(before)
  lfs.chdir(here)
  run.judge:report(run.surface:count())
  return run.judge:count() == 0
end

return {
  start = function(ctx)
    if not fuzz(ctx.config) then
      os.exit(1) -- at once: what is left alive would not let it end
    end
  end,
}
