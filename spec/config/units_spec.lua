local units = require "moonwire.config.units"

describe("a duration", function()
  it("is a number of seconds, or has a unit", function()
    local expected = {
      ["10s"] = 10, ["500ms"] = 0.5, ["2m"] = 120, ["1h"] = 3600, ["1d"] = 86400, ["1.5s"] = 1.5, ["10"] = 10,
      ["10 s"] = 10, ["0"] = 0, [10] = 10, [0.25] = 0.25, [0] = 0,
    }
    for text, seconds in pairs(expected) do
      assert.are.equal(seconds, units.seconds(text), text)
      assert.are.equal("float", math.type(units.seconds(text)))
    end
  end)

  it("is nothing else", function()
    for _, text in ipairs {
      "", "s", "10x", "10S", "-1s", "1e3s", "10s10", "0x10", ".5s", "ten", " 10s", "10ss",
      -1, 0 / 0, math.huge, true, {},
    } do
      assert.is_nil(units.seconds(text), tostring(text))
    end
  end)

  it("is shown in the largest unit that shows it whole", function()
    for seconds, text in pairs {
      [0.5] = "500ms", [1] = "1s", [90] = "90s", [120] = "2m", [3600] = "1h", [172800] = "2d",
      [0] = "0", [0.0001] = "0.0001",
    } do
      assert.are.equal(text, units.show_seconds(seconds))
    end
  end)
end)

describe("a size", function()
  it("is a number of bytes, or has a unit", function()
    local expected = {
      ["64M"] = 64 << 20, ["1G"] = 1 << 30, ["512K"] = 512 << 10, ["2T"] = 2 << 40, ["1.5K"] = 1536,
      ["10"] = 10, [4096] = 4096,
    }
    for text, bytes in pairs(expected) do
      assert.are.equal(bytes, units.bytes(text), text)
      assert.are.equal("integer", math.type(units.bytes(text)))
    end
    assert.are.equal("integer", math.type(units.bytes(4096.0)))
  end)

  it("is nothing else", function()
    for _, text in ipairs {
      "", "M", "64MB", "64m", "-1", "1.0001K", 1.5, -1, 0 / 0, math.huge, 2 ^ 70, false, {},
    } do
      assert.is_nil(units.bytes(text), tostring(text))
    end
  end)

  it("is shown in the largest unit that shows it whole", function()
    local expected = { [1 << 30] = "1G", [1536] = "1536", [65536] = "64K", [1] = "1", [3 << 20] = "3M" }
    for bytes, text in pairs(expected) do
      assert.are.equal(text, units.show_bytes(bytes))
    end
  end)
end)
