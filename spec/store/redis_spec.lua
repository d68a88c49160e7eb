local condition = require "spec.support.condition"
local contract = assert(loadfile("spec/store/contract.lua", "t", _ENV))()
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"
local redis = require "moonwire.redis"
local redis_server = require "spec.redis.server"
local store = require "moonwire.store"

local servers = setmetatable({}, { __mode = "v" })

-- One for all of the contract, empty each time; the file ends it.
local function open_empty()
  local server = servers.shared
  local client <close> = redis.connect(server.url)
  client:call "FLUSHALL"
  return store.open(server.url)
end

describe("Redis", function()
  local server

  setup(function()
    server = redis_server.start()
    servers.shared = server
  end)

  teardown(function()
    server:stop()
  end)

  contract("redis", open_empty)

  it("keeps what several share, each under its prefix", function()
    local one, same = open_empty(), store.open(server.url)
    local other = store.open(server.url .. "?prefix=other")
    assert.is_true(one:set("a", "text"))
    assert.are.equal("text", same:get "a")
    assert.are.equal("not_found", select(3, other:get "a"))
    local client <close> = redis.connect(server.url)
    assert.are.equal("text", client:call("GET", "moonwire:k:a"))
    one:close()
    same:close()
    other:close()
  end)

  it("forgets the names of keys that are past their time", function()
    local cache = open_empty()
    local client <close> = redis.connect(server.url)
    for index = 1, 100 do
      cache:incr("short/" .. index, 1, { expire = 0.001 })
    end
    condition.wait_until(function() return not cache:scan("short/")() end, 20)
    assert.are.equal(0, client:call("ZCARD", "moonwire:keys"))
    cache:close()
  end)

  it("is full when Redis is", function()
    local cache = open_empty()
    local client <close> = redis.connect(server.url)
    client:call("CONFIG", "SET", "maxmemory", 1)
    assert.are.equal("full", select(3, cache:set("a", 1)))
    assert.are.equal("full", select(3, cache:incr "n"))
    assert.are.equal("not_found", select(3, cache:get "a"))
    client:call("CONFIG", "SET", "maxmemory", 0)
    assert.are.equal(1, cache:incr "n")
    cache:close()
  end)

  it("reads large values in parts", function()
    local cache, value = open_empty(), ("x"):rep(1 << 20)
    for index = 1, 30 do
      assert(cache:set(("large/%02d"):format(index), value))
    end
    local count = 0
    for _, got in cache:scan "large/" do
      assert.is_true(got == value)
      count = count + 1
    end
    assert.are.equal(30, count)
    cache:close()
  end)
end)

describe("a store at a Redis that goes away", function()
  it("is unreachable, and goes on afterwards", function()
    local server <close> = redis_server.start()
    local cache = store.open(server.url)
    assert.is_true(cache:set("a", 1))
    server:kill()
    assert.are.equal("unreachable", select(3, cache:get "a"))
    assert.are.equal("unreachable", select(3, cache:incr "n"))
    local ok, fault = pcall(cache:scan "")
    assert.are.same({ false, "unreachable" }, { ok, fault.code })
    server:start()
    condition.wait_until(function() return cache:incr "n" end, 20)
    cache:close()
  end)
end)

-- Answers each line with how often anybody has sent it.
local COUNTER <const> = [[
local store = require "moonwire.store"
return function(conn)
  for line in conn:lines() do
    conn:write(tostring(store.incr(line)), "\n")
  end
end
]]

describe("two daemons with one Redis", function()
  it("count as one", function()
    local server <close> = redis_server.start()
    local function start()
      return daemon.start { scripts = { ["count.lua"] = COUNTER }, config = ([[
        store = "%s"
        service "count" { script = "count.lua", listen = "tcp://127.0.0.1:0" }
      ]]):format(server.url), workers = 1 }
    end
    local one <close> = start()
    local other <close> = start()
    local ours = assert(net.connect(one:address "count"))
    local theirs = assert(net.connect(other:address "count"))
    for index = 1, 10, 2 do
      ours:write "n\n"
      assert.are.equal(tostring(index), ours:read_line())
      theirs:write "n\n"
      assert.are.equal(tostring(index + 1), theirs:read_line())
    end
  end)
end)

describe("the URL of a store at Redis", function()
  it("is checked", function()
    for text, url in pairs {
      ["no URL of Redis"] = "redis://h:0", ["unknown option 'size'"] = "redis://h?size=1M",
      ["no URL of Redis, as"] = "rediss:h",
    } do
      local ok, message = pcall(function() store.open(url) end)
      assert.is_false(ok)
      assert.is_truthy(message:find(text, 1, true), message)
    end
  end)
end)
