-- Halls that are one over the bus: here several in one process, which hear each other as workers do.
local bus = require "moonwire.bus"
local chat = require "moonwire.chat"
local condition = require "spec.support.condition"
local task = require "moonwire.task"
local test = require "moonwire.test"

local SECONDS <const> = 20

local names = 0

-- Halls of a name that no other test has.
local function link_halls(count)
  local halls = {}
  names = names + 1
  for i = 1, count do
    halls[i] = chat.hall { history = chat.history() }
    halls[i]:link("spec" .. names, i)
  end
  return table.unpack(halls)
end

local function new_reader()
  local reader = { events = {} }
  function reader.deliver(event)
    reader.events[#reader.events + 1] = event
    return true
  end
  function reader.drop() end
  return reader
end

local function enter(hall, nick)
  local reader = new_reader()
  return assert(hall:enter(nick, reader, { user = "u", host = "h" })), reader
end

local function wait(what)
  condition.wait_until(what, SECONDS)
end

local function kinds(reader)
  local found = {}
  for i, event in ipairs(reader.events) do
    found[i] = event.kind .. ":" .. event.nick
  end
  return table.concat(found, " ")
end

test.deadline(120)

describe("halls that are linked", function()
  it("know each other's members and rooms", function()
    local here, there = link_halls(2)
    local ann, ann_reader = enter(here, "ann")
    local bob, bob_reader = enter(there, "bob")
    local room = ann:join "#a"
    wait(function() return there:room "#a" end)
    bob:join "#A"
    wait(function() return room.count == 2 end)
    assert.are.equal("join:ann join:bob", kinds(ann_reader))
    assert.is_true(there:room("#a"):is_operator(there:member "ANN"))
    assert.is_false(there:room("#a"):is_operator(bob))
    assert.are.equal("exists", select(3, here:enter("Bob", new_reader())))
    assert.are.same({ 2, 1, 2, 1 }, { here.count, here.count_here, there.count, there.count_here })
    bob:say("#a", "hello")
    bob:say("ann", "psst")
    wait(function() return #ann_reader.events == 4 end)
    assert.are.equal("hello", ann_reader.events[3].text)
    assert.are.equal("psst", ann_reader.events[4].text)
    assert.are.equal("hello", here:recent(room, 9)[1].text)
    assert.are.equal(1, #bob_reader.events)
  end)

  it("agree on topics, modes, names and who has gone", function()
    local here, there = link_halls(2)
    local ann = enter(here, "ann")
    local bob, bob_reader = enter(there, "bob")
    ann:join "#a"
    wait(function() return there:room "#a" end)
    bob:join "#a"
    wait(function() return here:room("#a").count == 2 end)
    ann:set_topic("#a", "the topic")
    ann:set_mode("#a", "k", true, "key")
    ann:set_mode("#a", "v", true, "bob")
    ann:set_away "lunch"
    ann:rename "anna"
    wait(function() return there:member "anna" end)
    local room = there:room "#a"
    assert.are.same({ "the topic", "key", true, "lunch" }, {
      room.topic, room.key, room.members[bob].voice, there:member("anna").away,
    })
    assert.are.equal("not_operator", select(4, bob:kick("#a", "anna")))
    ann:kick("#a", "bob", "why not")
    wait(function() return not room:has(bob) end)
    assert.are.equal("why not", bob_reader.events[#bob_reader.events].text)
    ann:invite("bob", "#a")
    wait(function() return bob_reader.events[#bob_reader.events].kind == "invite" end)
    assert.is_truthy(bob:join "#a")
    ann:leave "bye"
    wait(function() return not there:member "anna" end)
    assert.are.same({ "quit", "bye" }, {
      bob_reader.events[#bob_reader.events].kind, bob_reader.events[#bob_reader.events].text,
    })
    assert.are.same({ 1, 1 }, { here.count, there.count })
  end)

  it("give a nickname away once, when two ask at the same time", function()
    local here, there = link_halls(2)
    for round = 1, 20 do
      local nick, taken = "nick" .. round, 0
      for _, hall in ipairs { here, there, here, there } do
        taken = taken + (hall:enter(nick, new_reader()) and 1 or 0)
      end
      assert.are.equal(1, taken)
    end
    wait(function() return here.count == 20 and there.count == 20 end)
  end)

  it("learn what was there before they came, however much it is", function()
    local here = link_halls(1)
    local first = enter(here, "first")
    first:join "#big"
    first:set_topic("#big", "topic")
    for i = 1, 700 do
      enter(here, "m" .. i):join "#big"
    end
    local late = chat.hall()
    late:link("spec" .. names, 2)
    wait(function() return late.count == 701 and late:room("#big").count == 701 end)
    assert.are.equal("topic", late:room("#big").topic)
    assert.is_true(late:room("#big"):is_operator(late:member "first"))
  end)

  it("lose the members of one that leaves", function()
    local here, there = link_halls(2)
    local _, reader = enter(here, "ann")
    here:member("ann"):join "#a"
    wait(function() return there:room "#a" end)
    enter(there, "bob"):join "#a"
    wait(function() return here:room("#a").count == 2 end)
    there:unlink()
    wait(function() return here.count == 1 end)
    assert.are.equal("quit:bob", kinds(reader):match "quit:bob")
  end)

  it("find out what they have missed", function()
    local here, there = link_halls(2)
    enter(here, "ann"):join "#a"
    wait(function() return there:room "#a" end)
    local _, reader = enter(there, "bob")
    there:member("bob"):join "#a"
    wait(function() return here:room("#a").count == 2 end)
    -- As if a bus had lost what ann does next.
    local publish = bus.publish
    bus.publish = function() return 0 end
    here:member("ann"):set_topic("#a", "unheard")
    enter(here, "eve"):join "#a"
    here:member("ann"):rename "anna"
    bus.publish = publish
    wait(function() return there:member "eve" and there:member "anna" end)
    assert.are.equal("unheard", there:room("#a").topic)
    assert.are.equal("nick:ann join:eve", table.concat({ kinds(reader):match "nick:ann", "join:eve" }, " "))
    assert.are.equal(3, there:room("#a").count)
    assert.are.equal(3, there.count)
  end)

  it("tell what has become of a room meanwhile, and who its operators are", function()
    local here, there = link_halls(2)
    local ann = enter(here, "ann")
    local eve = enter(here, "eve")
    ann:join "#a"
    eve:join "#a"
    wait(function() return there:room "#a" and there:room("#a").count == 2 end)
    local bob, reader = enter(there, "bob")
    bob:join "#a"
    wait(function() return here:room("#a").count == 3 end)
    ann:set_mode("#a", "b", true, "old")
    wait(function() return #reader.events == 2 end)
    local publish = bus.publish
    bus.publish = function() return 0 end
    ann:set_topic("#a", "unheard")
    for _, change in ipairs { { "b", false, "old" }, { "b", true, "new" }, { "k", true, "key" },
      { "l", true, "9" }, { "n", false }, { "o", true, "eve" } } do
      assert(ann:set_mode("#a", table.unpack(change)))
    end
    bus.publish = publish
    wait(function() return #reader.events >= 9 end)
    local told = {}
    for i = 3, #reader.events do
      local event = reader.events[i]
      told[#told + 1] = event.kind == "topic" and event.text
        or ("%s%s %s"):format(event.on and "+" or "-", event.mode, event.word or "")
    end
    table.sort(told)
    assert.are.same({ "+b new!*@*", "+k key", "+l 9", "+o eve", "-b old!*@*", "-n ", "unheard" }, told)
  end)

  it("part those who took the same nickname unheard", function()
    local here, there = link_halls(2)
    local publish, claim = bus.publish, require "moonwire.store".compare_and_set
    bus.publish = function() return 0 end
    require "moonwire.store".compare_and_set = function() return true end
    local one, one_reader = enter(here, "same")
    local two, two_reader = enter(there, "same")
    bus.publish, require "moonwire.store".compare_and_set = publish, claim
    wait(function() return here.count == 2 and there.count == 2 end)
    wait(function() return one.nick ~= two.nick end)
    local loser = one.nick == "same" and two or one
    local heard = loser == one and one_reader or two_reader
    wait(function() return #heard.events > 0 end)
    assert.matches("^Guest%x%x", loser.nick)
    assert.are.equal(loser.nick, heard.events[1].new)
    for _, hall in ipairs { here, there } do
      wait(function() return hall:member "same" and hall:member(loser.nick) end)
      assert.are_not.equal(loser.id, hall:member("same").id)
    end
  end)

  it("go on as the same node in newer code", function()
    local old, there = link_halls(2)
    local ann = enter(old, "ann")
    ann:join "#a"
    local _, reader = enter(there, "bob")
    wait(function() return there:room "#a" end)
    there:member("bob"):join "#a"
    wait(function() return old:room("#a").count == 2 end)
    local new = chat.hall()
    new:link("spec" .. names, 1)
    local snapshot = ann:snapshot()
    new:import(old:export())
    there:member("bob"):say("#a", "meanwhile")
    local ann_reader = new_reader()
    ann = assert(new:attach(snapshot, ann_reader))
    wait(function() return #ann_reader.events == 1 end)
    ann:say("#a", "back")
    wait(function() return reader.events[#reader.events].text == "back" end)
    assert.are.equal("join:bob message:ann", kinds(reader))
    assert.are.same({ 2, 2 }, { new.count, there.count })
    old:member("ann"):say("#a", "of the older code")
    task.sleep(0.05)
    assert.are.equal("join:bob message:ann", kinds(reader))
  end)

  it("refuse names that cannot be part of a topic", function()
    local ok, message = pcall(function() chat.hall():link "a.b" end)
    assert.is_false(ok)
    assert.matches("link_spec.lua:%d+: .*letters, digits", message)
  end)
end)
