---@meta moonwire.core
-- luacheck: ignore 212 241

--- What zlib and brotli compress. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

core.coding = {}

---@param kind moonwire.coding
---@param data string
---@param options? moonwire.encode_options
---@return string?, string?, moonwire.code?
function core.coding.encode(kind, data, options) end

---@param kind moonwire.coding
---@param bytes string
---@param max? integer
---@return string?, string?, moonwire.code?
function core.coding.decode(kind, bytes, max) end

---@param kind moonwire.coding
---@param options? moonwire.encode_options
---@return moonwire.encoder
function core.coding.new_encoder(kind, options) end

---@param kind moonwire.coding
---@param options? moonwire.decoder_options
---@return moonwire.decoder
function core.coding.new_decoder(kind, options) end

