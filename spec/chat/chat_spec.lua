-- The model of rooms and members, with readers that are tables.
local chat = require "moonwire.chat"
local task = require "moonwire.task"

-- A reader that keeps what it gets; `slow` makes it refuse.
local function new_reader()
  local reader = { events = {} }
  function reader.deliver(event)
    reader.events[#reader.events + 1] = event
    return not reader.slow
  end
  function reader.drop(reason)
    reader.dropped = reason
  end
  function reader.last()
    return reader.events[#reader.events] or {}
  end
  return reader
end

local function enter(hall, nick)
  local reader = new_reader()
  return assert(hall:enter(nick, reader, { user = "u", host = "h" })), reader
end

local function code_of(_, _, code, reason)
  return reason or code
end

describe("a hall", function()
  it("takes nicknames once, whatever their case", function()
    local hall = chat.hall { members_max = 2, nick_max = 5 }
    enter(hall, "Ann")
    for nick, code in pairs { ann = "exists", ["1a"] = "invalid", ["a b"] = "invalid", abcdef = "invalid" } do
      assert.are.equal(code, code_of(hall:enter(nick, new_reader())))
    end
    assert.are.equal("invalid", code_of(hall:enter(nil, new_reader())))
    enter(hall, "[x]")
    assert.are.equal("full", code_of(hall:enter("bob", new_reader())))
    assert.are.equal("Ann", hall:member("ANN").nick)
  end)

  it("finds members by masks", function()
    local hall = chat.hall()
    enter(hall, "ann")
    enter(hall, "bob")
    assert.are.equal(1, #hall:find("a*", 9))
    assert.are.equal(2, #hall:find("*!u@h", 9))
    assert.are.equal(1, #hall:find("*", 1))
  end)

  it("tells neighbours once of who changes its name or leaves", function()
    local hall = chat.hall()
    local ann, ann_reader = enter(hall, "ann")
    local bob, bob_reader = enter(hall, "bob")
    for _, room in ipairs { "#a", "#b" } do
      ann:join(room)
      bob:join(room)
    end
    local count = #bob_reader.events
    assert.is_true(ann:rename "anna")
    assert.are.equal(count + 1, #bob_reader.events)
    assert.are.equal("anna", bob_reader.last().new)
    assert.are.equal("anna", ann_reader.last().new)
    assert.are.equal("exists", code_of(ann:rename "BOB"))
    assert.is_true(ann:rename "ANNA")
    ann:leave "bye"
    ann:leave "again"
    assert.are.equal(count + 3, #bob_reader.events)
    assert.are.same({ "quit", "bye" }, { bob_reader.last().kind, bob_reader.last().text })
    assert.are.equal(1, hall:room("#a").count)
    assert.are.equal(1, hall.count)
  end)

  it("drops who reads too slowly, and tells the others", function()
    local hall = chat.hall()
    local ann, ann_reader = enter(hall, "ann")
    local _, slow = enter(hall, "slow")
    ann:join "#a"
    hall:member("slow"):join "#a"
    slow.slow = true
    assert.is_true(ann:say("#a", "hello"))
    assert.are.equal("reads too slowly", slow.dropped)
    assert.are.same({ "quit", "slow" }, { ann_reader.last().kind, ann_reader.last().nick })
    assert.are.equal(1, hall.dropped)
    assert.is_nil(hall:member "slow")
  end)

  it("drops a thousand at once", function()
    local hall = chat.hall()
    local ann, ann_reader = enter(hall, "ann")
    ann:join "#a"
    for i = 1, 1000 do
      local member, reader = enter(hall, "slow" .. i)
      member:join "#a"
      reader.slow = true
    end
    hall:reap(0)
    ann:say("#a", "hello")
    assert.are.equal(1, hall.count)
    assert.are.equal("quit", ann_reader.last().kind)
  end)
end)

describe("a room", function()
  local hall, ann, bob, bob_reader

  before_each(function()
    hall = chat.hall { rooms_max = 2, rooms_each = 2, topic_max = 10, text_max = 10, bans_max = 1 }
    ann = enter(hall, "ann")
    bob, bob_reader = enter(hall, "bob")
    assert(ann:join "#Room")
  end)

  it("has who made it as its operator, and is gone with its last member", function()
    assert(bob:join "#room")
    local room = hall:room "#ROOM"
    assert.is_true(room:is_operator(ann))
    assert.is_false(room:is_operator(bob))
    assert.are.equal("#Room", room.name)
    assert.is_true(ann:part("#room", "why"))
    assert.are.equal("why", bob_reader.last().text)
    assert.are.equal("absent", code_of(ann:part "#room"))
    bob:part "#room"
    assert.is_nil(hall:room "#room")
    assert.are.equal("not_found", code_of(bob:part "#room"))
  end)

  it("is not made without a name, nor above the limits", function()
    for _, room in ipairs { "room", "#", "#a b", "#a,b", "#\7", "#\xff", "#" .. ("x"):rep(50) } do
      assert.are.equal("invalid", code_of(ann:join(room)))
    end
    assert(ann:join "#2")
    assert.are.equal("too_many", code_of(bob:join "#3"))
    ann:part "#2"
    assert(bob:join "#3")
    assert(bob:join "#room")
    ann:part "#room"
    assert.are.equal("too_many", code_of(bob:join "#4"))
  end)

  it("passes what is said to all others", function()
    local _, ann_reader = enter(hall, "eve")
    hall:member("eve"):join "#room"
    assert(bob:join "#room")
    local before = #bob_reader.events
    assert.is_true(bob:say("#ROOM", "hello"))
    assert.are.equal(before, #bob_reader.events)
    local event = ann_reader.last()
    assert.are.same({ "message", "bob", "bob!u@h", "#Room", "hello" },
      { event.kind, event.nick, event.from, event.room, event.text })
    assert.is_true(bob:say("EVE", "psst", "notice"))
    assert.are.same({ "notice", "eve" }, { ann_reader.last().kind, ann_reader.last().to })
  end)

  it("refuses what is no text", function()
    for text, code in pairs {
      [""] = "invalid", ["a\nb"] = "invalid", ["\xff"] = "invalid", ["a\0"] = "invalid",
      [("x"):rep(11)] = "too_large",
    } do
      assert.are.equal(code, code_of(ann:say("#room", text)))
    end
    assert.are.equal("invalid", code_of(ann:say("#room", nil)))
    assert.are.equal("not_found", code_of(ann:say("#none", "a")))
    assert.are.equal("muted", code_of(bob:say("#room", "a")))
  end)

  it("lets operators set topic, modes, and throw out", function()
    assert(bob:join "#room")
    assert.are.equal("not_operator", code_of(bob:set_topic("#room", "t")))
    assert.are.equal("not_operator", code_of(bob:kick("#room", "ann")))
    assert.are.equal("not_operator", code_of(bob:set_mode("#room", "m", true)))
    assert.are.equal("invalid", code_of(ann:set_topic("#room", ("x"):rep(11))))
    assert.is_true(ann:set_topic("#room", "t"))
    assert.are.same({ "topic", "t" }, { bob_reader.last().kind, bob_reader.last().text })
    assert.are.equal("t", hall:room("#room").topic)
    assert.is_true(ann:set_topic("#room", ""))
    assert.is_nil(hall:room("#room").topic)
    assert.are.equal("not_there", code_of(ann:kick("#room", "nobody")))
    assert.is_true(ann:kick("#room", "BOB", "out"))
    assert.are.same({ "kick", "bob", "out" },
      { bob_reader.last().kind, bob_reader.last().whom, bob_reader.last().text })
    assert.is_false(hall:room("#room"):has(bob))
  end)

  it("has modes", function()
    assert(bob:join "#room")
    assert.is_true(ann:set_mode("#room", "m", true))
    assert.are.equal("muted", code_of(bob:say("#room", "a")))
    assert.is_true(ann:set_mode("#room", "v", true, "bob"))
    assert.is_true(bob:say("#room", "a"))
    assert.is_true(ann:set_mode("#room", "o", true, "bob"))
    assert.is_true(bob:set_mode("#room", "l", true, "5"))
    assert.is_true(bob:set_mode("#room", "k", true, "word"))
    local modes, words = hall:room("#room"):modes()
    assert.are.same({ "+klmnt", { "*", "5" } }, { modes, words })
    local count = #bob_reader.events
    assert.is_true(ann:set_mode("#room", "l", true, "5"))
    assert.are.equal(count, #bob_reader.events)
    assert.are.equal("unknown", code_of(ann:set_mode("#room", "z", true)))
    for letter, word in pairs { l = "0", k = "a,b", b = ":x" } do
      assert.are.equal("invalid", code_of(ann:set_mode("#room", letter, true, word)))
    end
  end)

  it("keeps out whom its modes keep out, unless they were invited", function()
    ann:set_mode("#room", "l", true, "1")
    assert.are.equal("full", code_of(bob:join "#room"))
    ann:set_mode("#room", "k", true, "word")
    assert.are.equal("wrong_key", code_of(bob:join "#room"))
    ann:set_mode("#room", "i", true)
    assert.are.equal("invite_only", code_of(bob:join("#room", "word")))
    ann:set_mode("#room", "b", true, "*@h")
    assert.are.equal("*!*@h", hall:room("#room").bans[1])
    assert.are.equal("full", code_of(ann:set_mode("#room", "b", true, "eve")))
    assert.are.equal("banned", code_of(bob:join("#room", "word")))
    assert.are.equal("nobody", code_of(ann:invite("nobody", "#room")))
    assert.are.equal("absent", code_of(bob:invite("ann", "#room")))
    assert(ann:invite("bob", "#room"))
    assert.are.equal("invite", bob_reader.last().kind)
    assert(bob:join "#room")
    assert.are.equal("exists", code_of(ann:invite("bob", "#room")))
    assert.are.equal("muted", code_of(bob:say("#room", "banned")))
    bob:part "#room"
    assert.are.equal("banned", code_of(bob:join("#room", "word")))
  end)

  it("is not shown to others when it is secret", function()
    ann:set_mode("#room", "s", true)
    assert.is_false(hall:room("#room"):is_visible(bob))
    assert.is_true(hall:room("#room"):is_visible(ann))
  end)
end)

describe("history", function()
  it("has the last lines of each room, and of so many rooms", function()
    local keeper = chat.history { lines = 3, rooms = 2 }
    for i = 1, 20 do
      keeper.add("#a", { text = tostring(i) })
    end
    local texts = {}
    for i, entry in ipairs(keeper.recent("#a", 10)) do
      texts[i] = entry.text
    end
    assert.are.same({ "18", "19", "20" }, texts)
    assert.are.equal(1, #keeper.recent("#a", 1))
    keeper.add("#b", {})
    keeper.add("#a", {})
    keeper.add("#c", {})
    assert.are.equal(0, #keeper.recent("#b", 10))
    assert.are.equal(3, #keeper.recent("#a", 10))
    keeper.forget "#a"
    assert.are.equal(0, #keeper.recent("#a", 10))
  end)

  it("passes to newer code, as much of it as that may be", function()
    local old, new = chat.history { lines = 70 }, chat.history { lines = 2 }
    for _, text in ipairs { "1", "2", "3" } do
      old.add("#small", { text = text })
    end
    local text = ("x"):rep(256 * 1024)
    for _ = 1, 70 do
      old.add("#large", { text = text })
    end
    old.add("#last", { text = "4" })
    new.import(old.export())
    assert.are.same({}, new.recent("#small", 9)) -- behind what was too much
    assert.are.same({ { text = "4" } }, new.recent("#last", 9))
    old.forget "#large"
    new.import(old.export())
    new.add("#small", { text = "5" })
    local lines = new.recent("#small", 9)
    assert.are.same({ "3", "5" }, { lines[1].text, lines[2].text })
  end)

  it("outlives a room, unless that was closed to others", function()
    local hall = chat.hall { history = chat.history() }
    local ann = enter(hall, "ann")
    ann:join "#open"
    ann:say("#open", "hello")
    ann:part "#open"
    assert.are.equal("hello", hall:recent(ann:join "#open", 5)[1].text)
    ann:set_mode("#open", "k", true, "word")
    ann:part "#open"
    assert.are.equal(0, #hall:recent(ann:join "#open", 5))
  end)
end)

describe("a hall that moves", function()
  it("is the same behind it, and nobody misses anything", function()
    local old = chat.hall { history = chat.history() }
    local ann = enter(old, "ann")
    local bob = enter(old, "bob")
    ann:join "#a"
    bob:join "#a"
    ann:set_mode("#a", "v", true, "bob")
    ann:say("#a", "before")
    ann:set_away "tea"
    local snapshot, other = ann:snapshot(), bob:snapshot()
    assert.is_false(old:is_leaving())
    local data = old:export()
    assert.is_true(old:is_leaving())
    local new = chat.hall { history = chat.history() }
    new:import(data)
    local reader, bob_reader = new_reader(), new_reader()
    bob = assert(new:attach(other, bob_reader))
    assert.is_true(bob:say("ann", "while you were gone"))
    ann = assert(new:attach(snapshot, reader))
    assert.are.equal("while you were gone", reader.last().text)
    assert.are.equal("tea", ann.away)
    assert.is_true(new:room("#a"):is_operator(ann))
    assert.is_true(new:room("#a").members[bob].voice)
    assert.are.equal("before", new:recent(new:room "#a", 1)[1].text)
    assert.are.equal("busy", code_of(new:attach(snapshot, reader)))
  end)

  it("takes back who is unknown to it, and lets go whose connection does not come", function()
    local old, new = chat.hall(), chat.hall()
    local ann = enter(old, "ann")
    ann:join "#a"
    local snapshot = ann:snapshot()
    local back = assert(new:attach(snapshot, new_reader()))
    assert.is_true(new:room("#a"):has(back))
    back:detach()
    new:reap(60)
    assert.are.equal(1, new.count)
    task.sleep(0.01)
    new:reap(0.001)
    assert.are.equal(0, new.count)
    enter(new, "Ann")
    assert.are.equal("exists", code_of(new:attach(snapshot, new_reader())))
  end)
end)

describe("a conversation", function()
  local function talk(quit)
    local hall, session = chat.hall(), {}
    session.member = enter(hall, "ann")
    local ok = pcall(chat.converse, session, function(_, words)
      session.quit = words
      error "a fault"
    end, quit)
    assert.is_false(ok)
    task.sleep(0.002)
    hall:reap(0)
    return hall.count
  end

  it("leaves a member behind that has not left, for a while", function()
    assert.are.equal(3, (chat.converse({}, function(_, a, b) return a + b end, 1, 2)))
    assert.are.equal(1, talk "bye") -- whoever says so leaves by himself
    assert.are.equal(0, talk(nil))
  end)

  it("takes what is no member for none", function()
    assert.are.equal(3, (chat.converse(chat.hall(), function() return 3 end))) -- it has a method of that name
  end)
end)

describe("flood limits", function()
  it("let a burst through and slow down what follows", function()
    local flood = chat.flood { rate = 10, burst = 3 }
    for _ = 1, 3 do
      assert.are.equal(0, flood:spend())
    end
    assert.is_true(flood:spend() > 0.05)
    task.sleep(0.5)
    assert.are.equal(0, flood:spend())
  end)
end)

describe("masks", function()
  it("fit", function()
    for _, case in ipairs {
      { "*", "" }, { "a*b", "aXXb" }, { "a?c", "abc" }, { "*a*b*", "xxayyb" }, { "A", "a" }, { "a**", "a" },
      { "*!*@h", "n!u@h" },
    } do
      assert.is_true(chat.matches(case[1], case[2]), case[1])
    end
    for _, case in ipairs { { "", "a" }, { "a", "ab" }, { "a?", "a" }, { "*b", "ba" }, { "%a", "b" } } do
      assert.is_false(chat.matches(case[1], case[2]), case[1])
    end
    assert.is_false(chat.matches(("*a"):rep(50), ("a"):rep(49) .. ("b"):rep(2000)))
  end)

  it("are compared as ASCII", function()
    assert.are.equal("abcÄ[", chat.fold "AbcÄ[")
  end)
end)

describe("misuse of a hall", function()
  local function refused(pattern, fn, ...)
    local ok, message = pcall(fn, ...)
    assert.is_false(ok)
    assert.matches("^spec/chat/chat_spec.lua:%d+: .*" .. pattern, message)
  end

  it("blames the line that called", function()
    local hall = chat.hall()
    local ann = enter(hall, "ann")
    local room = ann:join "#a"
    refused("call it with a colon", function() hall.member("ann") end)
    refused("#1 to 'member' %(string expected", function() hall:member(1) end)
    refused("deliver and drop", function() hall:enter("bob", {}) end)
    refused("user and host", function() hall:enter("bob", new_reader(), { host = "a b" }) end)
    refused("real, a text in one line", function() hall:enter("bob", new_reader(), { real = "a\r\nb" }) end)
    refused("moonwire.room expected", function() hall:recent("#a", 1) end)
    refused("moonwire.member expected", function() room:has "ann" end)
    refused("a text in one line expected", function() ann:part("#a", "a\nb") end)
    refused("'message' or 'notice' expected", function() ann:say("#a", "x", "shout") end)
    refused("member:snapshot", function() hall:attach({ id = "x" }, new_reader()) end)
    refused("hall:export", function() hall:import { members = { x = {} }, rooms = {} } end)
    refused("add, recent and forget", function() chat.hall { history = {} } end)
    assert.are.equal(1, hall.count)
  end)
end)
