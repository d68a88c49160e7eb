--- Metrics: what a service counts and measures, added up over all workers, for
--- those who watch over it.
---
---     local answers = metrics.counter("answers_total", "Answers by code.", { labels = { "code" } })
---     answers:add(1, "200")
local core = require "moonwire.core"

local metrics = {}

---@class moonwire.metric_options
---@field labels? string[] names of its labels, at most 8; their values are given with each number
---@field series? integer how many different values of the labels are told apart, 1 to 1024; default 200

--- Makes a counter, or finds it again: the same name is the same counter, in all
--- workers, and after a reload or a crash it goes on.
---@param name string ends in "_total"
---@param help string what it counts, in a sentence of at most 127 bytes
---@param options? moonwire.metric_options
---@return moonwire.counter
metrics.counter = core.metrics.counter

--- Makes a gauge, or finds it again. It is the sum of those of all workers.
---@param name string
---@param help string what it measures
---@param options? moonwire.metric_options
---@return moonwire.gauge
metrics.gauge = core.metrics.gauge

---@class moonwire.histogram_options: moonwire.metric_options
---@field buckets? number[] their upper bounds, ascending, 1 to 24; default 0.005 to 10, for seconds

--- Makes a histogram, or finds it again; with other buckets than before it begins
--- anew.
---@param name string should end in the unit, such as "_seconds" or "_bytes"
---@param help string what it measures
---@param options? moonwire.histogram_options
---@return moonwire.histogram
metrics.histogram = core.metrics.histogram

--- All metrics of the process, of all services and workers, in the text format of
--- Prometheus.
---@return string
metrics.text = core.metrics.text

return metrics
