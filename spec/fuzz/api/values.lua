--- Random arguments: values of every type, those a parameter expects more often than others, and objects that
--- are open, closed or in use.
local Words = require "spec.fuzz.api.words"
local chat = require "moonwire.chat"
local net = require "moonwire.net"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

local OBJECTS <const> = 40 -- kept for use as arguments
local random = math.random

local Values = {}
Values.__index = Values

local function one_of(list)
  return list[random(#list)]
end

local function odd_bytes()
  local bytes = {}
  for i = 1, random(0, 40) do
    -- Neither '/' nor '.': no path out of the folder, no foreign address.
    bytes[i] = string.char(random(0, 255)):gsub("[/.%d]", "_")
  end
  return table.concat(bytes)
end

local integers = {
  0, 1, 2, 3, 10, 100, 4096, 65535, 65536, -1, -2, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 53, math.maxinteger,
  math.mininteger, math.mininteger + 1,
}
local floats = { 0.001, 0.5, 1.5, -0.0, -0.5, 0 / 0, 1 / 0, -1 / 0, 1e308, 1e-308, 2 ^ 63, -2 ^ 63, 2 ^ 31 }

-- Raised by arguments on purpose.
local raised_table = setmetatable({}, { __tostring = function() return "a table that was raised" end })

local function raise_string()
  error("raised by an argument")
end

local function raise_table()
  error(raised_table)
end

local functions = {
  function() end,
  function(...) return select("#", ...) end,
  function() return nil, "a word", "timeout" end,
  raise_string,
  raise_table,
  function() task.sleep(0.001) end,
  function() return task.sleep(1) end,
  function() local scope <close> = task.group() scope:spawn(task.sleep, 1) end,
}

local function hostile()
  local raise = random(2) == 1 and raise_string or raise_table
  local kind = one_of {
    "__index", "__tostring", "__len", "__pairs", "__name", "__call", "__close", "__eq", "__concat",
  }
  return setmetatable({}, { [kind] = kind == "__name" and one_of { 1, "moonwire.stream", "\0" } or raise })
end

-- Options that come from a metatable, each time as a value nobody else holds.
local function inherited()
  return setmetatable({}, { __index = function(_, key) return tostring(key) .. random(1 << 40) end })
end

local function circle()
  local list = { 1, 2 }
  list[3], list.list = list, list
  return list
end

local reader = { deliver = function() return random(50) > 1 end, drop = function() end }

-- Makers of objects, each of which belongs to the task that calls.
local makers = {
  function() return net.pair() end,
  function()
    local a, b = net.pair()
    b:write(one_of { "", "a line\n", "two\r\nlines\n", ("x"):rep(70000), "\0\1\2" })
    return a, b
  end,
  function() local a, b = net.pair() b:close() return a end,
  function() return net.listen "tcp://127.0.0.1:0" end,
  function()
    local listener = assert(net.serve("tcp://127.0.0.1:0", one_of(functions)))
    return listener, (net.connect(listener:local_address(), { timeout = 1 }))
  end,
  function() return net.listen("unix://@moonwire-fuzz-" .. random(1 << 40)) end,
  function() return net.datagram "udp://127.0.0.1:0" end,
  function()
    local socket = assert(net.datagram "udp://127.0.0.1:0")
    local other = net.connect_datagram("udp://" .. socket:local_address())
    return socket, other
  end,
  function() return task.spawn(one_of(functions)) end,
  function() return task.spawn(task.sleep, random()) end,
  function() return sync.queue(random(3)) end,
  function() return sync.semaphore(random(3)) end,
  function() return sync.event() end,
  function() return timer.after(random(), one_of(functions)) end,
  function() return timer.every(0.01 + random(), one_of(functions)) end,
  function() return coroutine.create(one_of(functions)) end,
  function() return coroutine.wrap(one_of(functions)) end,
  function() return io.tmpfile() end,
  function()
    local hall = chat.hall { history = chat.history() }
    local ann, bob = hall:enter("ann", reader), hall:enter("bob", reader)
    return hall, bob, ann:join "#a", ann
  end,
}

-- Values of any type.
local any = {
  function() return nil end,
  function() return random(2) == 1 end,
  function() return one_of(integers) end,
  function() return one_of(floats) end,
  function() return one_of(Words.all) end,
  odd_bytes,
  function() return one_of { "", "\0", "\n", "\r\n", "%s%n", ("x"):rep(100000), ("\xff"):rep(300) } end,
  function() return one_of(functions) end,
  function() return {} end,
  function() return { one_of(Words.all), one_of(integers), x = one_of(floats) } end,
  hostile,
  circle,
  inherited,
  function() return { [one_of(Words.all)] = one_of(integers) } end,
}

function Values:any()
  if random(5) == 1 and self.objects[1] then
    return one_of(self.objects)
  end
  return one_of(any)()
end

-- Values that a parameter or option of this type may want.
function Values:typed(kind, name)
  if kind:find("^fun") then
    return one_of(functions)
  elseif kind:find("boolean") then
    return random(2) == 1
  elseif kind:find("number") then
    return random(4) == 1 and one_of(floats) or random() / 100
  elseif kind:find("integer") then
    return random(3) == 1 and one_of(integers) or random(0, 100)
  elseif Words[name] then
    return one_of(Words[name])
  elseif kind:find('"') then
    local words = {}
    for word in kind:gmatch('"([^"]+)"') do
      words[#words + 1] = word
    end
    return one_of(words)
  elseif kind:find("_options$") then
    return self:options(kind:match("([%w_]+)$"))
  elseif kind:find("^moonwire%.") then
    return self:object(kind)
  elseif kind:find("string") then
    return random(2) == 1 and one_of(Words.all) or odd_bytes()
  end
  return self:any()
end

function Values:options(class)
  local fields, options = self.surface:fields(class), {}
  for _ = 1, random(0, 3) do
    local field = fields[1] and one_of(fields)
    if field then
      options[field.name] = random(5) == 1 and self:any() or self:typed(field.type, field.name)
    end
  end
  return options
end

--- An object of a kind, when there is one.
---@param kind string "moonwire.stream"
function Values:object(kind)
  local first = random(#self.objects)
  for i = 0, #self.objects - 1 do
    local object = self.objects[(first + i - 1) % #self.objects + 1]
    local metatable = debug.getmetatable(object)
    if metatable and rawget(metatable, "__name") == kind then
      return object
    end
  end
  return self:any()
end

local function kind_of(object)
  local metatable = debug.getmetatable(object)
  return metatable and rawget(metatable, "__name")
end

--- Arguments for a call, as of table.pack.
---@param entry spec.fuzz.callable
---@return table
function Values:arguments(entry)
  local arguments, n = {}, 0
  if entry.name:find(":", 1, true) then
    n = 1
    arguments[1] = random(12) == 1 and self:any() or self:object(kind_of(entry.self))
  end
  local parameters = entry.parameters or {}
  for i = 1, random(10) == 1 and random(0, 6) or math.max(#parameters, random(0, 3)) do
    n = n + 1
    local parameter = parameters[i]
    if parameter and random(8) > 1 then
      arguments[n] = self:typed(parameter.type, parameter.name)
    elseif random(4) > 1 then
      arguments[n] = self:any()
    end
  end
  arguments.n = n
  return arguments
end

local function let_go(object)
  local kind = type(object)
  if kind == "userdata" or kind == "table" then
    pcall(function() return (object.close or object.cancel)(object) end)
  end
end

function Values:keep(object)
  local kind = type(object)
  local is_object = kind == "userdata" or kind == "thread" or kind == "table" and kind_of(object)
  if not is_object or object == raised_table then
    return
  end
  self.surface:learn(object)
  local place = #self.objects < OBJECTS and #self.objects + 1 or random(#self.objects)
  local old = self.objects[place]
  self.objects[place] = object
  if old ~= nil then
    let_go(old)
  end
end

--- Makes a new object or two, in place of old ones. They belong to the task that calls.
function Values:refill()
  for _, object in pairs { one_of(makers)() } do
    self:keep(object)
  end
end

--- Keeps the objects that a call returned: they may be closed with their task already.
---@param results? table
function Values:harvest(results)
  for i = 1, results and results.n or 0 do
    if random(4) == 1 then
      self:keep(results[i])
    end
  end
end

--- Closes all that is kept.
function Values:close()
  for _, object in pairs(self.objects) do
    let_go(object)
  end
  self.objects = {}
end

--- The values that arguments raise on purpose.
Values.raised = { [raised_table] = true }

local function show_string(value)
  local text = ("%q"):format(value:sub(1, 60)):gsub("\n", "n")
  return #value > 60 and ("%s…%d"):format(text, #value) or text
end

--- A value as it could stand in a script, more or less.
---@return string
function Values.show(value, deep)
  if type(value) == "string" then
    return show_string(value)
  elseif type(value) == "table" and not debug.getmetatable(value) and not deep then
    local words = {}
    for key, item in pairs(value) do
      words[#words + 1] = ("[%s]=%s"):format(Values.show(key, true), Values.show(item, true))
    end
    return "{" .. table.concat(words, ", ") .. "}"
  end
  local metatable = debug.getmetatable(value)
  local _, text = pcall(tostring, value)
  return metatable and type(value) == "table" and not metatable.__name
    and ("hostile(%s)"):format(tostring(next(metatable))) or tostring(text)
end

--- A source of values for the functions of a surface.
---@param surface table
function Values.new(surface)
  return setmetatable({ objects = {}, surface = surface }, Values)
end

return Values
