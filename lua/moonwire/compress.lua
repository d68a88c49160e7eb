--- Data in fewer bytes, and back: gzip, deflate and brotli, at once or bit by bit,
--- with a limit for what comes out. Much data is worked on by a thread, while the task waits.
local check = require "moonwire.check"
local core = require "moonwire.core"

local compress = {}

--- What HTTP calls "gzip", "deflate" (RFC 1950) and "br"; "raw" is deflate without a frame (RFC 1951).
---@alias moonwire.coding
---| "gzip"
---| "deflate"
---| "brotli"
---| "raw"

---@class moonwire.encode_options
---@field level? integer 1 (fast) to 9 (small); default 5

--- Compresses data.
---@param kind moonwire.coding
---@param data string
---@param options? moonwire.encode_options
---@return string? bytes
---@return string? err
---@return moonwire.code? code "full": too many wait for a thread; "memory"
compress.encode = core.coding.encode

--- Compresses data as the program gzip does.
---@param data string
---@param options? moonwire.encode_options
---@return string? bytes
---@return string? err
---@return moonwire.code? code "full": too many wait for a thread; "memory"
function compress.gzip(data, options)
  check.type(data, "string", 1, "gzip")
  check.options(options, { level = "integer" }, 2, "gzip")
  local level = options and rawget(options, "level")
  if level and level > 9 then
    check.refuse(2, "gzip", "option 'level': 1 to 9 expected")
  end
  return core.coding.encode("gzip", data, { level = level })
end

--- Decompresses data, which must be complete; that of gzip may consist of several files.
---@param kind moonwire.coding
---@param bytes string
---@param max? integer bytes that may come out, up to 1 GiB; default 10 MiB
---@return string? data
---@return string? err
---@return moonwire.code? code "too_large"; "invalid": damaged, or cut; "full": no thread is free; "memory"
compress.decode = core.coding.decode

--- Compresses what comes bit by bit.
---@param kind moonwire.coding
---@param options? moonwire.encode_options
---@return moonwire.encoder
compress.encoder = core.coding.new_encoder

---@class moonwire.decoder_options
---@field max? integer bytes that may come out altogether, up to 1 GiB; default 10 MiB

--- Decompresses what comes bit by bit.
---@param kind moonwire.coding
---@param options? moonwire.decoder_options
---@return moonwire.decoder
compress.decoder = core.coding.new_decoder

return compress
