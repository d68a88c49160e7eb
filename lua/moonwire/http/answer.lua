--- What a client gets: status, fields and body. Scripts get it from moonwire.http.client.
local check = require "moonwire.check"
local core = require "moonwire.core"
local download = require "moonwire.http.download"
local events = require "moonwire.http.events"
local exchange = require "moonwire.http.exchange"
local file = require "moonwire.file"
local json = require "moonwire.json"

--- The answer of a server. `body` is there unless the option `stream` was given.
---@class moonwire.http.answer
---@field status integer
---@field reason string the words behind the status, "" without any
---@field version string "1.1" or "1.0"
---@field headers table<string, string> lower-case names; repeated ones joined with ", "
---@field url string where it came from in the end
---@field redirects integer that were followed
---@field body? string
---@field length? integer bytes of the body as announced, before decompression
local Answer = { __name = "moonwire.http.answer" }

local answer = {}

local PIECE <const> = 16384 -- compressed bytes that are read at a time
local SOME_DEFAULT <const>, ALL_DEFAULT <const> = 65536, 10 * 1024 * 1024
local CODINGS <const> = { gzip = "gzip", ["x-gzip"] = "gzip", deflate = "deflate", br = "brotli" }
local CHUNKS <const> = { max = "integer" }

function Answer.__index(self, name)
  if name == "headers" then
    local headers = self.reply:headers()
    rawset(self, "headers", headers)
    return headers
  end
  return Answer[name]
end

-- --- the connection behind it

-- The body is read, or will not be: the connection serves the next request, or ends.
local function leave(self)
  local link = self.link
  if not link then
    return
  end
  self.link = nil
  exchange.stop(self.state)
  local whole, keeps = self.reply:is_whole()
  self.trailing = not self.length and self.reply:trailers() or nil
  self.reply:leave()
  if whole and keeps and not self.state.upload.stopped then
    self.pool:give(self.key, link)
  else
    link:abort()
  end
end

--- Made by the client.
---@private
---@param reply table the head, of moonwire.core.http
---@param state table of exchange.run
---@param link table
---@param pool table
---@param key string
---@return moonwire.http.answer
function answer.new(reply, state, link, pool, key)
  local status, reason, version = reply:status()
  local self = setmetatable({ reply = reply, state = state, link = link, pool = pool, key = key,
    status = status, reason = reason, version = version, length = reply:length(), data = "" }, Answer)
  if status ~= 101 and reply:is_whole() then
    leave(self)
  end
  return self
end

--- Has the body decompressed as it is read, up to `max` bytes.
---@private
---@param max? integer
function Answer:decode(max)
  local kind = CODINGS[(self.reply:header("content-encoding") or ""):lower()]
  if kind and self.link then
    self.decoder = core.coding.new_decoder(kind, { max = math.min(max or math.maxinteger, 1 << 30) })
  end
end

--- Ends it, read or not. May be called again.
function Answer:close()
  check.object(self, Answer, "close")
  if self.link and not self.reply:is_whole() then
    self.reply:skip()
  end
  leave(self)
end

Answer.__close = Answer.close

-- --- reading

-- The end of a connection in mid-body is the server's doing.
local function give_fault(self, err, code)
  if code == "closed" and self.link then
    err, code = ("%s: the connection ended within the body"):format(self.url), "reset"
  end
  self.failure = { err, code }
  leave(self)
  return nil, err, code
end

local function read_plain(self, max)
  if self.failure then
    return nil, self.failure[1], self.failure[2]
  elseif not self.link then
    return nil, "eof", "eof"
  end
  local data, err, code = self.reply:read_some(max)
  if data then
    return data
  elseif code == "timeout" or code == "busy" then
    return nil, err, code
  elseif code ~= "eof" then
    return give_fault(self, err, code)
  end
  leave(self)
  return nil, "eof", "eof"
end

-- More of what the decoder gives; nil, "eof" at the end.
local function fill(self)
  while self.data == "" do
    local decoder = self.decoder
    local bytes, err, code = read_plain(self, PIECE)
    local data
    if bytes then
      data, err, code = decoder:add(bytes)
    elseif code == "eof" and not self.decoded then
      data, err, code = decoder:finish()
      self.decoded = true
      data = data and ""
    end
    if not data and code == "eof" then
      return nil, "eof", "eof"
    elseif not data then
      return code == "timeout" and nil or give_fault(self, err, code), err, code
    end
    self.data = data
    if self.decoded and data == "" then
      return nil, "eof", "eof"
    end
  end
  return true
end

local function read_decoded(self, max)
  local ok, err, code = fill(self)
  if not ok then
    return nil, err, code
  end
  local data = self.data:sub(1, max)
  self.data = self.data:sub(#data + 1)
  return data
end

local function read_piece(self, max)
  if self.decoder then
    return read_decoded(self, max)
  end
  return read_plain(self, max)
end

--- Reads some of the body: what is there, or comes next.
---@param max? integer bytes at most; default 65536
---@return string? data
---@return string? err
---@return moonwire.code? code "eof" at the end; "timeout", "reset", "invalid", "too_large", "busy"
function Answer:read_some(max)
  check.object(self, Answer, "read_some")
  return read_piece(self, max or SOME_DEFAULT)
end

--- Reads the rest of the body.
---@param max? integer bytes at most; default 10 MiB
---@return string? data
---@return string? err
---@return moonwire.code? code "too_large"; "timeout", "reset", "invalid", "busy"
function Answer:read_all(max)
  check.object(self, Answer, "read_all")
  local parts, size, most = {}, 0, max or ALL_DEFAULT
  if not self.decoder and self.length and self.length > most then
    return nil, "too_large", "too_large"
  end
  while true do
    local data, err, code = read_piece(self, math.min(most - size + 1, SOME_DEFAULT))
    if code == "eof" then
      return table.concat(parts)
    elseif not data then
      return nil, err, code
    end
    parts[#parts + 1], size = data, size + #data
    if size > most then
      return nil, "too_large", "too_large"
    end
  end
end

--- Iterates over the body as it comes. Raises faults.
---@param options? moonwire.iteration_options max: bytes of a piece, default 65536
---@return fun(): string?
function Answer:chunks(options)
  check.object(self, Answer, "chunks")
  check.options(options, CHUNKS, 1, "chunks")
  local max = options and options.max or SOME_DEFAULT
  return function()
    local data, err, code = read_piece(self, max)
    if not data and code ~= "eof" then
      error(core.fault(code, err), 0)
    end
    return data
  end
end

--- The body as a value of JSON. Reads it, if that has not been done.
---@return any value
---@return string? err
---@return moonwire.code? code "invalid"; as of read_all
function Answer:json()
  check.object(self, Answer, "json")
  local data, err, code = self.body, nil, nil
  if not data then
    data, err, code = self:read_all()
  end
  if not data then
    return nil, err, code
  end
  return json.decode(data)
end

--- Writes the rest of the body to a file, as it comes.
---@param path string
---@return integer? bytes
---@return string? err
---@return moonwire.code? code as of read_some and file.open; "full"
function Answer:save(path)
  check.object(self, Answer, "save")
  check.type(path, "string", 1, "save")
  local opened, err, code = file.open(path, "write")
  if not opened then
    return nil, err, code
  end
  local bytes
  bytes, err, code = download.write(self, opened)
  opened:close()
  return bytes, err, code
end

--- Iterates over the events of a body of the type text/event-stream. Raises faults.
---@return fun(): moonwire.http.event?
function Answer:events()
  check.object(self, Answer, "events")
  return events.of(self)
end

-- --- fields

--- The value of a field; repeated ones joined with ", ".
---@param name string in any case
---@return string?
function Answer:header(name)
  check.object(self, Answer, "header")
  check.type(name, "string", 1, "header")
  return self.reply:header(name)
end

--- Iterates over the fields, as they came.
---@return fun(): string?, string
function Answer:fields()
  check.object(self, Answer, "fields")
  local next_field, reply = self.reply:fields()
  return function()
    return next_field(reply)
  end
end

--- The fields behind a chunked body, once it was read.
---@return table<string, string>
function Answer:trailers()
  check.object(self, Answer, "trailers")
  return self.trailing or {}
end

-- --- other protocols

--- The connection, after an answer 101: it speaks another protocol, and is the running task's.
---@return moonwire.stream? stream
---@return string? err
---@return moonwire.code? code "invalid": the server does not change to another protocol
function Answer:upgrade()
  check.object(self, Answer, "upgrade")
  if self.status ~= 101 or not self.link then
    return nil, ("upgrade: %d %s"):format(self.status, self.reason), "invalid"
  end
  local link = self.link
  self.link = nil
  self.reply:leave()
  return link:release()
end

function Answer:__tostring()
  return ("moonwire.http.answer: %d %s"):format(self.status, self.url or "")
end

return answer
