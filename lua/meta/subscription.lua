---@meta
-- luacheck: ignore 212 241

--- What comes of some topics, from bus.subscribe. It closes with the task that
--- made it; `keep` changes that.
---@class moonwire.subscription
---@operator call: any
local subscription = {}

---@class moonwire.subscription_counters
---@field received integer messages that were taken
---@field dropped integer messages for which the queue had no room
---@field queued integer messages that wait to be taken

--- Waits for the next message. In a loop the subscription itself is called instead,
--- and a failure other than its closing is raised.
---@param seconds? number how long at most; 0: does not wait; default: for ever
---@return any value nil on failure
---@return string topic that it was published to; on failure err
---@return moonwire.code? code "timeout", "closed", "full" (ended by its policy), "busy" (another task waits)
function subscription:next(seconds) end

--- What became of its messages so far.
---@return moonwire.subscription_counters
function subscription:counters() end

--- Lets it outlive the task that made it: it is the service's now.
---@return moonwire.subscription self
function subscription:keep() end

--- Whether it has not been closed.
---@return boolean
function subscription:is_open() end

--- Ends it, and drops what is queued. A task that waits for a message gets "closed". May be called again.
function subscription:close() end
