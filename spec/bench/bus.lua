-- spec/bench/bus.lua — what one publish costs with many subscribers, in milliseconds of the processor: until
-- it returns, and until each has its copy. The median of 21.
--
--   build/moonwire run spec/bench/bus.lua
--   build/moonwire run spec/bench/bus.lua --set subscribers=1000
local bus = require "moonwire.bus"
local task = require "moonwire.task"

local ROUNDS <const> = 21
local MIXED <const> = { "room.>", "room.*.all", "*.first.all", ">", "room.first.all" }

local VALUES <const> = {
  { "a short text", "hello, world" },
  { "a small table", { from = "ann", text = "hello, world", at = 1700000000.5 } },
}

local KINDS <const> = {
  { "one topic", function() return "room.first.all" end },
  { "mixed patterns", function(i) return MIXED[i % #MIXED + 1] end },
  { "one, the rest elsewhere", function(i) return "room.first." .. (i == 1 and "all" or i) end },
}

local function median(list)
  table.sort(list)
  return list[#list // 2 + 1] * 1000
end

local function measure(subscribers, kind, value)
  local heard = 0
  local group <close> = task.group()
  for i = 1, subscribers do
    group:spawn(function()
      for _ in bus.subscribe(kind(i)) do
        heard = heard + 1
      end
    end)
  end
  task.sleep(0.2)
  local publishing, whole = {}, {}
  for i = 1, ROUNDS do
    heard = 0
    local begun = os.clock()
    local count = bus.publish("room.first.all", value)
    publishing[i] = os.clock() - begun
    while heard < count do
      task.yield()
    end
    whole[i] = os.clock() - begun
  end
  group:cancel()
  return median(publishing), median(whole)
end

return { start = function(ctx)
  local subscribers = tonumber(ctx.config.subscribers or 10000)
  for _, kind in ipairs(KINDS) do
    for _, value in ipairs(VALUES) do
      print(("%d subscribers, %s, %s: publish %.2f ms, delivered %.2f ms"):format(
        subscribers, kind[1], value[1], measure(subscribers, kind[2], value[2])))
    end
  end
end }
