--- Child processes: started without a shell, spoken to through streams, ended
--- with the task that started them.
local check = require "moonwire.check"
local core = require "moonwire.core"
local task = require "moonwire.task"

local process = {}

local RUN_SECONDS <const> = 60
local RUN_BYTES <const> = 1024 * 1024

---@alias moonwire.stdio "stream"|"null"|"inherit"|"log"|"stdout"|file*

---@class moonwire.spawn_options
---@field env? table<string, string|number|false> variables that are set besides ours; false: is not there
---@field clear_env? boolean only those of `env` are there; default false
---@field cwd? string folder to start in; default: ours. A relative path to the program counts from there
---@field stdin? moonwire.stdio default "stream"; nothing to read: "null"
---@field stdout? moonwire.stdio default "stream"; each line is an entry: "log"
---@field stderr? moonwire.stdio default "log"; where the output goes: "stdout"
---@field group? boolean signals go to all that it starts (a process group); default true
---@field kill_after? number|false seconds from being asked to end to being killed; default 3, false: never

--- Starts a program. It ends with the task that started it, and with this
--- process however that ends.
---@param command moonwire.spawn_options|string[] program and arguments: { "sort", "-n", cwd = "/tmp" }
---@return moonwire.child? child
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid" (no program), "descriptors", "memory"
process.spawn = core.process.spawn

---@class moonwire.run_options: moonwire.spawn_options
---@field input? string its standard input; default none
---@field max? integer bytes of output, and of errors, at most; default 1048576
---@field timeout? number|false seconds that it may take; default 60, false: no limit

---@class moonwire.run_result
---@field status integer what it ended with; 128 and the signal's number when one ended it
---@field signal? string that signal, such as "kill"
---@field output? string what it wrote to standard output
---@field errors? string what it wrote to standard error

local OWN <const> = { input = true, max = true, timeout = true }

-- What is for spawn, and what is for run.
local function part(command)
  local options, own = {}, {}
  for key, value in pairs(command) do
    (OWN[key] and own or options)[key] = value
  end
  own.max = own.max or RUN_BYTES
  own.timeout = own.timeout == nil and RUN_SECONDS or own.timeout
  options.stdin = options.stdin or (own.input and "stream" or "null")
  options.stderr = options.stderr or "stream"
  return options, own
end

-- What is wrong with the options of run.
local function problem_of(own, options)
  local seconds = own.timeout
  if own.input and type(own.input) ~= "string" then
    return ("option 'input': a string expected, got %s"):format(type(own.input))
  elseif own.input and options.stdin ~= "stream" then
    return "options 'stdin' and 'input' exclude each other"
  elseif math.type(own.max) ~= "integer" or own.max < 1 then
    return "option 'max': an integer above 0 expected"
  elseif seconds and not (type(seconds) == "number" and seconds >= 0) then
    return "option 'timeout': seconds or false expected"
  end
end

-- Misuse is raised in the name of run.
local function start(options)
  local ok, child, message, code = pcall(core.process.spawn, options)
  if not ok then
    child = child:gsub("to '[^']*'", "to 'run'"):gsub("known: ", "known: input, max, timeout, ")
    error(child, 3)
  end
  return child, message, code
end

local function feed(stream, input)
  stream:configure { write_timeout = false }
  stream:write(input or "")
  stream:shutdown_write()
end

-- Past the limit there is no point in going on.
local function collect(child, name, max, result, key)
  local stream = child[name]
  local message, code
  result[key], message, code = stream:configure { read_timeout = false }:read_all(max)
  if not result[key] and not result.code then
    result.message, result.code = message, code
    child:close()
  end
end

local function talk(child, own)
  local result <const> = {}
  local group <close> = task.group()
  if child.stdin then
    group:spawn(feed, child.stdin, own.input)
  end
  if child.stdout then
    group:spawn(collect, child, "stdout", own.max, result, "output")
  end
  if child.stderr then
    group:spawn(collect, child, "stderr", own.max, result, "errors")
  end
  group:wait()
  if result.code then
    return nil, result.message, result.code
  end
  result.status, result.signal = child:wait()
  return result
end

--- Runs a program to its end and returns what it wrote.
---@param command moonwire.run_options|string[] program and arguments: { "sort", "-n", input = text }
---@return moonwire.run_result? result
---@return string? err
---@return moonwire.code? code as of spawn; "timeout", "too_large": it was ended
function process.run(command)
  if type(command) ~= "table" then
    check.refuse(1, "run", ("table expected, got %s"):format(type(command)))
  end
  local options, own = part(command)
  local problem = problem_of(own, options)
  if problem then
    check.refuse(1, "run", problem)
  end
  local started, message, code = start(options)
  if not started then
    return nil, message, code
  end
  local child <close> = started
  if own.timeout then
    return task.with_timeout(own.timeout, talk, child, own)
  end
  return talk(child, own)
end

return process
