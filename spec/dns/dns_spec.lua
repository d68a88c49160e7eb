local condition = require "spec.support.condition"
local core = require "moonwire.core"
local dns = require "moonwire.dns"
local folder = require "spec.support.folder"
local name_server = require "spec.support.name_server"
local net = require "moonwire.net"
local task = require "moonwire.task"

local RECORDS <const> = {
  "--local-ttl=60",
  "--host-record=www.test,127.0.0.1,::1",
  "--host-record=four.test,127.0.0.4",
  "--host-record=six.test,::1",
  "--local=/four/",
  "--address=/wild.test/127.0.0.3",
  "--cname=alias.test,www.test",
  "--mx-host=mail.test,second.test,20",
  "--mx-host=mail.test,first.test,10",
  "--txt-record=text.test,one, two",
  "--srv-host=_sip._tcp.test,sip.test,5060,10,5",
  "--srv-host=_sip._tcp.test,backup.test,5061,20,1",
  "--srv-host=_none._tcp.test",
  "--ptr-record=9.0.0.127.in-addr.arpa,nine.test",
  "--ptr-record=1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa,six.test",
}

-- A server that is asked and never answers.
local function silent_server()
  return assert(net.datagram "udp://127.0.0.1:0")
end

-- The answer to a query for an A record: 127.0.0.7, to be kept for a while.
local function answer_to(query, ttl)
  local question = query:sub(13, query:find("\0", 13, true) + 4)
  return query:sub(1, 2) .. "\x81\x80\0\1\0\1\0\0\0\0" .. question ..
    "\xc0\x0c\0\1\0\1" .. string.pack(">I4", ttl) .. "\0\4\127\0\0\7"
end

-- A server that keeps the queries until it is told to answer them all.
local function slow_server()
  local socket, queries = silent_server(), {}
  task.spawn(function()
    for query, peer in socket:datagrams() do
      queries[#queries + 1] = { query, peer }
    end
  end)
  return socket, queries, function(ttl)
    for _, query in ipairs(queries) do
      socket:send(answer_to(query[1], ttl or 60), query[2])
    end
  end
end

local function use(server, options)
  options = options or {}
  options.servers = { type(server) == "userdata" and server:local_address() or server.address }
  assert.is_true(dns.configure(options))
end

local function v4(name)
  return dns.addresses(name, { family = "v4" })
end

local function v6(name)
  return dns.addresses(name, { family = "v6" })
end

local function refused(expected_code, expected_message, value, message, code)
  assert.is_nil(value)
  assert.are.equal(expected_message, message)
  assert.are.equal(expected_code, code)
end

describe("dns with a real server", function()
  local server

  setup(function()
    server = name_server.start(RECORDS)
  end)

  teardown(function()
    server:stop()
  end)

  before_each(function()
    use(server)
  end)

  after_each(function()
    dns.configure {}
  end)

  it("finds the addresses of a name, of both families or of one", function()
    local addresses = dns.addresses "www.test"
    table.sort(addresses)
    assert.are.same({ "127.0.0.1", "::1" }, addresses)
    assert.are.same({ "127.0.0.1" }, v4("www.test"))
    assert.are.same({ "::1" }, v6("www.test"))
    assert.are.same({ "127.0.0.1" }, v4("alias.test"))
    assert.are.same({ "127.0.0.1" }, v4("WWW.Test."))
  end)

  it("takes a numeric address as its own answer", function()
    assert.are.same({ "127.0.0.1" }, dns.addresses "127.0.0.1")
    assert.are.same({ "2001:db8::1" }, dns.addresses "2001:db8::1")
    refused("not_found", "resolve 127.0.0.1: it has no IPv6 address", v6("127.0.0.1"))
  end)

  it("finds records of every type", function()
    local sip = { type = "SRV", text = "sip.test", priority = 10, weight = 5, port = 5060, ttl = 60 }
    local backup = { type = "SRV", text = "backup.test", priority = 20, weight = 1, port = 5061, ttl = 60 }
    for name, expected in pairs {
      ["four.test"] = { { type = "A", text = "127.0.0.4", ttl = 60 } },
      ["six.test"] = { { type = "AAAA", text = "::1", ttl = 60 } },
      ["text.test"] = { { type = "TXT", text = "one two", ttl = 60 } },
      ["mail.test"] = {
        { type = "MX", text = "first.test", priority = 10, ttl = 60 },
        { type = "MX", text = "second.test", priority = 20, ttl = 60 },
      },
      ["_sip._tcp.test"] = { sip, backup },
      ["127.0.0.9"] = { { type = "PTR", text = "nine.test", ttl = 60 } },
    } do
      assert.are.same(expected, dns.records(name, expected[1].type))
    end
    assert.are.equal(".", dns.records("_none._tcp.test", "SRV")[1].text)
  end)

  it("finds the names of an address", function()
    assert.are.same({ "nine.test" }, dns.reverse "127.0.0.9")
    assert.are.same({ "six.test" }, dns.reverse "::1")
  end)

  it("says what there is not", function()
    refused("not_found", "resolve nowhere.test: no such name", dns.addresses "nowhere.test")
    refused("not_found", "resolve nowhere.test: no such name", dns.records("nowhere.test", "MX"))
    refused("not_found", "resolve four.test: it has no MX record", dns.records("four.test", "MX"))
    refused("not_found", "resolve four.test: it has no IPv6 address", v6("four.test"))
    refused("not_found", "resolve 127.0.0.8: no such name", dns.reverse "127.0.0.8")
    refused("invalid", "resolve a..test: a part between two dots is empty", dns.addresses "a..test")
  end)

  it("reads the hosts file before it asks a server", function()
    local address, name
    for line in io.lines "/etc/hosts" do
      address, name = line:match "^%s*(%d+%.%d+%.%d+%.%d+)%s+([%w.-]+)"
      if name then
        break
      end
    end
    if not name then
      return pending "the hosts file names no IPv4 address"
    end
    local silent <close> = silent_server()
    use(silent)
    assert.are.same({ address }, v4(name))
  end)

  it("tries the domains of the search list", function()
    local place <close> = folder.new()
    use(server, { resolv_conf = place:write("resolv.conf", "search example.test test\n") })
    assert.are.same({ "127.0.0.4" }, v4("four"))
    refused("not_found", "resolve four.: no such name", dns.addresses "four.")
    refused("not_found", "resolve four: no such name", dns.records("four", "A"))
  end)

  it("reads resolv.conf again when it changes", function()
    local place <close> = folder.new()
    use(server, { resolv_conf = place:write("resolv.conf", "search test\n") })
    assert.are.same({ "127.0.0.4" }, v4("four"))
    place:write("resolv.conf", "search wild.test\n")
    local tries = 0
    condition.wait_until(function()
      tries = tries + 1 -- a name that was not found is not asked for again so soon
      return v4("name" .. tries)
    end)
    assert.are.same({ "127.0.0.3" }, v4("name" .. tries))
  end)

  it("serves connect by name", function()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local address = "tcp://www.test" .. listener:local_address():match ":%d+$"
    local accepting = task.spawn(function() return listener:accept(5):keep() end)
    local conn = assert(net.connect(address))
    assert.are.equal(listener:local_address(), conn:peer_address())
    accepting:join():close()
    refused("not_found", "resolve nowhere.test: no such name", net.connect "tcp://nowhere.test:80")
  end)

  it("goes on to the living address when another does not answer", function()
    local dead = assert(net.listen("tcp://[::1]:0", { backlog = 1 }))
    local port = dead:local_address():match "%d+$"
    local living = net.listen("tcp://127.0.0.1:" .. port)
    if not living then
      return pending("the port of [::1] is taken on 127.0.0.1")
    end
    local filler = 0
    while net.connect("tcp://[::1]:" .. port, { timeout = 0.1 }) do
      filler = filler + 1
      assert.is_true(filler < 10)
    end
    local started = core.now()
    local conn = assert(net.connect("tcp://www.test:" .. port, { attempt_delay = 0.05, timeout = 5 }))
    assert.are.equal("127.0.0.1:" .. port, conn:peer_address())
    assert.is_true(core.now() - started < 2)
  end)

  it("goes on at once to the next address when one refuses", function()
    local living = assert(net.listen "tcp://127.0.0.1:0")
    local port = living:local_address():match "%d+$"
    local conn = assert(net.connect("tcp://www.test:" .. port, { attempt_delay = 20 }))
    assert.are.equal("127.0.0.1:" .. port, conn:peer_address())
  end)
end)

describe("the cache of dns", function()
  after_each(function()
    dns.configure {}
  end)

  it("outlives the server, as long as the time to live", function()
    local server <close> = name_server.start { "--local-ttl=1", "--host-record=www.test,127.0.0.1" }
    use(server, { timeout = 0.05, tries = 1 })
    local answered = core.now()
    assert.are.same({ "127.0.0.1" }, v4("www.test"))
    assert.are.same({ "127.0.0.1" }, { dns.records("www.test", "A")[1].text })
    server:stop()
    assert.are.same({ "127.0.0.1" }, v4("www.test"))
    assert.is_truthy(dns.records("www.test", "A"))
    local code = condition.wait_until(function()
      return select(3, v4("www.test"))
    end)
    assert.is_true(code == "unavailable" or code == "timeout", code)
    assert.is_true(core.now() - answered >= 1)
  end)

  it("keeps so many answers", function()
    local socket, queries, answer = slow_server()
    use(socket, { entries = 2 })
    local function ask(name)
      local asking = task.spawn(v4, name)
      local before = #queries
      while #queries == before and asking:status() ~= "done" do
        task.sleep(0.001)
      end
      answer()
      assert.are.same({ "127.0.0.7" }, asking:join())
      local asked = #queries > before
      for i = #queries, 1, -1 do
        queries[i] = nil
      end
      return asked
    end
    assert.is_true(ask "one.test")
    assert.is_true(ask "two.test")
    assert.is_false(ask "one.test")
    assert.is_true(ask "three.test")
    assert.is_true(ask "one.test")
    assert.is_false(ask "three.test")
  end)

  it("shares one query among equal questions", function()
    local socket, queries, answer = slow_server()
    use(socket)
    local asking = {}
    for i = 1, 20 do
      asking[i] = task.spawn(v4, i % 2 == 0 and "same.test" or "SAME.test")
    end
    condition.wait_until(function() return #queries > 0 end)
    asking[1]:cancel()
    answer()
    for i = 2, 20 do
      assert.are.same({ "127.0.0.7" }, asking[i]:join())
    end
    assert.are.equal(1, #queries)
    assert.are.equal("cancelled", select(3, asking[1]:join()))
  end)

  it("is forgotten by configure", function()
    local socket, queries, answer = slow_server()
    for _ = 1, 2 do
      use(socket)
      local asking = task.spawn(v4, "www.test")
      condition.wait_until(function() return #queries == 1 end)
      answer()
      assert.are.same({ "127.0.0.7" }, asking:join())
      queries[1] = nil
    end
  end)
end)

describe("a lookup", function()
  local silent

  before_each(function()
    silent = silent_server()
    use(silent, { timeout = 20 })
  end)

  after_each(function()
    dns.configure {}
  end)

  it("is left by cancel and by a deadline", function()
    for _, lookup in ipairs {
      function() return dns.addresses "www.test" end,
      function() return dns.records("www.test", "TXT") end,
      function() return dns.reverse "127.0.0.1" end,
      function() return net.connect("tcp://www.test:80") end,
    } do
      local asking = task.spawn(lookup)
      task.yield()
      assert.is_true(asking:waits_for() == "resolve" or asking:waits_for() == "connect")
      asking:cancel()
      assert.are.equal("cancelled", select(3, asking:join()))
      assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(task.with_timeout(0.02, lookup)))
    end
  end)

  it("times out when no server answers", function()
    use(silent, { timeout = 0.05, tries = 1 })
    local started = core.now()
    assert.are.same({ n = 3, nil, "timeout", "timeout" }, table.pack(v4("www.test")))
    assert.is_true(core.now() - started < 2)
  end)

  it("learns that nobody is there", function()
    silent:close()
    dns.configure { servers = { "127.0.0.1:1" }, timeout = 0.05, tries = 1 }
    refused("unavailable", "resolve www.test: the name servers fail or cannot be reached",
      v4("www.test"))
  end)

  it("is asked anew by configure", function()
    local server <close> = name_server.start(RECORDS)
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local asking = {
      task.spawn(v4, "four.test"),
      task.spawn(dns.reverse, "127.0.0.9"),
      task.spawn(function()
        local conn = assert(net.connect("tcp://www.test" .. listener:local_address():match ":%d+$"))
        return conn:peer_address()
      end),
      task.spawn(dns.addresses, "www.test"),
    }
    task.yield()
    asking[4]:cancel()
    task.sleep(0.01)
    use(server)
    assert.are.same({ "127.0.0.4" }, asking[1]:join())
    assert.are.same({ "nine.test" }, asking[2]:join())
    assert.are.equal(listener:local_address(), asking[3]:join())
  end)

  it("may be followed by configure at once", function()
    local server <close> = name_server.start(RECORDS)
    use(server)
    local other = task.spawn(v6, "four.test")
    for _ = 1, 3 do
      assert.are.same({ "127.0.0.4" }, v4("four.test"))
      use(server)
    end
    assert.are.equal("not_found", select(3, other:join()))
  end)

  it("cannot be made where nobody may wait", function()
    local ok, message = pcall(tostring, setmetatable({}, { __tostring = function()
      return dns.addresses("a.test")
    end }))
    assert.is_false(ok)
    assert.matches("cannot wait here", message, 1, true)
  end)
end)

describe("dns", function()
  it("refuses what makes no sense", function()
    for problem, call in pairs {
      ["bad argument #1 to 'addresses' (string expected, got no value)"] = function() dns.addresses() end,
      ["unknown option 'kind' (known: family)"] = function() dns.addresses("a.test", { kind = "v4" }) end,
      ["option 'family': \"v4\" or \"v6\" expected"] = function()
        dns.addresses("a.test", { family = "v5" })
      end,
      ["bad argument #2 to 'records' (invalid option 'ANY')"] = function() dns.records("a.test", "ANY") end,
      ["bad argument #1 to 'configure' (table expected"] = function() dns.configure() end,
      ["name servers \"nonsense\": write up to 8 numeric addresses"] = function()
        dns.configure { servers = { "nonsense" } }
      end,
      ["name servers \"\": write up to 8"] = function() dns.configure { servers = {} } end,
      ["option 'servers': a list of addresses expected"] = function() dns.configure { servers = { {} } } end,
      ["option 'tries': 0 is not within 1..100"] = function() dns.configure { tries = 0 } end,
      ["option 'timeout': seconds above 0 expected"] = function() dns.configure { timeout = 0 } end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok, problem)
      assert.matches(problem, message, 1, true)
      assert.matches("^%S*dns_spec%.lua:%d+: ", message)
    end
  end)
end)
