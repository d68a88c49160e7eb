--- The script of the fuzz target `lines`: writes a text in pieces into one end of a pair, reads it at the
--- other, and compares each result with what the whole text says. The input is four bytes that say how to
--- cut, a list of reads of two bytes each, which ends with two equal bytes, and the text.
local net = require "moonwire.net"
local task = require "moonwire.task"

local DELIMITERS <const> = { "\n", "\r\n", ":", "ab", "aab", "\0", "\n\n" }

-- What a read of each kind gives on `rest`, the unread text that ends there: its value or code, and what it
-- takes.
local expected = {}

local function failure(code)
  return nil, code, 0
end

function expected.read(rest, count)
  if #rest < count then
    return failure "eof"
  end
  return rest:sub(1, count), nil, count
end

function expected.peek(rest, count)
  local value, code = expected.read(rest, count)
  return value, code, 0
end

function expected.read_line(rest, max)
  local at = rest:find("\n", 1, true)
  local line = at and rest:sub(1, at - 1):gsub("\r$", "")
  if line and #line <= max then
    return line, nil, at
  end
  return failure((line or #rest >= max + 2) and "too_large" or "eof")
end

function expected.read_until(rest, max, delimiter)
  local first, last = rest:find(delimiter, 1, true)
  if first and first - 1 <= max then
    return rest:sub(1, first - 1), nil, last
  end
  return failure((first or #rest >= max + #delimiter) and "too_large" or "eof")
end

function expected.read_all(rest, max)
  if #rest > max then
    return failure "too_large"
  end
  return rest, nil, #rest
end

local KINDS <const> = { "read", "peek", "read_line", "read_until", "read_line", "read_until", "read_all" }

local function read_plan(input)
  local plan, at = {}, 5
  while at + 1 <= #input do
    local kind, argument = input:byte(at, at + 1)
    at = at + 2
    if kind == argument then
      break
    end
    plan[#plan + 1] = {
      name = KINDS[kind % #KINDS + 1], count = argument < 200 and argument or argument * argument,
      delimiter = DELIMITERS[(kind >> 3) % #DELIMITERS + 1],
    }
  end
  return plan, input:sub(at)
end

local function write_cut(stream, text, cuts)
  local at, turn = 1, 0
  while at <= #text do
    local cut = cuts[turn % #cuts + 1]
    local size = 1 + cut % 64 * (cut // 64)
    stream:write(text:sub(at, at + size - 1))
    at, turn = at + size, turn + 1
    if cut % 2 == 0 then
      task.yield()
    end
  end
  stream:shutdown_write()
end

local function complain(step, wanted, got)
  error(("%s(%d, %q): %q expected, got %q"):format(step.name, step.count, step.delimiter, wanted, got), 0)
end

local function check(stream, step, rest)
  local value, code, taken = expected[step.name](rest, math.max(step.count, step.name:find("_") and 1 or 0),
    step.delimiter)
  local got, err, got_code
  if step.name == "read_until" then
    got, err, got_code = stream:read_until(step.delimiter, math.max(step.count, 1))
  elseif step.name == "read" or step.name == "peek" then
    got, err, got_code = stream[step.name](stream, step.count)
  else
    got, err, got_code = stream[step.name](stream, math.max(step.count, 1))
  end
  if got ~= value or got_code ~= code or err ~= code then
    complain(step, tostring(value or code), tostring(got or got_code))
  end
  return rest:sub(taken + 1)
end

local function run(input)
  local plan, text = read_plan(input)
  local near, far = net.pair()
  local writer = task.spawn(write_cut, near, text, { input:byte(1, math.min(4, #input)) })
  local rest = text
  for _, step in ipairs(plan) do
    rest = check(far, step, rest)
  end
  local left = assert(far:read_all())
  if left ~= rest then
    complain({ name = "read_all", count = 0, delimiter = "" }, rest, left)
  end
  writer:join()
  near:close()
  far:close()
end

--- Starts a run; the table tells its fault when it has ended.
---@param input string
---@return { fault: any }
return function(input)
  local state = {}
  task.spawn(function()
    local ok, fault = pcall(run, input)
    state.fault = not ok and (fault or "nil was raised") or nil
  end)
  return state
end
