-- Clients of Redis in services, as users run them: with workers, reloads, and in scripts that end.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local redis = require "moonwire.redis"
local redis_server = require "spec.redis.server"
local test = require "moonwire.test"

-- Counts lines over all workers, and hears what is published.
local COUNTER <const> = [[
local redis = require "moonwire.redis"
local task = require "moonwire.task"

local client = assert(redis.connect("%s", { name = "counter" }))
local heard = 0

local service = {}

function service.start()
  task.spawn(function()
    for _ in assert(client:subscribe "news"):messages() do
      heard = heard + 1
    end
  end)
end

function service.resume(conn, state)
  while true do
    conn:checkpoint(state)
    local line = conn:read_line()
    if not line then return end
    conn:write("%s ", assert(client:call("INCR", line)), " ", heard, "\n")
  end
end

function service.connect(conn)
  service.resume(conn, {})
end

return service
]]

test.deadline(120)

describe("a service with a client of Redis", function()
  it("counts for all workers, through reloads, and closes what it had", function()
    local server <close> = redis_server.start()
    local watching <close> = redis.connect(server.url)
    local d <close> = daemon.start {
      scripts = { ["counter.lua"] = COUNTER:format(server.url, "v0") }, workers = 2,
    }
    local conns = {}
    for index = 1, 4 do
      conns[index] = assert(net.connect(d:address "counter"))
    end
    local count = 0
    for round = 1, 3 do
      for _, conn in ipairs(conns) do
        count = count + 1
        conn:write "lines\n"
        assert.are.equal(tostring(count), conn:read_line():match "^v%d (%d+)")
      end
      d.folder:write("counter.lua", COUNTER:format(server.url, "v" .. round))
      assert.is_true(d:reload().ok)
    end
    condition.wait_until(function()
      local _, connections = watching:call("CLIENT", "LIST"):gsub("name=counter", "")
      return connections <= 4 -- a shared one and a subscription in each of two workers
    end, 20)
    assert.is_nil(d:log():find("left open", 1, true))
  end)
end)

describe("a script with a client of Redis", function()
  it("ends when it is through, although the client is open", function()
    local server <close> = redis_server.start()
    local status, log, output = moonwire.run(([[
      local redis = require "moonwire.redis"
      local client = assert(redis.connect "%s")
      print(client:call("SET", "a", 1), client:exclusive(function(own) return own:call("GET", "a") end))
      package.loaded.kept = client]]):format(server.url))
    assert.are.same({ 0, "OK\t1\n" }, { status, log .. output })
  end)
end)
