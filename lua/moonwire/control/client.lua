--- Talks to a daemon over its control socket: a line of JSON there, one back.
--- Not for scripts.
local json = require "moonwire.json"
local net = require "moonwire.net"
local task = require "moonwire.task"

local client = {}

local REQUEST_MAX <const> = 64 * 1024 -- bytes that a daemon reads of a line
local ANSWER_MAX <const> = 256 * 1024 * 1024 -- bytes
local DEPTH_MAX <const> = 1000

---@alias moonwire.control.kind
---| "unreachable" no daemon is there, or what it says is no answer
---| "denied" we may not speak to it
---| "failed" it has refused, or could not do it
---| "invalid" the request cannot be sent

local UNREACHABLE <const> = "no daemon at control socket %s (%s); "
  .. "start one with 'moonwire start', or tell where it is with --control PATH or -c FILE"

-- Paths of Unix sockets are absolute for net.connect.
local function address_of(path)
  return "unix://" .. (path:find("^[/@]") and path or "/proc/self/cwd/" .. path)
end

local DENIED <const> = "control socket %s: permission denied; it is for root and the daemon's own user"

local function connect(path)
  local called, conn, err, code = pcall(net.connect, address_of(path))
  if not called then
    return nil, ("control socket '%s': no path that a socket can have"):format(path), "invalid"
  elseif conn then
    return conn:configure { read_timeout = false, write_timeout = false }
  elseif code == "denied" then
    return nil, DENIED:format(path), "denied"
  end
  local reason = err:match("^connect .*: (.-)$") or err
  return nil, UNREACHABLE:format(path, reason), "unreachable"
end

local PROBLEMS <const> = {
  eof = "has ended the conversation without an answer",
  reset = "has ended the conversation without an answer",
  too_large = "answers with more than is read",
}

local function problem(path, what)
  return nil, ("the daemon at control socket %s %s"):format(path, what), "unreachable"
end

local function read_answer(conn, path, max)
  local line, err, code = conn:read_line(max)
  if not line then
    return problem(path, PROBLEMS[code] or err)
  end
  local answer, message = json.decode(line, { max = max, depth = DEPTH_MAX, replace = true })
  if type(answer) ~= "table" or type(answer.ok) ~= "boolean" then
    return problem(path, "does not answer as one does: " .. (message or "a JSON object with 'ok' expected"))
  elseif not answer.ok then
    local text = type(answer.error) == "string" and answer.error or "the daemon tells no reason"
    return nil, text, answer.code == "denied" and "denied" or "failed"
  end
  return answer
end

-- A daemon that refuses us may say so and close before it has read: its answer counts, not our write.
local function exchange(conn, path, line, max)
  conn:write(line)
  return read_answer(conn, path, max)
end

local function converse(path, lines, max)
  local answers = {}
  local conn <close>, message, kind = connect(path)
  if not conn then
    return nil, message, kind
  end
  for i, line in ipairs(lines) do
    answers[i], message, kind = exchange(conn, path, line, max)
    if not answers[i] then
      return nil, message, kind
    end
  end
  return answers
end

--- Removes what is null in an answer, for whoever shows it.
---@param answer table
---@return table answer
function client.without_nulls(answer)
  for key, field in pairs(answer) do
    if field == json.null then
      answer[key] = nil
    elseif type(field) == "table" then
      client.without_nulls(field)
    end
  end
  return answer
end

--- Asks one thing after the other.
---@param path string of the control socket
---@param requests table[] with the field command
---@param seconds number for all of it
---@param max? integer bytes of an answer; default 256 MiB
---@return table[]? answers
---@return string? message
---@return moonwire.control.kind? kind
function client.ask(path, requests, seconds, max)
  local lines = {}
  for i, request in ipairs(requests) do
    lines[i] = json.encode(request, { sorted = true, replace = true }) .. "\n"
    if #lines[i] > REQUEST_MAX then
      local message = ("a request of %d bytes: a daemon reads %d at most"):format(#lines[i], REQUEST_MAX)
      return nil, message, "invalid"
    end
  end
  local answers, message, kind = task.with_timeout(seconds, converse, path, lines, max or ANSWER_MAX)
  if message == "timeout" then
    return problem(path, ("does not answer within %g s"):format(seconds))
  end
  return answers, message, kind
end

return client
