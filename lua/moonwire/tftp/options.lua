--- What the two sides of a transfer agree on (RFC 2348, 2349, 7440). Not for scripts.
local options = {}

local BLOCK <const>, BLOCK_LEAST <const>, BLOCK_MOST <const> = 512, 8, 65464
local WINDOW_MOST <const> = 65535
local SECONDS_MOST <const> = 255
local FLIGHT <const> = 128 * 1024 -- bytes of a window: more than this the socket of a peer may not keep

---@class moonwire.tftp.terms
---@field block_size integer
---@field window_size integer
---@field seconds? number agreed time to a repetition
---@field size? integer bytes that the sender has told

-- A number of digits alone within bounds, or nil.
local function number_of(text, least, most)
  local number = text:find("^%d+$") and #text <= 18 and math.tointeger(tonumber(text))
  return number and number >= least and number <= most and number or nil
end

local function window_of(wanted, most, block_size)
  return math.max(1, math.min(wanted, most, FLIGHT // block_size))
end

--- What a server grants of what a client asks for. What is none of these, or out of bounds, is passed over,
--- as if it had not been asked for.
---@param asked table<string, string> of the request
---@param limits { block_size: integer, window_size: integer, timeout_most: number }
---@return moonwire.tftp.terms terms
---@return table<string, string|integer> granted for the answer, without tsize
function options.grant(asked, limits)
  local terms, granted = { block_size = BLOCK, window_size = 1 }, {}
  local block = number_of(asked.blksize or "", BLOCK_LEAST, math.maxinteger)
  if block then
    terms.block_size = math.min(block, limits.block_size, BLOCK_MOST)
    granted.blksize = terms.block_size
  end
  local window = number_of(asked.windowsize or "", 1, WINDOW_MOST)
  if window then
    terms.window_size = window_of(window, limits.window_size, terms.block_size)
    granted.windowsize = terms.window_size
  end
  local seconds = number_of(asked.timeout or "", 1, SECONDS_MOST)
  if seconds and seconds <= limits.timeout_most then
    terms.seconds, granted.timeout = seconds, seconds
  end
  terms.size = number_of(asked.tsize or "", 0, math.maxinteger)
  return terms, granted
end

--- What a client asks for.
---@param wanted { block_size: integer, window_size: integer, timeout?: integer, size?: integer }
---@return table<string, integer>
function options.ask(wanted)
  local asked = { tsize = wanted.size, timeout = wanted.timeout }
  asked.blksize = wanted.block_size ~= BLOCK and wanted.block_size or nil
  asked.windowsize = wanted.window_size ~= 1
    and window_of(wanted.window_size, WINDOW_MOST, wanted.block_size) or nil
  return asked
end

--- The terms that an answer of a server makes; nil: it grants what was not asked for, or more.
---@param granted table<string, string>
---@param asked table<string, integer>
---@return moonwire.tftp.terms?
function options.accept(granted, asked)
  for name in pairs(granted) do
    if not asked[name] then
      return nil
    end
  end
  local terms = { block_size = BLOCK, window_size = 1 }
  if granted.blksize then
    terms.block_size = number_of(granted.blksize, BLOCK_LEAST, asked.blksize)
  end
  if granted.windowsize then
    terms.window_size = number_of(granted.windowsize, 1, asked.windowsize)
  end
  terms.seconds = granted.timeout and number_of(granted.timeout, asked.timeout, asked.timeout)
  terms.size = granted.tsize and number_of(granted.tsize, 0, math.maxinteger)
  local is_odd = granted.timeout and not terms.seconds or granted.tsize and not terms.size
  return not is_odd and terms.block_size and terms.window_size and terms or nil
end

return options
