-- The grammar of IRC lines.
local irc = require "moonwire.irc"

describe("irc.parse", function()
  it("takes lines apart", function()
    for line, expected in pairs {
      ["PING"] = { command = "PING", params = {} },
      ["privmsg #a :hello  there"] = { command = "PRIVMSG", params = { "#a", "hello  there" } },
      [":ann!u@h  JOIN   #a  "] = { source = "ann!u@h", command = "JOIN", params = { "#a" } },
      ["001 a :"] = { command = "001", params = { "a", "" } },
      ["A ::)"] = { command = "A", params = { ":)" } },
      ["@a=b\\:\\s\\\\\\r\\n\\x;+c;d= :s X y"] = {
        tags = { a = "b; \\\r\nx", ["+c"] = "", d = "" }, source = "s", command = "X", params = { "y" },
      },
      ["X 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"] = {
        command = "X",
        params = { "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15 16" },
      },
    } do
      assert.are.same(expected, irc.parse(line), line)
    end
  end)

  it("refuses what is no message", function()
    for _, line in ipairs {
      "", " ", ":", ":a", ":a ", "@", "@a", "@ X", "@= X", "1 a", "0012", "A1 b", "A:b", "\1A",
      "PRIVMSG a :b\rc", "X \0", "X\na",
    } do
      local message, _, code = irc.parse(line)
      assert.is_nil(message, line)
      assert.are.equal("invalid", code)
    end
  end)
end)

describe("irc.format", function()
  it("is the other way round", function()
    for _, line in ipairs {
      "PING", "PRIVMSG #a :hello there", ":ann!u@h JOIN #a", "001 a :", "A ::)",
      "@+c;a=b\\:\\s\\\\\\r\\n :s X y",
    } do
      assert.are.equal(line, irc.format(irc.parse(line)))
    end
  end)

  it("lets nothing through that would be another line", function()
    for _, message in ipairs {
      { command = "A\r\nB" }, { command = "" }, { command = "X", params = { "a\rb" } },
      { command = "X", params = { "a\nb" } }, { command = "X", params = { "a\0" } },
      { command = "X", params = { "a b", "c" } }, { command = "X", params = { "", "c" } },
      { command = "X", params = { ":a", "c" } }, { command = "X", source = "a b" },
      { command = "X", source = "" }, { command = "X", tags = { ["a b"] = "" } }, {},
    } do
      local ok, problem = pcall(function() irc.format(message) end)
      assert.is_false(ok)
      assert.matches("message_spec.lua:%d+: bad argument #1 to 'format'", problem)
    end
  end)
end)

describe("irc.door", function()
  it("says what is wrong with its options", function()
    local hall = require "moonwire.chat".hall()
    for _, options in ipairs { { name = "a b" }, { motd = "a\rb" }, { flood_rate = 0 }, { nonsense = 1 } } do
      assert.is_false((pcall(irc.door, hall, options)))
    end
  end)
end)
