local condition = require "spec.support.condition"
local core = require "moonwire.core"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local gate = require "moonwire.gate"
local json = require "moonwire.json"
local net = require "moonwire.net"
local store = require "moonwire.store"
local task = require "moonwire.task"
local test = require "moonwire.test"

test.deadline(60)

local names = 0

-- Each test has a list of its own.
local function new_name()
  names = names + 1
  return "gate-spec-" .. names
end

local function refusal(...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  return message
end

-- Runs with a task of its own, which what it makes ends with.
local function apart(fn)
  return function()
    local done = task.spawn(fn)
    local _, err, code = done:join()
    if code then
      error(err, 0)
    end
  end
end

describe("bans", function()
  it("hold for their time, and can be taken back", apart(function()
    local bans = gate.bans(new_name(), { seconds = 100 })
    assert.is_nil(bans:find "192.0.2.1:4711")
    assert.are.equal("192.0.2.1", bans:add("192.0.2.1:4711", "noise"))
    local reason, seconds = bans:find "192.0.2.1:1"
    assert.are.equal("noise", reason)
    assert.is_true(seconds > 90 and seconds <= 100)
    assert.is_nil(bans:find "192.0.2.2:1")
    assert.is_true(bans:remove "192.0.2.1")
    assert.is_false(bans:remove "192.0.2.1")
    assert.is_nil(bans:find "192.0.2.1:1")
    bans:add("192.0.2.1", "noise", 0.01)
    condition.wait_until(function() return not bans:find "192.0.2.1" end, 20)
  end))

  it("are of networks, where the prefixes say so", apart(function()
    local bans = gate.bans(new_name(), { ipv4_prefix = 24 })
    assert.are.equal("192.0.2.0/24", bans:add("192.0.2.1", "noise"))
    assert.are.equal("noise", bans:find "192.0.2.200")
    assert.are.equal("2001:db8::/64", bans:add("[2001:db8::1]:1", "noise"))
    assert.are.equal("noise", bans:find "2001:db8::ffff")
    local _, _, code = bans:add("unix://", "noise")
    assert.are.equal("invalid", code)
  end))

  it("are heard of by others, and found by those who come later", apart(function()
    local name = new_name()
    local here, there = gate.bans(name), gate.bans(name)
    here:add("192.0.2.1", "noise")
    condition.wait_until(function() return there:find "192.0.2.1" == "noise" end, 20)
    assert.are.equal("noise", gate.bans(name):find "192.0.2.1")
    there:remove "192.0.2.1"
    condition.wait_until(function() return not here:find "192.0.2.1" end, 20)
    assert.is_nil(gate.bans(name):find "192.0.2.1")
  end))

  it("follow the store, which other machines write", apart(function()
    local name = new_name()
    local bans = gate.bans(name, { refresh = 0.01 })
    store.set("gate/bans/" .. name .. "/192.0.2.1", { reason = "elsewhere", ends = os.time() + 100 })
    condition.wait_until(function() return bans:find "192.0.2.1" == "elsewhere" end, 20)
    store.delete("gate/bans/" .. name .. "/192.0.2.1")
    condition.wait_until(function() return not bans:find "192.0.2.1" end, 20)
    store.set("gate/bans/" .. name .. "/192.0.2.1", "no ban")
    task.sleep(0.02)
    assert.is_nil(bans:find "192.0.2.1")
  end))

  it("end the streams of who is banned", apart(function()
    local name = new_name()
    local here, there = gate.bans(name), gate.bans(name)
    local function open(client)
      local own, far = net.pair()
      return { own = own, far = far, following = there:follow(client, own) }
    end
    local function is_open(pair)
      return pair.own:write "still here\n" ~= nil and pair.far:read_line() == "still here"
    end
    local banned, spared, other = open "192.0.2.1:4711", open "192.0.2.1:4712", open "192.0.2.2:1"
    spared.following:close()
    spared.following:close()
    here:add("192.0.2.1", "noise")
    assert.is_nil((banned.far:read_line()))
    assert.is_false(is_open(banned))
    assert.is_false(is_open(open "192.0.2.1:1"))
    assert.is_true(is_open(spared))
    assert.is_true(is_open(other))
    assert.is_nil((there:follow("unix://", spared.own)))
  end))

  it("keep what the store did not take, and what it has lost", apart(function()
    local name = new_name()
    local bans = gate.bans(name, { refresh = 0.01 })
    bans:add("192.0.2.1", "noise")
    local key = "gate/bans/" .. name .. "/192.0.2.1"
    store.delete(key) -- as a store does that comes back with nothing
    store.set("gate/lives/" .. name, "another")
    condition.wait_until(function() return store.get(key) end, 20)
    assert.are.equal("noise", bans:find "192.0.2.1")
    store.delete(key) -- as an operator does
    condition.wait_until(function() return not bans:find "192.0.2.1" end, 20)
  end))

  it("have a table of fixed size", apart(function()
    local bans = gate.bans(new_name(), { most = 2 })
    assert(bans:add("192.0.2.1", "noise"))
    assert(bans:add("192.0.2.2", "noise"))
    assert.are.equal("full", select(3, bans:add("192.0.2.3", "noise")))
    assert(bans:add("192.0.2.2", "noise", 0))
    condition.wait_until(function() return bans:add("192.0.2.3", "noise") end, 20)
  end))

  it("refuse what is none", function()
    assert.matches("gate_spec.lua:%d+: .*a name of letters", refusal(function() gate.bans "a/b" end))
    assert.matches("'ipv4_prefix'", refusal(function() gate.bans("a", { ipv4_prefix = 40 }) end))
    assert.matches("'refresh': seconds", refusal(function() gate.bans("a", { refresh = 0 }) end))
  end)
end)

describe("lists", function()
  it("allow, deny, and decide by the most specific", apart(function()
    local lists = assert(gate.lists { deny = { "192.0.2.0/24" } })
    assert.is_false(lists:allow "192.0.2.1:1")
    assert.is_true(lists:allow "198.51.100.1:1")
    assert.is_true(lists:allow "unix://")
    lists = assert(gate.lists { allow = { "192.0.2.0/24", "::1" }, deny = { "192.0.2.7", "::1" } })
    assert.is_true(lists:allow "192.0.2.1:1")
    assert.is_false(lists:allow "192.0.2.7:1")
    assert.is_false(lists:allow "198.51.100.1:1")
    assert.is_false(lists:allow "[::1]:1")
  end))

  it("read files, again when they change, and keep what they have when they are wrong", apart(function()
    local place <close> = folder.new()
    local path = place:write("deny", "# bad ones\n192.0.2.0/24 scanner\n")
    local lists = assert(gate.lists { deny_file = path, deny = { "::1" } })
    assert.is_false(lists:allow "192.0.2.1")
    place:write("deny", "198.51.100.0/24\n")
    condition.wait_until(function() return not lists:allow "198.51.100.1" end, 20)
    assert.is_true(lists:allow "192.0.2.1")
    place:write("deny", "198.51.100.1/24\n")
    task.sleep(0.05)
    assert.is_false(lists:allow "198.51.100.1")
    assert.is_false(lists:allow "::1")
  end))

  it("tell what is wrong with them", apart(function()
    local place <close> = folder.new()
    assert.are.equal("not_found", select(3, gate.lists { deny_file = place.path .. "/none" }))
    local _, err, code = gate.lists { allow = { "192.0.2.1/24" } }
    assert.are.equal("invalid", code)
    assert.matches("192.0.2.1/24: the address has bits", err)
  end))
end)

describe("events", function()
  it("are lines of JSON, whatever is in them", apart(function()
    local place <close> = folder.new()
    local path = place.path .. "/events"
    local events = assert(gate.events(path))
    events:write { event = "a", client = "192.0.2.1", text = '"\n\255\0x', port = 7, good = true }
    events:write { event = "b", text = ("x"):rep(5000) }
    assert.is_true(events:flush(20))
    local lines = {}
    for line in assert(file.read(path)):gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    assert.are.equal(2, #lines)
    assert.matches('^{"ts":"%d+%-%d%d%-%d%dT%d%d:%d%d:%d%dZ","event":"a","client":"192.0.2.1",', lines[1])
    local first = json.decode(lines[1])
    assert.are.equal('"???x', first.text)
    assert.are.equal(7, first.port)
    assert.are.equal(1024, #json.decode(lines[2]).text)
    assert.is_true(events:flush())
  end))

  it("go on in a new file when the old one is moved away", apart(function()
    local place <close> = folder.new()
    local path = place.path .. "/events"
    local events = assert(gate.events(path))
    events:write { event = "a" }
    events:flush(20)
    assert(os.rename(path, path .. ".1"))
    events:write { event = "b" }
    events:flush(20)
    assert.matches('"event":"b"', assert(file.read(path)))
  end))

  it("are counted when too many wait", apart(function()
    local place <close> = folder.new()
    local path = place.path .. "/events"
    local events = assert(gate.events(path, { most = 3 }))
    for _ = 1, 10 do
      events:write { event = "a" }
    end
    events:flush(20)
    local text = assert(file.read(path))
    assert.are.equal(3, select(2, text:gsub('"event":"a"', "")))
    assert.matches('"event":"lost","count":7', text)
  end))

  it("need a file that can be written", apart(function()
    assert.are.equal("not_found", select(3, gate.events "/no/such/folder/events"))
  end))
end)

describe("a tarpit", function()
  it("holds connections, so many, until their clients are gone", function()
    local tarpit = gate.tarpit { most = 1, seconds = 100, interval = 0.01, drip = "." }
    local near, far = net.pair()
    local held = task.spawn(function() return tarpit:hold(near) end)
    assert.are.equal(".", far:read(1))
    assert.are.equal(1, tarpit:count())
    local other, another = net.pair()
    assert.is_false(tarpit:hold(other))
    other:close()
    another:close()
    far:close()
    assert.is_true(held:join(20))
    assert.are.equal(0, tarpit:count())
    near:close()
  end)

  it("lets go when the time is over", function()
    local tarpit = gate.tarpit { seconds = 0.01, interval = 0.01 }
    local near, far = net.pair()
    far:write(("x"):rep(1000))
    assert.is_true(tarpit:hold(near))
    assert.are.equal(0, tarpit:count())
    near:close()
    far:close()
  end)
end)

describe("what is expected", function()
  local function judge(protocol, pieces)
    local near, far = net.pair()
    local writer = task.spawn(function()
      for _, piece in ipairs(pieces) do
        far:write(piece)
        task.sleep(0.002)
      end
      far:shutdown_write()
    end)
    local result, _, code = gate.expect(near, protocol, { timeout = 20 })
    writer:join()
    local text = near:read_all()
    near:close()
    far:close()
    return result or code, text
  end

  it("of SSH is the line of a version", function()
    assert.are.equal(true, (judge("ssh", { "SSH-2.0-x\r\n" })))
    assert.are.equal(true, (judge("ssh", { "S", "SH-1", ".99-x\r\n" })))
    assert.are.equal("protocol", (judge("ssh", { "GET / HTTP/1.1\r\n" })))
    assert.are.equal("protocol", (judge("ssh", { "SSH-1.5-x" })))
    assert.are.equal("eof", (judge("ssh", { "SSH-" })))
    assert.are.equal("eof", (judge("ssh", {})))
  end)

  it("of HTTP is the line of a request", function()
    assert.are.equal(true, (judge("http", { "GET / HTTP/1.1\r\n" })))
    assert.are.equal(true, (judge("http", { "P", "ROPFIND ", "/x%20y HT", "TP/1.0", "\r", "\n" })))
    assert.are.equal(true, (judge("http", { "PRI * HTTP/2.0\r\n\r\nSM" })))
    for _, text in ipairs {
      "SSH-2.0-x", "get / HTTP/1.1\r\n", "GET  / HTTP/1.1\r\n", "GET / HTTP/2.0\r\n", "GET /\r\n",
      "\22\3\1", "GET /\0 HTTP/1.1\r\n", "GET /" .. ("x"):rep(9000), "\r\nGET / HTTP/1.1\r\n",
    } do
      assert.are.equal("protocol", (judge("http", { text })), text)
    end
    assert.are.equal("eof", (judge("http", { "GET / HT" })))
  end)

  it("takes nothing", function()
    local _, text = judge("http", { "GET / HT", "TP/1.1\r\nHost: x\r\n\r\n" })
    assert.are.equal("GET / HTTP/1.1\r\nHost: x\r\n\r\n", text)
  end)

  it("is any text", function()
    local near, far = net.pair()
    far:write "220 ready\r\n"
    assert.is_true(gate.expect_beginning(near, "220 "))
    assert.are.equal("protocol", select(3, gate.expect_beginning(near, "221")))
    assert.are.equal("220 ready", near:read_line())
    assert.are.equal("timeout", select(3, gate.expect_beginning(near, "220 ", { timeout = 0.01 })))
    near:close()
    far:close()
  end)

  it("of TLS is the first message", function()
    assert.are.equal("protocol", (judge("tls", { "GET / HTTP/1.1\r\n" })))
  end)
end)

describe("routes", function()
  local routes = gate.routes {
    { server_name = "www.Example.org", protocol = "h2", upstream = "tcp://127.0.0.1:1" },
    { server_name = "www.example.org", upstream = "tcp://127.0.0.1:2" },
    { server_name = "*.example.org", upstream = "tcp://127.0.0.1:3" },
    { protocol = "acme-tls/1", upstream = "tcp://127.0.0.1:4" },
  }

  local function find(name, ...)
    local found = routes:find { server_name = name, protocols = { ... } }
    return found and found:match "%d$"
  end

  it("lead by name and protocol, the first that fits", function()
    assert.are.equal("1", find("www.example.org", "http/1.1", "h2"))
    assert.are.equal("2", find("www.example.org", "http/1.1"))
    assert.are.equal("2", find "www.example.org")
    assert.are.equal("3", find "a.b.example.org")
    assert.are.equal("4", find("example.org", "acme-tls/1"))
    assert.is_nil(find "example.org")
    assert.is_nil(find ".example.org")
    assert.is_nil(find "badexample.org")
    assert.is_nil(find(nil))
    assert.are.equal("4", find(nil, "acme-tls/1"))
  end)

  it("are checked", function()
    for pattern, route in pairs {
      ["gate_spec.lua:%d+: .*route 1: 'upstream': an address"] = { server_name = "x" },
      ["route 1: 'server_name': a name"] = { server_name = "*x", upstream = "tcp://x:1" },
      ["route 1: unknown key 'port'"] = { port = 7, upstream = "tcp://x:1" },
      ["route 1: 'protocol': string"] = { protocol = 7, upstream = "tcp://x:1" },
      ["route 1: a table"] = 7,
    } do
      assert.matches(pattern, refusal(function() gate.routes { route } end))
    end
  end)
end)

describe("rules", function()
  it("are broken by what happens", function()
    local rules = gate.rules {
      { name = new_name(), event = "scan", times = 2, seconds = 100, action = "ban" },
      { name = "at once", event = "early" },
    }
    assert.are.equal("at once", rules:happen("early", "192.0.2.1").name)
    assert.is_nil(rules:happen("open", "192.0.2.1"))
    assert.is_nil(rules:happen("scan", "192.0.2.1"))
    assert.is_nil(rules:happen("scan", "192.0.2.1"))
    assert.are.equal("ban", rules:happen("scan", "192.0.2.1").action)
    assert.is_nil(rules:happen("scan", "192.0.2.2"))
  end)

  it("are checked", function()
    for pattern, rule in pairs {
      ["gate_spec.lua:%d+: .*rule 1: 'name': string"] = { bytes = "x" },
      ["rule 1: one of 'bytes', 'pcre' and 'event' expected"] = { name = "x" },
      ["rule 1: one of"] = { name = "x", bytes = "x", pcre = "x" },
      ["rule 'x': 'pcre': at byte 3: missing closing parenthesis"] = { name = "x", pcre = "(x" },
      ["rule 1: 'action': log, drop"] = { name = "x", bytes = "x", action = "kill" },
      ["rule 1: 'direction': client"] = { name = "x", bytes = "x", direction = "up" },
      ["rule 1: unknown key 'regex'"] = { name = "x", regex = "x" },
      ["rule 1: 'bytes': 1 to 1024"] = { name = "x", bytes = "" },
      ["rule 1: 'within': number expected"] = { name = "x", bytes = "x", within = "x" },
      ["rule 1: 'times': an integer"] = { name = "x", bytes = "x", times = 0.5 },
      ["rule 1: 'seconds': above 0"] = { name = "x", bytes = "x", times = 1, seconds = 0 },
      ["rule 1: a table"] = 7,
    } do
      assert.matches(pattern, refusal(function() gate.rules { rule } end))
    end
  end)
end)

describe("a relay with rules", function()
  -- A relay between two ends; `found` lists what was met.
  local function start(list, options)
    local a, client = net.pair()
    local b, server = net.pair()
    local flow = { client = a, server = b, found = {} }
    options = options or {}
    options.rules = gate.rules(list)
    options.on_match = options.on_match or function(rule, direction)
      table.insert(flow.found, rule.name .. " " .. direction)
      return rule.action == "log"
    end
    flow.task = task.spawn(function() return gate.relay(client, server, options) end)
    return flow
  end

  it("passes on what meets none, and ends like net.relay", function()
    local flow = start { { name = "x", bytes = "evil" } }
    flow.client:write "hello"
    assert.are.equal("hello", flow.server:read(5))
    flow.server:write "hi"
    assert.are.equal("hi", flow.client:read(2))
    flow.client:shutdown_write()
    assert.are.equal("", flow.server:read_all())
    flow.server:write "bye"
    flow.server:shutdown_write()
    assert.are.equal("bye", flow.client:read_all())
    local sent, received = flow.task:join(20)
    assert.are.same({ 5, 5 }, { sent, received })
    assert.are.same({}, flow.found)
  end)

  it("finds bytes across pieces, before they are passed on", function()
    local flow = start { { name = "x", bytes = "evil" } }
    flow.client:write "some ev"
    assert.are.equal("some ev", flow.server:read(7))
    flow.client:write "il thing"
    local _, _, code = flow.task:join(20)
    assert.are.equal("denied", code)
    assert.are.same({ "x client" }, flow.found)
  end)

  it("finds what expressions match, across pieces and at the end", function()
    local flow = start {
      { name = "jndi", pcre = [[(?i)\$\{jndi:(ldap|rmi)]], action = "log" },
      { name = "first", pcre = "^GET /[0-9]+$", direction = "server", action = "log" },
    }
    flow.client:write "x=${JN"
    assert.are.equal("x=${JN", flow.server:read(6))
    flow.client:write "DI:ldap://"
    assert.are.equal("DI:ldap://", flow.server:read(10))
    flow.server:write "GET /12"
    assert.are.equal("GET /12", flow.client:read(7))
    flow.server:shutdown_write()
    flow.client:read_all()
    assert.are.same({ "jndi client", "first server" }, flow.found)
    flow.client:close()
    flow.task:join(20)
  end)

  it("gives an expression up that takes too long", function()
    local flow = start { { name = "slow", pcre = "(a+)+$" }, { name = "quick", bytes = "b", action = "log" } }
    local text = ("a"):rep(200) .. "b"
    flow.client:write(text)
    assert.are.equal(text, flow.server:read(#text))
    assert.are.same({ "quick client" }, flow.found)
    flow.client:close()
    flow.server:close()
    flow.task:join(20)
  end)

  it("looks at the direction and as far as it is told", function()
    local flow = start {
      { name = "far", bytes = "XY", within = 10, action = "log" },
      { name = "back", bytes = "XY", direction = "server", action = "log" },
      { name = "both", bytes = "YX", direction = "both", within = 20, action = "log" },
    }
    flow.client:write "123456789XY"
    assert.are.equal("123456789XY", flow.server:read(11))
    flow.client:write "X"
    assert.are.equal("X", flow.server:read(1))
    flow.server:write "XY"
    assert.are.equal("XY", flow.client:read(2))
    assert.are.same({ "both client", "back server" }, flow.found)
    flow.client:close()
    flow.server:close()
    flow.task:join(20)
  end)

  it("finds each rule once in a direction", function()
    local flow = start { { name = "x", bytes = "a", action = "log" } }
    flow.client:write "aaa"
    assert.are.equal("aaa", flow.server:read(3))
    flow.client:write "a"
    assert.are.equal("a", flow.server:read(1))
    assert.are.same({ "x client" }, flow.found)
    flow.client:close()
    flow.server:close()
    flow.task:join(20)
  end)

  it("loses nothing when it stops looking, in the middle of what goes on", function()
    for within = 1, 60000, 3777 do
      local flow = start {
        { name = "x", bytes = "no such", within = within, direction = "both" },
      }
      local text = ("0123456789"):rep(20000)
      local function talk(one)
        for i = 1, #text, 9999 do
          one:write(text:sub(i, i + 9998))
          task.yield()
        end
        one:shutdown_write()
      end
      local function hear(one)
        return one:read_all(1 << 20)
      end
      local tasks = {}
      for _, one in ipairs { flow.client, flow.server } do
        tasks[#tasks + 1] = task.spawn(talk, one)
        tasks[#tasks + 1] = task.spawn(hear, one)
      end
      assert.are.equal(text, tasks[2]:join(30))
      assert.are.equal(text, tasks[4]:join(30))
      local sent, received = flow.task:join(30)
      assert.are.same({ #text, #text }, { sent, received })
    end
  end)

  it("ends when nothing comes for too long, in either direction", function()
    local flow = start({ { name = "x", bytes = "evil", direction = "both" } }, { idle = 0.5 })
    local begun = core.now()
    while core.now() - begun < 1 do
      flow.client:write "x"
      flow.server:read(1)
      task.sleep(0.01)
    end
    assert.are.equal("waiting", flow.task:status())
    assert.are.equal("timeout", select(3, flow.task:join(20)))
  end)

  it("says when a side is gone", function()
    local flow = start { { name = "x", bytes = "evil", direction = "both" } }
    flow.client:abort()
    flow.server:write "x"
    assert.is_not_nil(select(3, flow.task:join(20)))
  end)

  it("needs two streams", function()
    local a, b = net.pair()
    assert.matches("gate_spec.lua:%d+: .*two different", refusal(function() gate.relay(a, a) end))
    assert.matches("those of gate.rules", refusal(function() gate.relay(a, b, { rules = {} }) end))
    a:close()
    b:close()
  end)
end)
