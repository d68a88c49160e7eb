-- Limits on requests that workers, and daemons, have together.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"
local redis_server = require "spec.redis.server"
local shared = require "moonwire.rate.shared"
local store = require "moonwire.store"
local task = require "moonwire.task"
local test = require "moonwire.test"

local WAIT_SECONDS <const> = 30
local BURST <const> = 6

test.deadline(120)

-- Answers with the number of the worker, also when it refuses.
local SITE <const> = [[
local http = require "moonwire.http"
local app = http.router()
app:use(function(next_handler)
  return function(request, response, ctx)
    response:header("X-Worker", tostring(ctx.worker))
    return next_handler(request, response, ctx)
  end
end)
app:use(http.limit.rate { rate = 0.0001, burst = 6, shared = "site" })
app:get("/", function(_, response) response:send "ok" end)
return http.service(app)
]]

local function start(url, workers)
  return daemon.start {
    scripts = { ["site.lua"] = SITE }, workers = workers,
    config = ('store = "%s"; service "site" { script = "site.lua", listen = "tcp://127.0.0.1:0" }')
      :format(url),
  }
end

-- Status and worker of a request over a connection of its own.
local function ask(running)
  local conn <close> = assert(net.connect(running:address "site", { read_timeout = WAIT_SECONDS }))
  conn:write "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
  local head = assert(conn:read_until("\r\n\r\n"))
  return tonumber(head:match "^HTTP/1.1 (%d+)"), head:match "[Xx]%-[Ww]orker: (%d)"
end

describe("a limit on requests that is shared", function()
  it("is one for all workers", function()
    local running <close> = start("lmdb:", 2)
    local good, refused = 0, {}
    condition.wait_until(function()
      local status, worker = ask(running)
      good = good + (status == 200 and 1 or 0)
      refused[worker] = status == 429 or nil
      return refused["1"] and refused["2"]
    end, WAIT_SECONDS)
    assert.are.equal(BURST, good)
  end)

  it("is one for all daemons over one Redis, and each worker's own while that is away", function()
    local server <close> = redis_server.start()
    local one <close> = start(server.url, 1)
    local two <close> = start(server.url, 1)
    for i = 1, BURST do
      assert.are.equal(200, (ask(i % 2 == 0 and one or two)))
    end
    assert.are.same({ 429, 429 }, { (ask(one)), (ask(two)) })
    server:kill()
    server:start() -- which has forgotten all
    assert.are.equal(429, (ask(one))) -- known without asking
    server:kill()
    local third <close> = start(server.url, 1)
    for _ = 1, BURST do
      assert.are.equal(200, (ask(third)))
    end
    assert.are.equal(429, (ask(third)))
    local _, count = third:log():gsub("counts in each worker by itself", "")
    assert.are.equal(1, count)
  end)
end)

describe("a shared count", function()
  -- How often the store is changed while a function runs.
  local function count_changes(fn)
    local change, count = store.compare_and_set, 0
    store.compare_and_set = function(...)
      count = count + 1
      return change(...)
    end
    local _ <close> = setmetatable({}, { __close = function() store.compare_and_set = change end })
    fn()
    return count
  end

  it("lets through what it may, and asks less often for who is busy", function()
    local counts, good = shared.new("busy", 0.0001, 80, 10), 0
    local changes = count_changes(function()
      for _ = 1, 200 do
        good = good + (counts:take "ann" == 0 and 1 or 0)
      end
    end)
    assert.are.equal(80, good)
    assert.is_true(changes < 20, changes .. " changes")
    assert.are.equal(0, counts:take "bob")
  end)

  it("tells how long to wait, and forgives with time", function()
    local counts = shared.new("patient", 10, 1, 10)
    assert.are.equal(0, counts:take "ann")
    local seconds = counts:take "ann"
    assert.is_true(seconds > 0 and seconds <= 0.1, tostring(seconds))
    condition.wait_until(function() return counts:take "ann" == 0 end, WAIT_SECONDS)
  end)

  it("is the same for all who give it that name", function()
    local one, two = shared.new("same", 0.0001, 2, 10), shared.new("same", 0.0001, 2, 10)
    local other = shared.new("other", 0.0001, 2, 10)
    local long = ("x"):rep(1000)
    assert.are.same({ 0, 0, 0 }, { one:take(long), two:take(long), other:take(long) })
    assert.is_true(one:take(long) > 0)
    assert.is_true(two:take(long) > 0)
    assert.are.equal(0, one:take(("x"):rep(1001)))
  end)

  it("is exact for tasks that come at once", function()
    local counts, good = shared.new("crowd", 0.0001, 16, 10), 0
    do
      local group <close> = task.group()
      for _ = 1, 50 do
        group:spawn(function()
          good = good + (counts:take "ann" == 0 and 1 or 0)
        end)
      end
      group:wait()
    end
    assert.are.equal(16, good)
  end)

  it("counts by itself when the store holds nonsense or refuses", function()
    local counts = shared.new("odd", 0.0001, 2, 10)
    store.set("rate/odd/ann", "nonsense")
    assert.are.equal(0, counts:take "ann")
    local change = store.compare_and_set
    store.compare_and_set = function() return nil, "the store is full", "full" end
    local _ <close> = setmetatable({}, { __close = function() store.compare_and_set = change end })
    assert.are.same({ 0, 0 }, { counts:take "bob", counts:take "bob" })
    assert.is_true(counts:take "bob" > 0)
  end)
end)
