-- The text as others read it: promtool, where there is one, and the parser of Prometheus' client for Python.
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"

-- Every kind, odd numbers and odd values of labels.
local SCRIPT <const> = [[
  local metrics = require "moonwire.metrics"
  local requests = metrics.counter("requests_total", "Requests: \"all\" of them,\nback\\slash.",
    { labels = { "path" } })
  requests:add(1, 'a"b\\c\nd{e="f"},g')
  requests:add(2^53, "\xff\0é")
  requests:add(0.1, "")
  metrics.gauge("depth", "Depth."):set(-1e-300)
  metrics.gauge("height", "Height."):set(1e300)
  local duration = metrics.histogram("duration_seconds", "Time.", { labels = { "kind" } })
  for i = 1, 1000 do
    duration:observe(i / 90, i % 2 == 0 and "even" or "odd")
  end
  metrics.histogram("empty_bytes", "Never observed.", { buckets = { -1, 0, 1e6, 1e21 } })
  io.stdout:write(metrics.text())]]

local text

local function is_there(program)
  return (process.run { "sh", "-c", "command -v " .. program }) == 0
end

describe("the text of all metrics", function()
  setup(function()
    local status, errors, output = moonwire.run { code = SCRIPT }
    assert.are.equal(0, status, errors)
    text = output
  end)

  it("is accepted by promtool without a remark", function()
    if not is_there "promtool" then
      pending "there is no promtool (Debian package prometheus); sh .make/packages metrics"
    end
    local status, output, errors = process.run { "promtool", "check", "metrics", input = text }
    assert.are.equal("", output .. errors)
    assert.are.equal(0, status)
  end)

  it("is read by Prometheus' own parser for Python, with the values that were counted", function()
    local status, output, errors = process.run {
      "/usr/bin/python3", "-c", [[
import sys
from prometheus_client.parser import text_fd_to_metric_families
for family in text_fd_to_metric_families(sys.stdin):
    print(family.name, family.type, repr(family.documentation))
    for sample in family.samples:
        if not sample.name.endswith("_bucket") or sample.labels["le"] in ("0.5", "10.0", "10", "+Inf"):
            print(sample.name, sorted(sample.labels.items()), repr(sample.value))]],
      input = text,
    }
    assert.are.equal(0, status, errors)
    assert.are.equal([[
depth gauge 'Depth.'
depth [('service', 'script')] -1e-300
duration_seconds histogram 'Time.'
duration_seconds_bucket [('kind', 'even'), ('le', '0.5'), ('service', 'script')] 22.0
duration_seconds_bucket [('kind', 'even'), ('le', '10'), ('service', 'script')] 450.0
duration_seconds_bucket [('kind', 'even'), ('le', '+Inf'), ('service', 'script')] 500.0
duration_seconds_sum [('kind', 'even'), ('service', 'script')] 2783.333333333333
duration_seconds_count [('kind', 'even'), ('service', 'script')] 500.0
duration_seconds_bucket [('kind', 'odd'), ('le', '0.5'), ('service', 'script')] 23.0
duration_seconds_bucket [('kind', 'odd'), ('le', '10'), ('service', 'script')] 450.0
duration_seconds_bucket [('kind', 'odd'), ('le', '+Inf'), ('service', 'script')] 500.0
duration_seconds_sum [('kind', 'odd'), ('service', 'script')] 2777.777777777778
duration_seconds_count [('kind', 'odd'), ('service', 'script')] 500.0
empty_bytes histogram 'Never observed.'
empty_bytes_bucket [('le', '+Inf'), ('service', 'script')] 0.0
empty_bytes_sum [('service', 'script')] 0.0
empty_bytes_count [('service', 'script')] 0.0
height gauge 'Height.'
height [('service', 'script')] 1e+300
requests counter 'Requests: "all" of them,\nback\\slash.'
requests_total [('path', ''), ('service', 'script')] 0.1
requests_total [('path', 'a"b\\c\nd{e="f"},g'), ('service', 'script')] 1.0
requests_total [('path', '��é'), ('service', 'script')] 9007199254740992.0
]], output)
  end)
end)
