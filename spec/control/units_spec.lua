local columns = require "moonwire.control.table"
local rates = require "moonwire.control.rates"
local units = require "moonwire.control.units"

describe("units of control commands", function()
  it("write sizes", function()
    for bytes, text in pairs {
      [0] = "0", [999] = "999", [1000] = "1.0K", [1024] = "1.0K", [1536] = "1.5K", [10188] = "9.9K",
      [10240] = "10K", [1023 * 1024] = "1.0M", [1258291] = "1.2M", [1 << 30] = "1.0G", [1 << 62] = "4096P",
    } do
      assert.are.equal(text, units.size(bytes))
    end
  end)

  it("write rates", function()
    for number, text in pairs { [0] = "0", [0.44] = "0.4", [9.9] = "9.9", [9.96] = "10", [1536] = "1.5K" } do
      assert.are.equal(text, units.rate(number))
    end
  end)

  it("write ages", function()
    for seconds, text in pairs {
      [0] = "0.0s", [9.94] = "9.9s", [9.96] = "10s", [59.4] = "59s", [59.6] = "1m00s", [192] = "3m12s",
      [3599] = "59m59s", [3599.7] = "1h00m", [86399] = "23h59m", [86400] = "1d00h", [374400] = "4d08h",
    } do
      assert.are.equal(text, units.age(seconds))
    end
  end)

  it("read durations", function()
    for text, seconds in pairs {
      ["60"] = 60, ["1.5"] = 1.5, ["60s"] = 60, ["1m30s"] = 90, ["200ms"] = 0.2, ["2h"] = 7200,
      ["1d"] = 86400,
    } do
      assert.are.equal(seconds, units.read_seconds(text))
    end
    for _, text in ipairs {
      "", "s", "1x", "-1", "0", "0s", "1 s", "1m 30s", "m1", "1e3", "0x10", "inf", "1s2",
    } do
      assert.is_nil(units.read_seconds(text), text)
    end
  end)

  it("read shares", function()
    for text, share in pairs { ["5%"] = 0.05, ["0.5%"] = 0.005, ["100%"] = 1, ["0.25"] = 0.25, ["1"] = 1 } do
      assert.are.equal(share, units.read_share(text))
    end
    for _, text in ipairs { "", "%", "0", "0%", "101%", "5", "-5%", "five", "5%%" } do
      assert.is_nil(units.read_share(text), text)
    end
  end)
end)

describe("columns", function()
  it("are as wide as they must, in characters", function()
    assert.are.same({ "NAME  COUNT", "ä         5", "long  12345", "-         -" },
      columns.format({ { "NAME" }, { "COUNT", right = true } }, { { "ä", 5 }, { "long", 12345 }, {} }))
    assert.are.same({ "A  B", "x  -" }, columns.format({ { "A" }, { "B" } }, { { "x", false } }))
  end)

  it("are cut by characters", function()
    assert.are.equal("äö", columns.cut("äöü", 2))
    assert.are.equal("äöü", columns.cut("äöü", 3))
    assert.are.equal("äöü", columns.cut("äöü", 10))
    assert.are.equal("", columns.cut("äöü", 0))
  end)

  it("hold nothing that a terminal would obey", function()
    assert.are.equal("a?b?c?d", columns.printable("a\27b\127c\194\155d"))
    assert.are.equal("a??b", columns.printable("a\255\155b"))
  end)
end)

describe("rates", function()
  local function sample(at, pid, counters, connection)
    return {
      at = at,
      status = {
        workers = {
          {
            worker = 1, pid = pid, state = "running",
            report = counters and { cpu = counters.cpu, memory = 5, services = { {
              name = "echo", generation = counters.generation or 1, connections = 2, memory = 7,
              accepted = counters.accepted, received = counters.accepted * 10, sent = 0, errors = 0,
            } } },
          },
        },
      },
      connections = connection and { connection } or {},
    }
  end

  it("are what happened, each second", function()
    local earlier = sample(10, 1, { cpu = 1, accepted = 10 })
    local now = rates.between(sample(12, 1, { cpu = 1.5, accepted = 30 }), earlier)
    assert.are.equal(0.25, now.workers[1].cpu)
    assert.are.equal(10, now.services[1].accepted)
    assert.are.equal(100, now.services[1].received)
    assert.are.equal(2, now.services[1].connections)
  end)

  it("are nothing at first, nor of a worker that was not heard", function()
    local late = sample(12, 1, { cpu = 1.5, accepted = 30 })
    for _, earlier in ipairs { false, sample(10, 1), sample(10, 2, { cpu = 9, accepted = 90 }) } do
      local now = rates.between(late, earlier or nil)
      assert.are.equal(0, now.services[1].accepted)
      assert.is_true(now.workers[1].cpu == nil or now.workers[1].cpu == false)
    end
  end)

  it("count a new generation from nothing, and never backwards", function()
    local earlier = sample(10, 1, { cpu = 1, accepted = 100 })
    assert.are.equal(3,
      rates.between(sample(12, 1, { cpu = 1, accepted = 6, generation = 2 }), earlier).services[1].accepted)
    assert.are.equal(0, rates.between(sample(12, 1, { cpu = 1, accepted = 6 }), earlier).services[1].accepted)
  end)

  it("put the busiest connections first", function()
    local earlier = sample(10, 1, { cpu = 1, accepted = 1 })
    local late = sample(12, 1, { cpu = 1, accepted = 1 })
    earlier.connections = { { id = "1", received = 100, sent = 0 }, { id = "2", received = 0, sent = 0 } }
    late.connections = {
      { id = "1", received = 110, sent = 0, age = 52 }, { id = "2", received = 0, sent = 50, age = 52 },
      { id = "3", received = 900, sent = 0, age = 52 }, { id = "4", received = 30, sent = 0, age = 1 },
    }
    local ids, speeds = {}, {}
    for i, connection in ipairs(rates.between(late, earlier).connections) do
      ids[i], speeds[i] = connection.id, connection.received + connection.sent
    end
    assert.are.same({ "2", "4", "1", "3" }, ids)
    assert.are.same({ 25, 15, 5, 0 }, speeds)
  end)
end)
