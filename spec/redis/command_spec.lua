-- Commands and URLs, without a server.
local address = require "moonwire.redis.address"
local command = require "moonwire.redis.command"
local redis = require "moonwire.redis"

describe("commands of Redis", function()
  it("are lists of strings of any bytes", function()
    assert.are.equal("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n\r\n\0x\r\n",
      command.encode { "SET", "a", "\r\n\0x" })
    assert.are.equal("*1\r\n$4\r\nping\r\n", command.encode { "ping" })
  end)

  it("say numbers as short as they are the same", function()
    for text, number in pairs {
      ["7"] = 7, ["-9223372036854775808"] = math.mininteger, ["0.1"] = 0.1, ["1e+300"] = 1e300,
      inf = math.huge, ["0.30000000000000004"] = 0.1 + 0.2,
    } do
      assert.are.equal(("*2\r\n$1\r\na\r\n$%d\r\n%s\r\n"):format(#text, text), command.encode { "a", number })
    end
  end)

  it("hold nothing else", function()
    for _, case in ipairs {
      { 1, {} }, { 1, { 1 } }, { 1, { "" } }, { 2, { "a", {} } }, { 3, { "a", "b", n = 3 } },
      { 2, { "a", true } }, { 2, { "a", 0 / 0 } },
    } do
      local bytes, position, problem = command.encode(case[2])
      assert.are.same({ case[1], "string" }, { position, type(problem) })
      assert.is_nil(bytes)
    end
  end)

  it("tell how long they may wait", function()
    for seconds, parts in pairs {
      [2] = { "blpop", "a", "2" }, [0.5] = { "BLMOVE", "a", "b", "LEFT", "LEFT", 0.5 },
      [3] = { "BLMPOP", 3, 1, "a", "LEFT" }, [0.25] = { "XREAD", "BLOCK", 250, "STREAMS", "a", "$" },
      [math.huge] = { "BRPOP", "a", 0 }, [1] = { "WAIT", 1, 1000 },
    } do
      assert.are.equal(seconds, command.waits(parts))
    end
    assert.is_nil(command.waits { "GET", "blpop" })
    assert.is_nil(command.waits { "XREAD", "STREAMS", "a", "0" })
  end)

  it("tell what they make of the connection", function()
    local state
    for _, case in ipairs {
      { "GET" }, { "WATCH", "watch" }, { "GET", "watch" }, { "UNWATCH" }, { "watch", "watch" },
      { "MULTI", "multi" }, { "UNWATCH", "multi" }, { "WATCH", "multi" }, { "EXEC" }, { "MULTI", "multi" },
      { "discard" }, { "SELECT", "changed" }, { "EXEC", "changed" },
    } do
      state = command.next_state(state, { case[1] })
      assert.are.equal(case[2], state, case[1])
    end
  end)
end)

describe("URLs of Redis", function()
  it("name server, database and login", function()
    for text, parts in pairs {
      ["redis://here"] = { address = "tcp://here:6379", database = 0 },
      ["redis://[::1]:7/3"] = { address = "tcp://[::1]:7", database = 3 },
      ["rediss://:s%40cret@a.b:1/"] = { address = "tls://a.b:1", database = 0, password = "s@cret" },
      ["redis://bob:p:q@h"] = { address = "tcp://h:6379", database = 0, user = "bob", password = "p:q" },
      ["unix:///run/redis.sock"] = { address = "unix:///run/redis.sock", database = 0 },
    } do
      assert.are.same(parts, address.parse(text), text)
    end
  end)

  it("are refused without being repeated, for they may hold a password", function()
    for _, text in ipairs {
      "", "here", "http://here", "redis://", "redis://:secret@", "redis://h:0", "redis://h:65536",
      "redis://h/x", "redis://user@h", "redis://a b", "redis://h\r\n", "redis://h/12345678901",
      "unix://relative", "redis://" .. ("h"):rep(2000), "redis://h?x=1", "REDIS://h",
    } do
      local client, err, code = redis.connect(text)
      assert.is_nil(client)
      assert.are.equal("invalid", code)
      assert.is_nil(err:find("secret", 1, true))
    end
  end)
end)

describe("options of a client", function()
  it("are checked", function()
    for _, options in ipairs {
      { no_such = 1 }, { timeout = 0 }, { timeout = "1" }, { connect_timeout = false }, { database = -1 },
      { database = 1.5 }, { protocol = 4 }, { name = "a b" }, { max = 0 }, { connections = 0 }, { user = 1 },
      { tls = {} }, { cluster = 1 },
    } do
      local ok, message = pcall(redis.connect, "redis://h", options)
      assert.is_false(ok)
      assert.matches("bad argument #2 to 'connect'", message)
    end
  end)
end)
