-- scripts/metrics.lua — answers GET /metrics with all metrics of the process, for Prometheus and the like.
--
--   build/moonwire run scripts/metrics.lua --listen tcp://127.0.0.1:9464
-- In another terminal:
--   curl http://127.0.0.1:9464/metrics
--
-- One request a connection, of which it reads the head and nothing else.
local metrics = require "moonwire.metrics"
local task = require "moonwire.task"

local HEAD_BYTES <const> = 8192
local HEAD_SECONDS <const> = 10
local TEXT <const> = "text/plain; charset=utf-8"
local EXPOSITION <const> = "text/plain; version=0.0.4; charset=utf-8"

local REASONS <const> = {
  [200] = "OK", [400] = "Bad Request", [404] = "Not Found", [405] = "Method Not Allowed",
}

-- The fields of a head by their names in small letters; nil when one is none, or is there twice.
local function read_fields(lines)
  local fields = {}
  for line in lines:gmatch("(.-)\r\n") do
    local name, value = line:match("^([%w!#$%%&'*+.^_`|~-]+):[ \t]*([^%z\1-\8\10-\31\127]*)$")
    name = name and name:lower()
    if not name or fields[name] then
      return nil
    end
    fields[name] = value:gsub("[ \t]+$", "")
  end
  return fields
end

-- What to answer. A request that is odd in any way is refused: nobody asks for metrics oddly.
local function judge(head)
  local method, target, minor, lines = head:match("^(%u+) ([\33-\126]+) HTTP/1%.([01])\r\n(.*)$")
  local fields = method and read_fields(lines)
  if not fields or (minor == "1" and not fields.host) then
    return 400
  elseif fields["transfer-encoding"] or (fields["content-length"] or "0") ~= "0" then
    return 400
  elseif target:gsub("^http://[^/?]*", ""):gsub("%?.*", "") ~= "/metrics" then
    return 404
  elseif method ~= "GET" and method ~= "HEAD" then
    return 405
  end
  return 200, method == "HEAD"
end

local function answer(conn, status, is_head)
  local body = status == 200 and metrics.text() or REASONS[status] .. "\n"
  conn:write(
    ("HTTP/1.1 %d %s\r\n"):format(status, REASONS[status]),
    "Content-Type: ", status == 200 and EXPOSITION or TEXT, "\r\n",
    "Content-Length: ", #body, "\r\n",
    status == 405 and "Allow: GET, HEAD\r\n" or "",
    "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
    is_head and "" or body)
end

return function(conn)
  conn:configure { read_timeout = false }
  local head, _, code = task.with_timeout(HEAD_SECONDS, conn.read_until, conn, "\r\n\r\n", HEAD_BYTES)
  if head then
    answer(conn, judge(head .. "\r\n"))
  elseif code == "too_large" then
    answer(conn, 400)
  end
end
