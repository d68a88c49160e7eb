--- The main task of `moonwire test`: runs specs in the words of busted. Every
--- case is a task, so it may wait anywhere, in before_each and finally too.
--- What a case opens closes with it; what is left alive fails it.
local core = require "moonwire.core"
core.main.set_strict(false) -- busted's modules, and those they use, set globals
local report = require "moonwire.test.report"
local task = require "moonwire.task"
local usage = require "moonwire.test.usage"

local test = {}

local DEADLINE_SECONDS <const> = 30 -- of one case, of one setup
local ENDING_SECONDS <const> = 10 -- what a case may take to end once it is cancelled

local HELP <const> = [[
usage: moonwire test [--filter PATTERN] [PATH...]

Runs the specs in files, and in all *_spec.lua below folders. PATH is "spec" by default.

      --filter PATTERN     only those whose name matches this pattern of Lua; may be repeated
  -h, --help               this text
]]

local deadline = DEADLINE_SECONDS

--- Sets the time that a case of this spec file may take, from here to its end.
---@param seconds number default 30
function test.deadline(seconds)
  deadline = seconds
end

---@class moonwire.test.run
---@field busted table the core of busted
---@field report moonwire.test.report
---@field case table? the case that runs: element, faults, pending, ended, late
---@field late? string why the file that runs was cancelled
---@field leaked boolean whether a case of the file that runs left something alive

local function read_arguments(arguments)
  local paths, patterns, i = {}, {}, 1
  while arguments[i] do
    local argument = arguments[i]
    if argument == "--help" or argument == "-h" then
      return nil
    elseif argument == "--filter" and arguments[i + 1] then
      i = i + 1
      patterns[#patterns + 1] = arguments[i]
    elseif argument:find("^%-") then
      return nil, ("unknown option '%s', or its value is missing"):format(argument)
    else
      paths[#paths + 1] = argument
    end
    i = i + 1
  end
  return paths[1] and paths or { "spec" }, patterns
end

-- "stream read reads a line", as busted's own reports and --filter have it
local function full_name(busted, element)
  local names = {}
  while element and element.descriptor ~= "file" do
    table.insert(names, 1, element.name or element.descriptor)
    element = busted.context.parent(element)
  end
  return table.concat(names, " ")
end

local function place_of(element)
  local trace = element.trace
  if trace and trace.currentline then
    return ("%s:%d"):format(trace.short_src, trace.currentline)
  end
  return element.name or element.descriptor or "moonwire test"
end

-- --- one case ---

local function late_message(seconds, wait)
  return ("took longer than %g s; it waited for '%s'"):format(seconds, wait)
end

-- busted puts the place before a message that has none: it should not be one of our own library.
local function blame_caller(message, traceback)
  local text = message:match("^[^\n]-/lua/moonwire/[^\n]-:%d+: (.*)")
  if text then
    for place in (traceback or ""):gmatch("([^\n\t]+:%d+): in ") do
      if not place:find("/lua/moonwire/", 1, true) then
        return place .. ": " .. text
      end
    end
  end
  return message
end

-- An error that busted caught. Cancelling a case that is late raises at its wait: that is where it hangs.
local function note_fault(run, element, message, traceback)
  local case = run.case
  message = blame_caller(tostring(message), traceback)
  if not case then
    message = run.late and message:gsub("cancelled$", run.late) or message
    run.report:fail(place_of(element), element.name or element.descriptor or "", {
      { message = message, traceback = traceback },
    })
    return
  end
  if case.late then
    if case.faults[1] then
      return -- the blocks that clean up cannot wait any more
    end
    message = message:gsub("cancelled$", late_message(case.deadline, case.late))
  end
  case.faults[#case.faults + 1] = { message = message, traceback = traceback }
end

local function add_fault(case, message)
  case.faults[#case.faults + 1] = { message = message }
end

-- Whether the case ended. One that does not even when it is cancelled leaves busted amidst its work.
local function await(case, running)
  local _, _, code = running:join(case.deadline)
  if code ~= "timeout" or running:status() == "done" then
    return true
  end
  case.late = running:waits_for() or running:status()
  running:cancel()
  running:join(ENDING_SECONDS)
  if not case.faults[1] then
    add_fault(case, late_message(case.deadline, case.late))
  end
  return running:status() == "done"
end

local function conclude(run, case)
  local name = full_name(run.busted, case.element)
  if case.faults[1] then
    run.report:fail(place_of(case.element), name, case.faults)
  elseif case.pending then
    run.report:skip(name, case.pending)
  elseif case.ended then
    run.report:pass()
  end
end

-- Runs the whole case, its before_each and after_each too, in a task of its own.
local function run_case(run, element, fn)
  local before = usage.measure()
  local case = { element = element, faults = {}, deadline = deadline }
  run.case = case
  local ended = await(case, task.spawn(fn))
  run.case = nil
  local leaks = ended and usage.leaks_since(before)
  if leaks then
    add_fault(case, "left alive: " .. leaks)
    run.leaked = true
  end
  conclude(run, case)
  if not ended then
    run.busted.skipAll = true
  end
end

-- --- what is around the cases ---

-- Runs a block of a file, such as setup, which has no task of its own because what it opens shall stay.
local function run_block(run, fn)
  local owner, seconds = task.current(), deadline
  local guard = task.spawn(function()
    task.sleep(seconds)
    run.late = late_message(seconds, owner:waits_for() or owner:status())
    owner:cancel()
  end)
  local function leave(...)
    guard:cancel()
    return ...
  end
  return leave(fn())
end

-- Runs a file in a task of its own, so that what it opens closes with it.
local function run_file(run, element, fn)
  local before = usage.measure()
  deadline, run.late, run.leaked = DEADLINE_SECONDS, nil, false
  task.spawn(fn):join()
  local leaks = not run.leaked and usage.leaks_since(before)
  if leaks then
    run.report:fail(element.name, "the file", { { message = "left alive: " .. leaks } })
  end
end

local GUARDED <const> = {
  strict_setup = true, strict_teardown = true, lazy_setup = true, lazy_teardown = true,
}

-- busted runs everything through `safe`; for a file and for a case it is called twice, by whoever executes
-- the element and by its executor: the outer call is the one that finds another element current.
local function surround(run)
  local busted = run.busted
  local safe = busted.safe
  function busted.safe(descriptor, fn, element)
    local function inner()
      return safe(descriptor, fn, element)
    end
    local is_outer = busted.context.get() ~= element
    if descriptor == "it" and is_outer then
      return run_case(run, element, inner)
    elseif descriptor == "file" and is_outer then
      return run_file(run, element, inner)
    elseif GUARDED[descriptor] and not run.case then
      return run_block(run, inner)
    end
    return inner()
  end
end

local function listen(run)
  local busted = run.busted
  local function on_fault(element, _, message, trace)
    note_fault(run, element, message, trace and trace.traceback)
    return nil, true
  end
  busted.subscribe({ "error" }, on_fault)
  busted.subscribe({ "failure" }, on_fault)
  busted.subscribe({ "pending" }, function(_, _, message)
    run.case.pending = message
    return nil, true
  end)
  busted.subscribe({ "test", "end" }, function(element, _, status)
    if element.descriptor == "pending" then
      run.report:skip(full_name(busted, element))
    elseif status == "success" then
      run.case.ended = true
    end
    return nil, true
  end)
end

local function filter(busted, patterns)
  require "busted.modules.filter_loader"()(busted, {
    filter = patterns, filterOut = {}, tags = {}, excludeTags = {},
  })
end

local function load_specs(busted, paths)
  local load_files = require "busted.modules.test_file_loader"(busted, { "lua" })
  load_files(paths, { "_spec%.lua$" }, { excludes = {}, recursive = true })
end

local function open_run(patterns)
  local busted = require "busted.core"()
  require "busted"(busted)
  require "busted.languages.en"
  local run = { busted = busted, report = report.new() }
  surround(run)
  listen(run)
  filter(busted, patterns)
  return run
end

--- Runs the specs below the paths that the command line names.
---@param options table the command line: arguments
function test.main(options)
  local paths, patterns = read_arguments(options.arguments)
  if not paths and patterns then
    io.stderr:write("moonwire: ", patterns, "\n", HELP)
    return core.main.exit(2)
  elseif not paths then
    return io.stdout:write(HELP)
  end
  core.main.exit(1) -- stays so when the run is interrupted
  package.path = "./?.lua;./?/init.lua;" .. package.path
  local run = open_run(patterns)
  load_specs(run.busted, paths)
  require "busted.execute"(run.busted)(1, {})
  if run.report:finish() then
    core.main.exit(0)
  end
end

return test
