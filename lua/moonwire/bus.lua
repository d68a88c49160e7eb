--- Messages between tasks, services, generations and workers: what is published
--- to a topic reaches everybody who has subscribed to it. A topic is words with
--- dots between; in a pattern * is any one word, and > at the end one or more.
---
---     for text, topic in bus.subscribe("chat.>") do
---       log.info("heard", { topic = topic, text = text })
---     end
local core = require "moonwire.core"

local bus = {}

---@class moonwire.subscribe_options
---@field queue? integer messages that may wait to be taken; default 1000
--- What happens to a message when so many wait: it takes the place of the oldest,
--- it is dropped itself, or the subscription ends. Default "drop_oldest".
---@field policy? "drop_oldest"|"drop_newest"|"disconnect"

--- Sends a value to all who have subscribed to the topic, in this worker and in
--- all others. Never waits. Plain data only: strings, numbers, booleans, json.null
--- and tables of these; everybody gets a copy. Raises for anything else.
---@param topic string such as "chat.room.7"
---@param value any not nil
---@return integer? count of the subscriptions in this worker that got it
---@return string? err
---@return moonwire.code? code "too_large"
bus.publish = core.bus.publish

--- Listens from now on. The subscription belongs to the running task, and is what
--- a `for` takes: `for value, topic in bus.subscribe("chat.>") do` closes it at its end.
---@param pattern string "chat.room.7", "chat.*.7", "chat.>", ">"
---@param options? moonwire.subscribe_options
---@return moonwire.subscription subscription
---@return nil
---@return nil
---@return moonwire.subscription subscription for the end of the loop
bus.subscribe = core.bus.subscribe

return bus
