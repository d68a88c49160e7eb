--- The names of messages in a Maildir. Not for scripts.
---
--- A name is an id that is never given again, in front of what changes: ID[,S=BYTES,W=BYTES][:2,FLAGS].
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local file = require "moonwire.file"

local name = {}

local count, host = 0, nil

-- What may not stand in a name is written as other programs write it.
local function host_name()
  local text = file.read("/proc/sys/kernel/hostname") or ""
  text = text:match "^[^\n]+" or "localhost"
  return (text:gsub("[^%w.-]", function(byte) return ("\\%03o"):format(byte:byte()) end))
end

--- A new id. Those of one process are in order.
---@return string
function name.new()
  host = host or host_name()
  count = (count + 1) % 1000000
  return ("%d.Q%06dR%s.%s"):format(os.time(), count, codec.hex_encode(crypto.random_bytes(8)), host)
end

--- An id with the sizes of its message.
---@param id string
---@param size integer bytes on the disk
---@param wire_size integer bytes with CRLF behind each line
---@return string
function name.with_sizes(id, size, wire_size)
  return ("%s,S=%d,W=%d"):format(id, size, wire_size)
end

--- A name taken apart.
---@param text string
---@return string id
---@return string flags sorted
---@return integer? wire_size
function name.parse(text)
  local base, flags = text:match "^(.-):2,(%a*)$"
  base = base or text:match "^[^:]*"
  local wire_size = math.tointeger(tonumber((base:match ",W=(%d+)")))
  return base:match "^[^,]*", flags or "", wire_size
end

--- A name with other flags.
---@param text string
---@param flags string letters
---@return string
function name.with_flags(text, flags)
  local letters = {}
  for letter in flags:gmatch "%a" do
    if not letters[letter] then
      letters[letter] = true
      letters[#letters + 1] = letter
    end
  end
  table.sort(letters)
  return text:match "^[^:]*" .. ":2," .. table.concat(letters)
end

--- Whether one comes before another: by the second in which they came, and then by their bytes.
---@param a string
---@param b string
---@return boolean
function name.is_before(a, b)
  local at, bt = tonumber(a:match "^%d+") or 0, tonumber(b:match "^%d+") or 0
  if at ~= bt then
    return at < bt
  end
  return a < b
end

return name
