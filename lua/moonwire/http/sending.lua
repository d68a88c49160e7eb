--- A file as an answer: its validators, conditions, ranges. Not for scripts.
local codec = require "moonwire.codec"
local condition = require "moonwire.http.condition"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local digest = require "moonwire.http.digest"
local field = require "moonwire.http.field"
local range = require "moonwire.http.range"

local sending = {}

local PIECE <const> = 65536 -- bytes that are read at a time
local WEIGHT <const> = 1000000 -- microseconds
local KEPT_MOST <const> = 1024 -- files of which is kept what is told of them

--- The field Content-Disposition (RFC 6266).
---@param kind "inline"|"attachment"
---@param name string of the file, with its folders
---@return string
function sending.disposition(kind, name)
  local base = name:match("[^/]*$")
  local plain = base:gsub('[^ -~]', "_"):gsub('["\\]', "_")
  if plain == base then
    return ('%s; filename="%s"'):format(kind, base)
  end
  return ("%s; filename=\"%s\"; filename*=UTF-8''%s"):format(kind, plain, codec.url_encode(base))
end

--- The entity tag of a file: what identifies these bytes under this name.
---@param status moonwire.file_status
---@param coding? string another coding of the same file is other bytes
---@return string
function sending.tag(status, coding)
  local changed = math.floor(status.modified * WEIGHT)
  return ('"%x-%x%s"'):format(changed, status.size, coding and "-" .. coding or "")
end

--- What is told of a file.
---@class moonwire.http.facts
---@field tag string
---@field date string
---@field modified integer when it changed last, in seconds since 1970, not after now
---@field kind string its media type
---@field status moonwire.file_status that it is made from
---@field lines? string fields for all of it; nil: one of them is not to be sent as it is

local function describe(found)
  local status, now = found.status, os.time()
  local modified = math.max(0, math.min(math.floor(status.modified), now))
  local facts = { tag = sending.tag(status, found.coding), date = core.http.date(modified),
    modified = modified, status = status, kind = found.kind }
  if field.is_value(found.kind) then
    facts.lines = ("X-Content-Type-Options: nosniff\r\nETag: %s\r\nLast-Modified: %s\r\n"
      .. "Accept-Ranges: bytes\r\nContent-Type: %s\r\n%s"):format(facts.tag, facts.date, found.kind,
      found.coding and "Content-Encoding: " .. found.coding .. "\r\n" or "")
  end
  return facts, modified == math.floor(status.modified)
end

--- What has been kept of files by their names: made once for each state of a file.
---@class moonwire.http.kept
---@field count integer
---@field facts table<string, moonwire.http.facts>

---@return moonwire.http.kept
function sending.new_kept()
  return { count = 0, facts = {} }
end

local function facts_of(kept, found)
  local name, status = found.coding and found.name .. "\0" .. found.coding or found.name, found.status
  local facts = kept.facts[name]
  if facts and facts.status.modified == status.modified and facts.status.size == status.size then
    return facts
  end
  local made, lasts = describe(found)
  if lasts then
    if not facts and kept.count == KEPT_MOST then
      kept.count, kept.facts = 0, {}
    end
    kept.count, kept.facts[name] = kept.count + (facts and 0 or 1), made
  end
  return made
end

-- `length` bytes from `offset` on into the body. True, or nil and why not.
local function write_part(response, file, offset, length)
  file:seek(offset)
  while length > 0 do
    local data, err = file:read(math.min(length, PIECE))
    if not data then
      return nil, err
    end
    local ok
    ok, err = response:write(data)
    if not ok then
      return nil, err
    end
    length = length - #data
  end
  return true
end

-- The heads of the parts, and how long all of it is (RFC 9110 §14.6).
local function plan_parts(found, spans, boundary)
  local heads, length = {}, #boundary + 8 -- of the last line: CRLF, four dashes, CRLF
  for i, span in ipairs(spans) do
    heads[i] = ("%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"):format(
      i > 1 and "\r\n" or "", boundary, found.kind, span.first, span.last, found.status.size)
    length = length + #heads[i] + span.last - span.first + 1
  end
  return heads, length
end

local function send_parts(response, found, spans)
  local boundary = codec.hex_encode(crypto.random_bytes(16))
  local heads, length = plan_parts(found, spans, boundary)
  response:header("Content-Type", "multipart/byteranges; boundary=" .. boundary)
  response:header("Content-Length", length)
  for i, span in ipairs(spans) do
    local ok, err = response:write(heads[i])
    if ok then
      ok, err = write_part(response, found.file, span.first, span.last - span.first + 1)
    end
    if not ok then
      response:finish()
      return nil, err
    end
  end
  response:write("\r\n--", boundary, "--\r\n")
  return response:finish()
end

local function send_spans(response, found, spans)
  local size = found.status.size
  if #spans == 0 then
    response:status(416):header("Content-Range", ("bytes */%d"):format(size))
    response:header("Content-Type", "text/plain; charset=utf-8")
    return response:send "Range Not Satisfiable\n"
  end
  response:status(206)
  if #spans > 1 then
    return send_parts(response, found, spans)
  end
  local span = spans[1]
  response:header("Content-Type", found.kind)
  response:header("Content-Range", ("bytes %d-%d/%d"):format(span.first, span.last, size))
  return response:send_file(found.file, span.first, span.last - span.first + 1)
end

-- The parts that the client asks for and may get; nil: it gets all.
local function spans_of(request, found, most)
  local text = request.method == "GET" and request:header "Range"
  if text and condition.allows_range(request, found.facts.tag, found.facts.date) then
    return range.parse(text, found.status.size, most)
  end
end

--- Begins an answer, before any field is set: sets `facts` of what was found, and `begun`.
---@param request moonwire.http.request GET or HEAD
---@param response moonwire.http.response
---@param found moonwire.http.found
---@param kept moonwire.http.kept
function sending.begin(request, response, found, kept)
  local facts = facts_of(kept, found)
  found.facts = facts
  found.begun = facts.lines and not core.http.is_conditional(request)
    and core.http.begin_fields(response, facts.lines)
end

local function send_all(response, found)
  return response:send_file(found.file, 0, found.status.size)
end

local function tell_digest(request, response, found)
  if found.digest and digest.is_wanted(request:header "Want-Repr-Digest") then
    local bytes = digest.of(found.file)
    response:header("Repr-Digest", bytes and digest.field(bytes))
  end
end

--- Answers with a file, or a part of it, or with 304, 412, 416. True, or nil and why not all was sent: "eof"
--- when the file has less than it had.
---@param request moonwire.http.request
---@param response moonwire.http.response
---@param found moonwire.http.found of begin
---@param ranges_max integer
---@return any ok
---@return string? err
function sending.send(request, response, found, ranges_max)
  if found.begun then
    tell_digest(request, response, found)
    return send_all(response, found)
  end
  local facts = found.facts
  response:header("X-Content-Type-Options", "nosniff")
  response:header("ETag", facts.tag):header("Last-Modified", facts.date)
  local status = condition.check(request, facts.tag, facts.modified)
  if status then
    return response:status(status):send()
  end
  tell_digest(request, response, found)
  response:header("Accept-Ranges", "bytes")
  if found.coding then
    response:header("Content-Encoding", found.coding)
  end
  local spans = spans_of(request, found, ranges_max)
  if spans then
    return send_spans(response, found, spans)
  end
  response:header("Content-Type", found.kind)
  return send_all(response, found)
end

return sending
