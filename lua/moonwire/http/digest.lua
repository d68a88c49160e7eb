--- What identifies the bytes of a file, or of a message, to whoever transfers them (RFC 9530): the fields
--- Repr-Digest, Content-Digest and Want-Repr-Digest with SHA-256.
---
---     response:header("Repr-Digest", digest.field(assert(digest.of(opened))))
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"

---@class moonwire.http.digest
local digest = {}

local NAME <const>, BYTES <const> = "sha-256", 32
local PIECE <const> = 262144 -- bytes that are read at a time
local KNOWN_MOST <const> = 1000 -- digests that are remembered
local SETTLED <const> = 2 -- seconds without a change: before, another may come without another time

-- Of files that were read before: by what a file is and when it has changed.
local known, count = {}, 0

local function key_of(status)
  return ("%s %d %.6f"):format(status.id, status.size, status.modified)
end

local function remember(status, bytes)
  if count >= KNOWN_MOST then
    known, count = {}, 0
  end
  if os.time() - status.modified < SETTLED then
    return
  end
  local key = key_of(status)
  count = count + (known[key] and 0 or 1)
  known[key] = bytes
end

-- Reads a file to its end.
local function read(file)
  local made, place = crypto.new_digest "sha256", file:position()
  local ok, err, code = file:seek(0)
  while ok do
    local data
    data, err, code = file:read(PIECE)
    if not data then
      break
    end
    made:update(data)
  end
  file:seek(place)
  if code ~= "eof" then
    return nil, err, code
  end
  return made:finish()
end

--- The digest of an open file, 32 bytes. Reads all of it, unless it has done so since it changed last; the
--- position stays. Waits.
---@param file moonwire.file
---@return string? bytes
---@return string? err
---@return moonwire.code? code as of file:read
function digest.of(file)
  if not pcall(core.file.file_methods.is_open, file) then
    check.refuse(1, "of", "an open file expected")
  end
  local status, err, code = file:stat()
  if not status then
    return nil, err, code
  end
  local bytes = known[key_of(status)]
  if bytes then
    return bytes
  end
  bytes, err, code = read(file)
  local after = bytes and file:stat()
  if after and key_of(after) == key_of(status) then
    remember(status, bytes)
  end
  return bytes, err, code
end

--- What the fields Repr-Digest and Content-Digest say of it.
---@param bytes string 32 of them
---@return string
function digest.field(bytes)
  check.type(bytes, "string", 1, "field")
  if #bytes ~= BYTES then
    check.refuse(1, "field", ("%d bytes expected, got %d"):format(BYTES, #bytes))
  end
  return ("%s=:%s:"):format(NAME, codec.base64_encode(bytes))
end

--- The digest that such a field has.
---@param field? string
---@return string? bytes nil: it has none that is known here
function digest.parse(field)
  check.type(field or "", "string", 1, "parse")
  for member in (field or ""):gmatch "[^,]+" do
    local name, text = member:match "^%s*([%l%d%-_%.*]+)%s*=%s*:([%w+/=]*):"
    local bytes = name == NAME and codec.base64_decode(text)
    if bytes and #bytes == BYTES then
      return bytes
    end
  end
end

--- Whether the field Want-Repr-Digest or Want-Content-Digest asks for one that is known here.
---@param field? string
---@return boolean
function digest.is_wanted(field)
  check.type(field or "", "string", 1, "is_wanted")
  for member in (field or ""):gmatch "[^,]+" do
    local name, weight = member:match "^%s*([%l%d%-_%.*]+)%s*=%s*(%d+)%s*$"
    if name == NAME then
      return tonumber(weight) > 0
    end
  end
  return false
end

return digest
