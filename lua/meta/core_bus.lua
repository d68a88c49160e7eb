---@meta moonwire.core
-- luacheck: ignore 212 241

--- The bus. Internal, as all of moonwire.core.
---@class moonwire.core
local core = {}

core.bus = {}

--- The module bus says what they do.
---@param topic string
---@param value any
---@return integer?, string?, moonwire.code?
function core.bus.publish(topic, value) end

---@param pattern string
---@param options? moonwire.subscribe_options
---@return moonwire.subscription, nil, nil, moonwire.subscription
function core.bus.subscribe(pattern, options) end

--- Opens a bridge to other daemons: its `next` gives all that this one publishes, as bytes. The one that was
--- opened last serves, of those of this process that are open.
---@param queue integer messages that may wait to be taken; then the oldest go
---@return moonwire.subscription
function core.bus.bridge(queue) end

--- Whether a bridge serves; without one: whether any is open.
---@param bridge? moonwire.subscription
---@return boolean
function core.bus.serves(bridge) end

--- Gives what another daemon has published to all subscribers of this one, but to no bridge.
---@param bytes string
---@return boolean good false: they are no message
function core.bus.inject(bytes) end

return core
