--- The main task of the commands for a daemon that runs: reads the command line,
--- asks the daemon and prints what it answers. Not for scripts.
local arguments = require "moonwire.control.arguments"
local client = require "moonwire.control.client"
local core = require "moonwire.core"
local json = require "moonwire.json"
local path = require "moonwire.control.path"

local control = {}

local ANSWER_SECONDS <const> = 10

-- What the process ends with.
local FAILED <const>, MISUSED <const> = 1, 2
local STATUS <const> = { failed = FAILED, invalid = MISUSED, unreachable = 3, denied = 4 }

-- The modules that have the commands.
local MODULES <const> = { "status", "connections", "reload", "order", "eval", "top" }

local function find(name)
  for _, module in ipairs(MODULES) do
    for _, command in ipairs(require("moonwire.control." .. module)) do
      if command.name == name then
        return command
      end
    end
  end
  error("no command " .. name)
end

local function fail(status, message)
  io.stdout:flush()
  io.stderr:write("moonwire: ", message, "\n")
  core.main.exit(status)
end

-- Whoever reads a pipe may have read enough: that needs no words.
local function write(text)
  local ok, message = io.stdout:write(text)
  if ok then
    ok, message = io.stdout:flush()
  end
  if not ok then
    io.stderr:write(message:find "Broken pipe" and "" or ("moonwire: standard output: %s\n"):format(message))
    core.main.exit(FAILED)
  end
end

local function show(command, answer, values)
  local document
  if values.json then
    answer.ok = nil
    document = json.encode(answer, { sorted = true, depth = 1000 }) .. "\n"
  end
  local text, fault = command.show(client.without_nulls(answer), values)
  write(document or text or "")
  if fault then
    fail(FAILED, fault)
  end
end

local function ask(command, socket, values)
  local seconds = command.seconds and command.seconds(values) or ANSWER_SECONDS
  local answers, message, kind = client.ask(socket, { command.request(values) }, seconds)
  if not answers then
    return fail(STATUS[kind], message)
  end
  core.main.exit(0)
  show(command, answers[1], values)
end

local function run(command, values)
  local socket, message = path.find(values)
  if not socket then
    return fail(FAILED, message)
  elseif not command.run then
    return ask(command, socket, values)
  end
  core.main.exit(0) -- that one ends when it is interrupted
  local kind
  kind, message = command.run(socket, values)
  if kind then
    fail(STATUS[kind], message)
  end
end

--- Does what a command line says.
---@param options table the command line: arguments, the first of which is the command
function control.main(options)
  core.main.exit(FAILED) -- stays so when the command is interrupted
  local words = options.arguments
  local command = find(table.remove(words, 1))
  local values, message = arguments.read(command, words)
  if not values then
    return fail(MISUSED, ("%s\nTry 'moonwire %s --help'."):format(message, command.name))
  elseif values.help then
    core.main.exit(0)
    return write(arguments.help(command))
  end
  run(command, values)
end

return control
