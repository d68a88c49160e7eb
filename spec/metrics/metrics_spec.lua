local metrics = require "moonwire.metrics"
local moonwire = require "spec.support.moonwire"

-- What a script writes that ends with printing its metrics.
local function text_of(code)
  local status, errors, output = moonwire.run {
    code = [[local metrics = require "moonwire.metrics"
      ]] .. code .. [[

      io.stdout:write(metrics.text())]],
  }
  assert.are.equal(0, status, errors)
  return output, errors
end

local function expect_refusal(pattern, fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_truthy(message:find(pattern, 1, true), message)
end

describe("a counter", function()
  it("is named, explained, and adds up", function()
    assert.are.equal([[
# HELP jobs_total Jobs that were done.
# TYPE jobs_total counter
jobs_total{service="script"} 3.5
]], text_of [[
      local jobs = metrics.counter("jobs_total", "Jobs that were done.")
      jobs:add(1)
      jobs:add(2.5)
      jobs:add(0)]])
  end)

  it("is 0 before anything was counted, and the same when it is made again", function()
    assert.are.equal([[
# HELP jobs_total Jobs.
# TYPE jobs_total counter
jobs_total{service="script"} 0
]], text_of [[
      metrics.counter("jobs_total", "Jobs.")
      metrics.counter("jobs_total", "Other words.")]])
  end)

  it("never falls", function()
    local counter = metrics.counter("falling_total", "Never falls.")
    expect_refusal("a counter never falls", counter.add, counter, -1)
    expect_refusal("a finite number expected", counter.add, counter, 0 / 0)
    expect_refusal("a finite number expected", counter.add, counter, math.huge)
    expect_refusal("number expected, got no value", counter.add, counter)
  end)

  it("has a series for each value of its labels", function()
    assert.are.equal([[
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{service="script",method="GET",code="200"} 2
requests_total{service="script",method="a\"b\\c\nd",code="404"} 1
]], text_of [[
      local requests = metrics.counter("requests_total", "Requests.", { labels = { "method", "code" } })
      requests:add(1, "GET", 200)
      requests:add(1, "GET", "200")
      requests:add(1, 'a"b\\c\nd', 404)]])
  end)

  it("wants as many values as it has labels", function()
    local plain = metrics.counter("plain_total", "No labels.")
    local labelled = metrics.counter("labelled_total", "Two labels.", { labels = { "a", "b" } })
    expect_refusal("metric 'plain_total' has 0 labels; got 1 value", plain.add, plain, 1, "x")
    expect_refusal("metric 'labelled_total' has 2 labels: a, b; got 1 value", labelled.add, labelled, 1, "x")
    expect_refusal("string expected, got boolean", labelled.add, labelled, 1, "x", true)
  end)
end)

describe("a gauge", function()
  it("is set, rises and falls", function()
    assert.are.equal([[
# HELP depth Depth.
# TYPE depth gauge
depth{service="script"} -1.5
depth{service="script",queue="a"} 7
]], text_of [[
      local depth = metrics.gauge("depth", "Depth.")
      depth:set(3)
      depth:add(-5)
      depth:add(0.5)
      metrics.gauge("depth", "Depth.", { labels = { "queue" } }):set(7, "a")]])
  end)

  it("is not written like a counter", function()
    local gauge = metrics.gauge("some_depth", "Depth.")
    assert.is_nil(gauge.observe)
    expect_refusal("moonwire.gauge expected", gauge.add, metrics.counter("no_gauge_total", "None."), 1)
    assert.are.equal("moonwire.gauge: some_depth", tostring(gauge))
  end)
end)

describe("a histogram", function()
  it("has buckets for what a request may take, in seconds", function()
    local text = text_of [[
      local duration = metrics.histogram("duration_seconds", "Time.")
      for _, seconds in ipairs { 0.001, 0.2, 0.25, 3, 60 } do
        duration:observe(seconds)
      end]]
    for _, line in ipairs {
      '_bucket{service="script",le="0.005"} 1', '_bucket{service="script",le="0.1"} 1',
      '_bucket{service="script",le="0.25"} 3', '_bucket{service="script",le="5"} 4',
      '_bucket{service="script",le="10"} 4', '_bucket{service="script",le="+Inf"} 5',
      '_sum{service="script"} 63.451', '_count{service="script"} 5',
    } do
      assert.is_truthy(text:find("\nduration_seconds" .. line .. "\n", 1, true), line .. " in " .. text)
    end
  end)

  it("has others when told so, and begins anew when they change", function()
    assert.are.equal([[
# HELP size_bytes Size.
# TYPE size_bytes histogram
size_bytes_bucket{service="script",kind="x",le="100"} 1
size_bytes_bucket{service="script",kind="x",le="+Inf"} 1
size_bytes_sum{service="script",kind="x"} 3
size_bytes_count{service="script",kind="x"} 1
]], text_of [[
      for value, buckets in ipairs { { 10, 1000 }, { 10, 1000 }, { 100 } } do
        local options = { labels = { "kind" }, buckets = buckets }
        metrics.histogram("size_bytes", "Size.", options):observe(value, "x")
      end]])
  end)

  it("refuses buckets that are none", function()
    for _, buckets in ipairs {
      {}, { 2, 1 }, { 1, 1 }, { 1, math.huge }, { 0 / 0 }, { "1" }, "1", table.move({}, 1, 0, 1, { 1, "x" }),
    } do
      expect_refusal("option 'buckets'", metrics.histogram, "bad_seconds", "Bad.", { buckets = buckets })
    end
    local many = {}
    for i = 1, 25 do
      many[i] = i
    end
    expect_refusal("1 to 24 numbers", metrics.histogram, "bad_seconds", "Bad.", { buckets = many })
  end)
end)

describe("a metric", function()
  it("has a name that Prometheus takes", function()
    for name, problem in pairs {
      ["requests"] = "a counter's name ends in _total", ["1_total"] = "no digit first",
      ["a-b_total"] = "letters", [""] = "letters", ["a\0_total"] = "no NUL",
      ["moonwire_x_total"] = "of the process itself",
      [("a"):rep(100) .. "_total"] = "at most 95 bytes",
    } do
      expect_refusal(problem, metrics.counter, name, "Help.")
    end
    expect_refusal("only a counter's name", metrics.gauge, "a_total", "Help.")
    expect_refusal("parts of histograms", metrics.gauge, "a_count", "Help.")
  end)

  it("has a help", function()
    expect_refusal("string expected", metrics.gauge, "helpless")
    expect_refusal("1 to 127 bytes", metrics.gauge, "helpless", "")
    expect_refusal("1 to 127 bytes", metrics.gauge, "helpless", ("x"):rep(128))
    expect_refusal("1 to 127 bytes", metrics.gauge, "helpless", "a\0b")
  end)

  it("has labels with names that Prometheus takes", function()
    for name, problem in pairs {
      ["service"] = "by itself", ["le"] = "not named le", ["__a"] = "begin with __", ["a-b"] = "letters",
      [""] = "letters", [("a"):rep(96)] = "at most 95 bytes",
    } do
      expect_refusal(problem, metrics.gauge, "labelled", "Help.", { labels = { name } })
    end
    expect_refusal("two of that name", metrics.gauge, "labelled", "Help.", { labels = { "a", "a" } })
    expect_refusal("at most 8", metrics.gauge, "labelled", "Help.",
      { labels = { "a", "b", "c", "d", "e", "f", "g", "h", "i" } })
    expect_refusal("a list of names", metrics.gauge, "labelled", "Help.", { labels = "a" })
    expect_refusal("a list of names", metrics.gauge, "labelled", "Help.", { labels = { 1 } })
    expect_refusal("unknown option 'label' (known: labels, series)", metrics.gauge, "labelled", "Help.",
      { label = {} })
    expect_refusal("option 'series'", metrics.gauge, "labelled", "Help.", { series = 0 })
  end)

  it("is of one kind", function()
    metrics.gauge("of_one_kind", "A gauge.")
    expect_refusal("metric 'of_one_kind' is a gauge already", metrics.histogram, "of_one_kind", "None.")
    expect_refusal("metric 'of_one_kind' is a gauge already", metrics.histogram, "of_one_kind", "None.",
      { labels = { "a" } })
  end)
end)

describe("values of labels", function()
  it("are told apart up to a limit, and are \"other\" past it", function()
    local text, errors = text_of [[
      local visits = metrics.counter("visits_total", "Visits.", { labels = { "page" }, series = 3 })
      for i = 1, 1000 do
        visits:add(1, "page" .. i)
      end
      visits:add(1, "page2")]]
    assert.are.equal([[
# HELP visits_total Visits.
# TYPE visits_total counter
visits_total{service="script",page="other"} 997
visits_total{service="script",page="page1"} 1
visits_total{service="script",page="page2"} 2
visits_total{service="script",page="page3"} 1
]], text)
    assert.are.equal(1, select(2, errors:gsub("metric visits_total has no room for more series", "")))
  end)

  it("are \"other\" when they are too long", function()
    local text = text_of [[
      local visits = metrics.counter("visits_total", "Visits.", { labels = { "page" } })
      visits:add(2, ("x"):rep(10000))
      visits:add(1, ("x"):rep(100))]]
    assert.is_truthy(text:find('{service="script",page="other"} 2\n', 1, true), text)
    assert.is_truthy(text:find(('{service="script",page="%s"} 1\n'):format(("x"):rep(100)), 1, true), text)
  end)

  it("are UTF-8, whatever they were", function()
    local text = text_of [[
      metrics.counter("visits_total", "Visits.", { labels = { "page" } }):add(1, "\xffé\0")]]
    assert.is_truthy(text:find('{service="script",page="\u{FFFD}é\u{FFFD}"} 1\n', 1, true), text)
  end)

  it("of all metrics of a service together take no more than half of what there is", function()
    local text, errors = text_of [[
      for i = 1, 2000 do
        metrics.gauge("gauge" .. i, "Many."):set(1)
      end]]
    assert.are.equal(1024, select(2, text:gsub("# TYPE ", "")))
    local entry = "metric gauge1025 has no room for more series (it has 0): it is not counted"
    assert.is_truthy(errors:find(entry, 1, true), errors)
  end)
end)

it("scripts in a sandbox count, and do not see what others count", function()
  local status, errors = moonwire.run {
    code = [[
      local metrics = require "moonwire.metrics"
      metrics.counter("a_total", "Counts."):add(1)
      print(metrics.text)]],
    options = { "--sandbox" },
  }
  assert.are.equal(0, status, errors)
  assert.is_truthy(errors:find("info  nil", 1, true), errors)
end)

it("a metric's text is asked of metrics alone", function()
  local tostring_of = debug.getmetatable(metrics.gauge("spec_gauge", "Of a spec.")).__tostring
  assert.has_error(function() tostring_of({}) end)
end)
