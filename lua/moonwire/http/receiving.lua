--- How a file comes in by PUT: the body to a hidden file, digests, conditions, its name. Part of
--- moonwire.http.receiver. Not for scripts.
local condition = require "moonwire.http.condition"
local crypto = require "moonwire.crypto"
local digest = require "moonwire.http.digest"
local incoming = require "moonwire.http.incoming"
local log = require "moonwire.log"
local sending = require "moonwire.http.sending"
local task = require "moonwire.task"

local receiving = {}

local PIECE <const> = 262144 -- bytes that are read at a time
local PATIENCE <const> = 5 -- seconds that an upload has to end which is gone on with
local STATUSES <const> = {
  invalid = 400, eof = 400, denied = 403, timeout = 408, not_found = 409, exists = 409, busy = 409,
  too_large = 413, full = 507, descriptors = 503, memory = 503,
}
local LEFT <const> = { reset = true, closed = true }
local WORDS <const> = {
  [400] = "not understood", [403] = "not allowed", [404] = "not found", [405] = "method not allowed",
  [408] = "too slow", [409] = "in the way is something else", [412] = "not as expected", [413] = "too large",
  [503] = "try again", [507] = "no room is left",
}


---@class moonwire.http.receiving
---@field folder moonwire.folder
---@field settings moonwire.http.receiver_options
---@field active table<string, moonwire.task> the uploads of this worker, by the names of their files

--- Answers with a line of text.
---@param response moonwire.http.response
---@param status integer
---@param text? string
function receiving.answer(response, status, text)
  response:header("Content-Type", "text/plain; charset=utf-8"):status(status)
  return response:send(("%d: %s\n"):format(status, text or WORDS[status] or "an error of the server"))
end

--- Answers for what went wrong.
---@param response moonwire.http.response
---@param err string
---@param code moonwire.code
function receiving.refuse(response, err, code)
  if LEFT[code] then
    log.info("the sender of a file has left", { err = err })
    return response:status(400):send()
  end
  local status = STATUSES[code] or 500
  log[status == 500 and "error" or "info"]("a file was not taken", { err = err, status = status })
  if code == "busy" then
    response:header("Retry-After", "5")
    return receiving.answer(response, status, "another upload of it is under way")
  end
  return receiving.answer(response, status)
end

-- --- conditions

--- Whether what is there is what the client thinks: before it is changed.
---@param request moonwire.http.request
---@param status? moonwire.file_status
---@return boolean
function receiving.is_expected(request, status)
  local tag = status and sending.tag(status)
  return condition.allows_change(request, tag, status and math.floor(status.modified))
end

--- What there is of a name; nil: nothing.
---@param self moonwire.http.receiving
---@param name string
---@return moonwire.file_status?
function receiving.status_of(self, name)
  local status = self.folder:stat(name, { follow = false })
  return status
end

-- --- receiving

--- The part that a request brings: first and last byte, and how many there are in all; nil: all of it; false:
--- it cannot be read.
---@param request moonwire.http.request
---@return table|false|nil
function receiving.span_of(request)
  local text = request:header "Content-Range"
  if not text then
    return nil
  end
  local first, last, total = text:match "^bytes (%d+)%-(%d+)/(%d+)$"
  first, last, total = math.tointeger(first), math.tointeger(last), math.tointeger(total)
  if not (first and last and total) or first > last or last >= total then
    return false
  elseif request.length and request.length ~= last - first + 1 then
    return false
  end
  return { first = first, last = last, total = total }
end

---@class moonwire.http.reception
---@field part moonwire.http.incoming
---@field first integer where this request begins
---@field most integer bytes that it may bring
---@field made? any the digest of what it brings

--- Gives bytes back to the quota.
---@param self moonwire.http.receiving
---@param bytes integer
function receiving.give_back(self, bytes)
  if self.settings.quota and bytes > 0 then
    self.settings.quota:give(bytes)
  end
end

local function add(self, part, data)
  local quota = self.settings.quota
  if quota and not quota:take(#data) then
    return nil, "over quota", "full"
  end
  local ok, err, code = part:add(data)
  if not ok then
    receiving.give_back(self, #data)
  end
  return ok, err, code
end

-- Takes the body in. True, or what is wrong; what came is still there.
local function take_in(self, request, reception)
  local received = 0
  while true do
    local data, err, code = request:read_some(PIECE)
    if code == "eof" then
      return true
    elseif not data then
      return nil, err, code
    end
    received = received + #data
    if received > reception.most then
      return nil, "more than Content-Range says", "invalid"
    end
    local ok
    ok, err, code = add(self, reception.part, data)
    if not ok then
      return nil, err, code
    end
    if reception.made then
      reception.made:update(data)
    end
  end
end

local function field_of(request, name)
  return request:header(name) or request:trailers()[name:lower()]
end

-- Cuts the hidden file down to where the request found it.
local function undo(self, reception)
  local part = reception.part
  receiving.give_back(self, part.size - reception.first)
  if reception.first == 0 then
    part:drop()
  else
    part:cut(reception.first)
  end
end

-- The digest of the whole file, if anybody wants to know; false: it is not the one that it should have.
local function judge(request, reception)
  local expected = digest.parse(field_of(request, "Repr-Digest"))
  if not expected and not digest.is_wanted(request:header "Want-Repr-Digest") then
    return nil
  end
  local made = reception.first == 0 and reception.bytes or digest.of(reception.part.file)
  return (not expected or crypto.equal(made or "", expected)) and made
end

-- --- publishing

--- Tells the script of a change.
---@param self moonwire.http.receiving
---@param request moonwire.http.request
---@param change table
function receiving.tell(self, request, change)
  if self.settings.on_change then
    self.settings.on_change(request, change)
  end
end

local function publish(self, request, response, name, reception)
  local part, settings = reception.part, self.settings
  local made = judge(request, reception)
  if made == false then
    receiving.give_back(self, part.size)
    part:drop()
    return receiving.answer(response, 400, "its digest is another")
  end
  local before = receiving.status_of(self, name)
  if not receiving.is_expected(request, before) then
    return receiving.answer(response, 412)
  end
  local only_new = request:header "If-None-Match" == "*"
  local ok, err, code = part:publish(name, {
    replace = settings.replace ~= false and not only_new, sync = settings.sync ~= false,
  })
  if not ok then
    if only_new and code == "exists" then
      return receiving.answer(response, 412)
    end
    return receiving.refuse(response, err, code)
  end
  receiving.give_back(self, before and before.kind == "file" and before.size or 0)
  receiving.tell(self, request, { name = name, size = part.size, digest = made, is_new = before == nil })
  local status = part.file:stat()
  if status then
    response:header("ETag", sending.tag(status))
  end
  if made then
    response:header("Repr-Digest", digest.field(made))
  end
  response:status(before and 204 or 201)
  return response:send()
end

--- Says how much of a file there is, in the words of the IETF's draft on resumable uploads.
---@param response moonwire.http.response
---@param size integer
function receiving.tell_offset(response, size)
  response:header("Upload-Offset", size):header("Upload-Complete", "?0")
end

local function receive(self, request, response, name, reception, span)
  local wants_digest = field_of(request, "Content-Digest") or field_of(request, "Repr-Digest")
    or request:header "Trailer" or digest.is_wanted(request:header "Want-Repr-Digest")
  reception.made = wants_digest and crypto.new_digest "sha256"
  local ok, err, code = take_in(self, request, reception)
  if code == "full" then
    undo(self, reception) -- or what was refused would fill the disk, and the quota, until it is swept
  end
  if not ok then
    return receiving.refuse(response, err, code)
  end
  reception.bytes = reception.made and reception.made:finish()
  local expected = digest.parse(field_of(request, "Content-Digest"))
  if expected and not crypto.equal(reception.bytes or "", expected) then
    undo(self, reception)
    return receiving.answer(response, 400, "its digest is another")
  end
  if span and reception.part.size < span.total then
    receiving.tell_offset(response, reception.part.size)
    return receiving.answer(response, 202, "go on")
  end
  return publish(self, request, response, name, reception)
end

--- Ends an upload of this worker that its sender goes on with: it does not know yet that it was left. Waits.
---@param self moonwire.http.receiving
---@param name string
function receiving.take_over(self, name)
  local other = self.active[name]
  if other then
    other:cancel()
    other:join(PATIENCE)
  end
end

--- Takes in what a PUT brings, and gives the file its name when it is whole.
---@param self moonwire.http.receiving
---@param request moonwire.http.request
---@param response moonwire.http.response
---@param name string
---@param span? table of span_of
function receiving.put(self, request, response, name, span)
  local first = span and span.first or 0
  if first > 0 then
    receiving.take_over(self, name)
  end
  local part <close>, err, code = incoming.open(self.folder, name, first > 0 and PATIENCE or 0)
  if not part then
    return receiving.refuse(response, err, code)
  elseif first > part.size then
    receiving.tell_offset(response, part.size)
    if part.size == 0 then
      part:drop()
    end
    return receiving.answer(response, 409, "a part before that is missing")
  end
  self.active[name] = task.current()
  local _ <close> = setmetatable({}, { __close = function() self.active[name] = nil end })
  receiving.give_back(self, part.size - first)
  local ok
  ok, err, code = part:cut(first)
  if not ok then
    return receiving.refuse(response, err, code)
  end
  local most = span and span.last - span.first + 1 or math.maxinteger
  return receive(self, request, response, name, { part = part, first = first, most = most }, span)
end

return receiving
