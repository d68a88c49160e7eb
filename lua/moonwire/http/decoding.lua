--- Bodies that are decompressed while they are read. Not for scripts.
local compress = require "moonwire.compress"
local core = require "moonwire.core"

local decoding = {}

local KINDS <const> = { gzip = "gzip", ["x-gzip"] = "gzip", deflate = "deflate", br = "brotli" }
local PIECE <const> = 16384 -- bytes that are read at a time
local ALL_DEFAULT <const> = 10 * 1024 * 1024
local CHUNK_DEFAULT <const> = 65536

--- A body that comes through a decoder.
---@class moonwire.http.decoded
---@field inner fun(request: moonwire.http.request, max?: integer): string?, string?, moonwire.code?
---@field decoder? moonwire.decoder nil once all has come
---@field data string what came out and was not taken yet

-- More data, at least a byte; nil, "eof" at the end.
local function fill(request, body)
  while body.data == "" do
    if not body.decoder then
      return nil, "eof", "eof"
    end
    local bytes, err, code = body.inner(request, PIECE)
    local data
    if bytes then
      data, err, code = body.decoder:add(bytes)
    elseif code == nil and err == "eof" or code == "eof" then
      data, err, code = body.decoder:finish()
      body.decoder = nil
    end
    if not data then
      return nil, err, code
    end
    body.data = data == true and "" or data
  end
  return true
end

local function read_some(request, body, max)
  local ok, err, code = fill(request, body)
  if not ok then
    return nil, err, code
  end
  local data = body.data:sub(1, max or CHUNK_DEFAULT)
  body.data = body.data:sub(#data + 1)
  return data
end

local function read_all(request, body, max)
  local parts, size, most = {}, 0, max or ALL_DEFAULT
  while true do
    local data, err, code = read_some(request, body, most - size + 1)
    if not data then
      if err == "eof" then
        return table.concat(parts)
      end
      return nil, err, code
    end
    parts[#parts + 1], size = data, size + #data
    if size > most then
      return nil, "too_large", "too_large"
    end
  end
end

local function chunks(request, body, options)
  local max = options and options.max
  return function()
    local data, err, code = read_some(request, body, max)
    if not data and err ~= "eof" then
      error(core.fault(code, err), 0)
    end
    return data
  end
end

--- Gives a request methods that read what its body holds.
---@param request moonwire.http.request
---@param coding string the field Content-Encoding
---@param most? integer bytes that may come out
---@return boolean done false: a coding, or several, that nobody knows
function decoding.shadow(request, coding, most)
  local name = coding:lower():match("^%s*(.-)%s*$")
  if name == "identity" or name == "" then
    return true
  elseif not KINDS[name] then
    return false
  end
  local decoder = compress.decoder(KINDS[name], { max = most })
  local body = { inner = request.read_some, decoder = decoder, data = "" }
  request.read_some = function(self, max) return read_some(self, body, max) end
  request.read_all = function(self, max) return read_all(self, body, max) end
  request.chunks = function(self, options) return chunks(self, body, options) end
  return true
end

return decoding
