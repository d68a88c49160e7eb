--- Packets of TFTP as bytes and as tables (RFC 1350, RFC 2347). Not for scripts.
local packet = {}

local READ <const>, WRITE <const>, DATA <const>, ACK <const>, ERROR <const>, OACK <const> = 1, 2, 3, 4, 5, 6
local REQUEST_MOST <const> = 512 -- bytes, RFC 2347 section 2
local MESSAGE_MOST <const> = 200 -- bytes of a message that a peer sends, for logs

-- What failures of ours are called on the wire; others are 0.
local NUMBERS <const> = {
  not_found = 1, denied = 2, invalid = 2, full = 3, too_large = 3, protocol = 4, stranger = 5, exists = 6,
  option = 8,
}

-- And what those of a peer are called here.
local CODES <const> = {
  [1] = "not_found", [2] = "denied", [3] = "full", [4] = "protocol", [5] = "protocol", [6] = "exists",
  [7] = "denied", [8] = "protocol",
}

---@class moonwire.tftp.packet
---@field kind "read"|"write"|"data"|"ack"|"error"|"oack"
---@field name? string of a request
---@field mode? string of a request, in lower case
---@field options? table<string, string> of a request or oack, names in lower case
---@field is_twice? boolean an option stands there twice
---@field block? integer of data and ack, 0 to 65535
---@field data? string
---@field number? integer of an error
---@field code? moonwire.code of an error
---@field message? string of an error, without control bytes

local function decode_options(text)
  local options, is_twice = {}, false
  local at = 1
  while at <= #text do
    local name, value, after = text:match("^([^%z]+)%z([^%z]*)%z()", at)
    if not name then
      return nil
    end
    name = name:lower()
    is_twice = is_twice or options[name] ~= nil
    options[name], at = value, after
  end
  return options, is_twice
end

local function decode_request(kind, body)
  if #body + 2 > REQUEST_MOST then
    return nil
  end
  local name, mode, rest = body:match("^([^%z]*)%z([^%z]+)%z(.*)$")
  local options, is_twice = decode_options(rest or "")
  return name and options and {
    kind = kind, name = name, mode = mode:lower(), options = options, is_twice = is_twice,
  }
end

-- Some leave the last byte out.
local function decode_error(body)
  if #body < 2 then
    return nil
  end
  local number = string.unpack(">I2", body)
  local message = body:sub(3):match("^[^%z]*"):sub(1, MESSAGE_MOST):gsub("%c", "?")
  return { kind = "error", number = number, code = CODES[number] or "refused", message = message }
end

local DECODERS <const> = {
  [READ] = function(body) return decode_request("read", body) end,
  [WRITE] = function(body) return decode_request("write", body) end,
  [DATA] = function(body)
    return #body >= 2 and { kind = "data", block = string.unpack(">I2", body), data = body:sub(3) } or nil
  end,
  [ACK] = function(body)
    return #body >= 2 and { kind = "ack", block = string.unpack(">I2", body) } or nil
  end,
  [ERROR] = decode_error,
  [OACK] = function(body)
    local options, is_twice = decode_options(body)
    return options and { kind = "oack", options = options, is_twice = is_twice }
  end,
}

--- What a datagram is; nil when it is no packet.
---@param datagram string
---@return moonwire.tftp.packet?
function packet.decode(datagram)
  local decode = #datagram >= 2 and DECODERS[string.unpack(">I2", datagram)]
  return decode and decode(datagram:sub(3)) or nil
end

local function encode_options(options)
  local names, pieces = {}, {}
  for name in pairs(options) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    pieces[i] = ("%s\0%s\0"):format(name, options[name])
  end
  return table.concat(pieces)
end

--- A request.
---@param kind "read"|"write"
---@param name string without NUL
---@param mode string
---@param options table<string, string|integer>
---@return string? datagram nil: longer than a request may be
function packet.request(kind, name, mode, options)
  local head = string.pack(">I2zz", kind == "read" and READ or WRITE, name, mode)
  local datagram = head .. encode_options(options)
  return #datagram <= REQUEST_MOST and datagram or nil
end

---@param block integer any; its last 16 bits are sent
---@param data string
---@return string datagram
function packet.data(block, data)
  return string.pack(">I2I2", DATA, block & 0xffff) .. data
end

---@param block integer any; its last 16 bits are sent
---@return string datagram
function packet.ack(block)
  return string.pack(">I2I2", ACK, block & 0xffff)
end

---@param options table<string, string|integer>
---@return string datagram
function packet.oack(options)
  return string.pack(">I2", OACK) .. encode_options(options)
end

--- An error for the peer. What it says is ours: no path, and nothing of the system.
---@param code string of moonwire.code, or "stranger" or "option"
---@param message string
---@return string datagram
function packet.error(code, message)
  local text = message:sub(1, MESSAGE_MOST):gsub("%c", "?")
  return string.pack(">I2I2z", ERROR, NUMBERS[code] or 0, text)
end

--- What a block number stands for, near one that is expected: numbers start again at 0 after 65535.
---@param number integer 0 to 65535
---@param expected integer counted on without end
---@return integer
function packet.nearest(number, expected)
  local distance = (number - expected) & 0xffff
  return expected + (distance < 0x8000 and distance or distance - 0x10000)
end

return packet
