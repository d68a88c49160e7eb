-- A chat whose code changes while people talk.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"
local task = require "moonwire.task"

-- A room; %s is the format of what is said. Names move with their connections; what was written and has not
-- left yet does, too, and all who wait move in one go: so nobody speaks to a half of the room.
local CHAT <const> = [[
local members = {}

local function tell(text)
  for _, conn in pairs(members) do
    if not conn:try_write(text, "\n") then
      conn:abort()
    end
  end
end

local function talk(conn, state)
  members[state.name] = conn
  local leave <close> = setmetatable({}, { __close = function() members[state.name] = nil end })
  while true do
    conn:checkpoint(state)
    local line = conn:read_line()
    if not line then return end
    state.said = state.said + 1
    tell(("%s"):format(state.name, state.said, line))
  end
end

local service = { resume = talk }

function service.connect(conn)
  local name = conn:read_line()
  if name then
    conn:write("welcome ", name, "\n")
    talk(conn, { name = name, said = 0 })
  end
end

return service
]]

local OLD <const>, NEW <const> = "%s[%d]: %s", "<%s #%d> %s"
local PEOPLE <const> = 8

-- The lines that a client received, as a list that grows.
local function listen(group, conn)
  local lines = {}
  group:spawn(function()
    for line in conn:lines() do
      lines[#lines + 1] = line
    end
    lines.ended = true
  end)
  return lines
end

local function enter(d, group, name)
  local conn = assert(net.connect(d:address "chat"))
  assert(conn:write(name, "\n"))
  assert.equal("welcome " .. name, conn:read_line())
  return { name = name, conn = conn, lines = listen(group, conn), said = 0 }
end

local function say(person, text)
  person.said = person.said + 1
  assert(person.conn:write(text, "\n"))
  assert(person.conn:flush())
end

-- What of all that was said somebody has not heard.
local function what_lacks(lines, sent)
  local heard, lacking = {}, {}
  for _, line in ipairs(lines) do
    heard[tonumber(line:match "message (%d+)$") or line:match "%a+$"] = true
  end
  for i = 1, sent do
    lacking[#lacking + 1] = not heard[i] and i or nil
  end
  return ("%d of %d lines, not %s%s"):format(#lines, sent + 2, table.concat(lacking, ", "),
    lines.ended and "; it ended" or "")
end

describe("a chat whose code changes in mid-conversation", function()
  it("drops nobody, forgets no name, and delivers each message once", function()
    local d <close> = daemon.start { scripts = { ["chat.lua"] = CHAT:format(OLD) }, workers = 1 }
    local group <close> = task.group()
    local people = {}
    for i = 1, PEOPLE do
      people[i] = enter(d, group, "person" .. i)
    end
    say(people[1], "before")
    condition.wait_until(function() return people[PEOPLE].lines[1] end)
    assert.equal("person1[1]: before", people[PEOPLE].lines[1])

    local talking, sent = true, 0
    local talkers <close> = task.group()
    for i = 1, PEOPLE do
      talkers:spawn(function()
        while talking do
          sent = sent + 1
          say(people[i], "message " .. sent)
          task.sleep(0.003)
        end
      end)
    end
    for i = 1, 6 do
      d.folder:write("chat.lua", CHAT:format(i % 2 == 1 and NEW or OLD))
      local answer = d:reload()
      assert.is_true(answer.ok, answer.error)
      assert.same({ 0, 0 }, { answer.ended, answer.kept }, d:log())
      task.sleep(0.05)
    end
    d.folder:write("chat.lua", CHAT:format(NEW))
    assert.is_true(d:reload().ok)
    talking = false
    talkers:wait()
    say(people[2], "after")
    assert.is_true(sent > 100, tostring(sent))
    for _, person in ipairs(people) do
      -- The last words of others may be read after these, since they come on other connections.
      condition.wait_until(function() return #person.lines >= sent + 2 end, nil, function()
        return ("%s has heard %s"):format(person.name, what_lacks(person.lines, sent))
      end)
      assert.is_nil(person.lines.ended)
      local seen = {}
      for _, line in ipairs(person.lines) do
        seen[line] = (seen[line] or 0) + 1
      end
      assert.equal(sent + 2, #person.lines)
      assert.equal(1, seen[("<person2 #%d> after"):format(people[2].said)])
      for line, times in pairs(seen) do
        assert.equal(1, times, line)
      end
    end
    group:cancel()
    for _, person in ipairs(people) do
      person.conn:close()
    end
  end)
end)
