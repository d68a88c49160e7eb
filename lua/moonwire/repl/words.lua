--- What is at hand at the prompt: Moonwire's modules as globals, `help`, and a
--- `print` that writes to standard output. Not for scripts.
local words = {}

-- Each is required when it is used first.
local MODULES <const> = {
  dns = true, file = true, json = true, log = true, net = true, process = true, signal = true, sync = true,
  task = true, timer = true,
}

local HELP <const> = [[
A line runs when it is whole; until then the prompt is >>. What it returns is shown; _ is the first of it.

  net task timer sync dns file process signal log json    Moonwire's modules; others with require
  globals   are for keeping: a local is gone with the line it stands in
  waiting   works: net.connect, task.sleep(1), conn:read_line(); other tasks run meanwhile, and while you type
  opened    what a line opens or spawns lives on until it is closed or cancelled, or the session ends;
            but a task.group() ends with its line
  Ctrl-C    ends the line that runs, or gives up the one that is typed
  Ctrl-D    ends the session; os.exit() too
  Tab       completes names, fields and methods
  Ctrl-R    searches what was typed before; a line that begins with a space is not remembered

  conn = net.connect("tcp://example.org:80")
  conn:write("HEAD / HTTP/1.0\r\n\r\n")
  conn:read_line()]]

local help = setmetatable({}, {
  __tostring = function() return HELP end,
  __call = function() print(HELP) end,
})

local function print_to_stdout(...)
  local texts = table.pack(...)
  for i = 1, texts.n do
    texts[i] = tostring(texts[i])
  end
  io.stdout:write(table.concat(texts, "\t"), "\n")
end

local environment = _G

local function require_word(place, name)
  if not MODULES[name] then
    return nil
  end
  local module = require("moonwire." .. name)
  rawset(place, name, module)
  return module
end

--- Puts the words into a table of globals.
---@param globals table
function words.set(globals)
  environment = globals
  globals.help = help
  globals.print = print_to_stdout
  setmetatable(globals, { __index = require_word })
end

--- A global, if it is there or one of ours.
---@param name string
---@return any
function words.find(name)
  local value = rawget(environment, name)
  if value == nil and MODULES[name] then
    return require("moonwire." .. name)
  end
  return value
end

--- Adds the names of globals that begin with a text.
---@param found table<string, true>
---@param start string
function words.add_names(found, start)
  for _, names in ipairs { environment, MODULES } do
    for name in next, names do
      if type(name) == "string" and name:find("^[%a_][%w_]*$") and name:sub(1, #start) == start then
        found[name] = true
      end
    end
  end
end

return words
