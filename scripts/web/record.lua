-- The access log of scripts/web.lua as lines of a file, in formats that other programs read.
local file = require "moonwire.file"
local json = require "moonwire.json"
local log = require "moonwire.log"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local LINES_MOST <const> = 10000 -- that wait to be written; more are lost
local AT_ONCE <const> = 1000

local record = {}

-- Nothing that a client sends ends a line, or a text in quotes.
local function quote(text)
  return text and (text:gsub('[%c"\\\127-\255]', function(byte)
    return ("\\x%02x"):format(byte:byte())
  end)) or "-"
end

local function bare(text)
  return text and text ~= "" and (quote(text):gsub(" ", "\\x20")) or "-"
end

local formats = {}

function formats.combined(entry)
  return ('%s - %s [%s] "%s %s HTTP/%s" %d %d "%s" "%s"\n'):format(
    entry.address, bare(entry.user), os.date("!%d/%b/%Y:%H:%M:%S +0000", entry.time), quote(entry.method),
    quote(entry.target), entry.version, entry.status, entry.bytes, quote(entry.referer), quote(entry.agent))
end

function formats.vhost_combined(entry)
  return bare(entry.host) .. " " .. formats.combined(entry)
end

function formats.json(entry)
  local quoted = {}
  for key, value in pairs(entry) do
    quoted[key] = type(value) == "string" and quote(value) or value
  end
  return json.encode(quoted, { sorted = true }) .. "\n"
end

local function entry_of(request, response, status, seconds)
  return {
    address = request.peer:match "^%[?(.-)%]?:%d+$" or "-", user = request.user, time = os.time(),
    host = request.host,
    method = request.method, target = request.target, version = request.version, status = status,
    bytes = response:bytes_sent(), seconds = seconds, referer = request:header "Referer",
    agent = request:header "User-Agent",
  }
end

-- All lines that are there, in one call; the file is found anew each time, so that it can be renamed.
local function write(path, lines, first)
  local batch = { first }
  while #batch < AT_ONCE do
    local line = lines:pop(0)
    if not line then
      break
    end
    batch[#batch + 1] = line
  end
  local ok, err = file.append(path, table.concat(batch))
  if not ok then
    log.error("the access log cannot be written", { err = err, lost = #batch })
    task.sleep(1)
  end
end

--- Writes lines to a file from now on, by a task of its own.
---@param path string
---@param format string
---@return fun(request, response, status: integer, seconds: number) note never waits
function record.new(path, format)
  local lines, lost = sync.queue(LINES_MOST), 0
  assert(file.append(path, "")) -- a file that cannot be written is found at the start
  task.spawn(function()
    for line in lines:values() do
      write(path, lines, line)
    end
  end)
  return function(request, response, status, seconds)
    local entry = entry_of(request, response, status, seconds)
    if not lines:try_push(formats[format](entry)) then
      lost = lost + 1
      if lost % LINES_MOST == 1 then
        log.warn("lines of the access log are lost: its file is too slow", { lost = lost })
      end
    end
  end
end

return record
