---@meta moonwire.core
-- luacheck: ignore 212 241

--- What the judge of a config needs of TLS. Internal: scripts use moonwire.net.
---@class moonwire.core
local core = {}

core.tls = {}

--- Whether a server could have these options, which are plain: see src/script/tls_settings.h.
---@param options table
---@return true? good
---@return string? why
---@return moonwire.code?
function core.tls.judge(options) end

--- A certificate to try things out, as PEM texts.
---@return string? certificate
---@return string key or why there is none
function core.tls.develop() end
