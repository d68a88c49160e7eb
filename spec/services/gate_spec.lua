-- scripts/gate.lua, started as a user would.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local json = require "moonwire.json"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local scene = require "spec.support.scene"
local task = require "moonwire.task"
local test = require "moonwire.test"

test.deadline(60)

-- Until who cannot wait has spoken: in this same process, before what it waits for.
local GREETING_SECONDS <const> = 0.2

-- Greets, and says each line back.
local function lines(conn)
  conn:write "220 lines\r\n"
  local line = conn:read_line(1000)
  while line and conn:write("you said ", line, "\r\n") do
    line = conn:read_line(1000)
  end
end

local function start_server(handler, options)
  local listener = assert(net.serve("tcp://127.0.0.1:0", handler or lines, options))
  return listener, "tcp://" .. listener:local_address()
end

-- A gate with these settings; `events` of it are read from its file.
local function start_gate(place, settings)
  local options = {}
  settings[#settings + 1] = "events=" .. place.path .. "/events"
  for _, setting in ipairs(settings) do
    options[#options + 1] = "--set"
    options[#options + 1] = setting
  end
  return moonwire.serve { script = "scripts/gate.lua", options = options }
end

local function events_of(place)
  local list = {}
  for line in io.lines(place.path .. "/events") do
    list[#list + 1] = assert(json.decode(line))
  end
  return list
end

local function wait_for_event(place, name)
  return condition.wait_until(function()
    for _, event in ipairs(events_of(place)) do
      if event.event == name then
        return event
      end
    end
  end, 20)
end

-- What a client gets that says this; nil: it was thrown out, perhaps at once.
local function ask(address, text)
  local conn <close> = net.connect(address, { read_timeout = 20 })
  if not conn then
    return nil
  elseif text then
    conn:write(text)
  end
  conn:shutdown_write()
  return (conn:read_all())
end

-- The script's last words with a setting that it does not take.
local function fault_of(...)
  local options = {}
  for _, setting in ipairs { ... } do
    table.move({ "--set", setting }, 1, 2, #options + 1, options)
  end
  local status, errors = moonwire.run {
    script = "scripts/gate.lua", listen = { "tcp://127.0.0.1:0" }, options = options,
  }
  assert.equal(1, status, errors)
  return errors
end

describe("scripts/gate.lua", function()
  local place

  before_each(function()
    place = folder.new()
  end)

  after_each(function()
    place:remove()
  end)

  it("plays the scene", function()
    local _ <close>, address = start_server(function(conn)
      task.sleep(GREETING_SECONDS)
      lines(conn)
    end)
    local gate <close> = start_gate(place, {
      "upstream=" .. address, "server_first=true",
      "rules.1.name=evil", "rules.1.bytes=evil", "rules.1.action=ban",
    })
    scene.play("spec/scenes/gate.scene", { server = gate.address })
    local ban = wait_for_event(place, "ban")
    assert.equal("evil", ban.rule)
    assert.equal("127.0.0.1", ban.client)
    assert.is_nil(ask(gate.address))
    assert.equal("evil", wait_for_event(place, "banned").detail)
    wait_for_event(place, "early")
  end)

  it("passes on without rules, and tells how much", function()
    local _ <close>, address = start_server()
    local gate <close> = start_gate(place, { "upstream=" .. address })
    assert.equal("220 lines\r\nyou said a\r\n", ask(gate.address, "a\n"))
    local closed = wait_for_event(place, "closed")
    assert.equal(2, closed.sent)
    assert.equal(23, closed.received)
    assert.equal(address, wait_for_event(place, "open").upstream)
  end)

  it("keeps networks out that are denied, from a file that changes", function()
    local _ <close>, address = start_server()
    local path = place:write("deny", "127.0.0.2\n")
    local gate <close> = start_gate(place, { "upstream=" .. address, "deny_file=" .. path })
    assert.equal("220 lines\r\n", ask(gate.address))
    place:write("deny", "127.0.0.0/8 # all of us\n")
    condition.wait_until(function() return ask(gate.address) ~= "220 lines\r\n" end, 20)
    wait_for_event(place, "network")
  end)

  it("limits connections, and their rate", function()
    local _ <close>, address = start_server()
    local gate <close> = start_gate(place, { "upstream=" .. address, "connections=1" })
    local first <close> = assert(net.connect(gate.address))
    assert.equal("220 lines", first:read_line())
    assert.is_nil(ask(gate.address))
    wait_for_event(place, "connections")
    first:close()
    condition.wait_until(function() return ask(gate.address) == "220 lines\r\n" end, 20)
    local slow <close> = start_gate(place, { "upstream=" .. address, "rate=0.001", "burst=2" })
    assert.equal("220 lines\r\n", ask(slow.address))
    assert.equal("220 lines\r\n", ask(slow.address))
    assert.is_nil(ask(slow.address))
    wait_for_event(place, "rate")
  end)

  it("bans who does too much of what is refused", function()
    local _ <close>, address = start_server()
    local gate <close> = start_gate(place, {
      "upstream=" .. address, "expect=ssh", "rules.1.name=prober", "rules.1.event=protocol",
      "rules.1.times=2", "rules.1.seconds=1000", "rules.1.action=ban",
    })
    for _ = 1, 3 do
      assert.is_nil(ask(gate.address, "GET / HTTP/1.1\r\n\r\n"))
    end
    assert.equal("prober", wait_for_event(place, "ban").rule)
    assert.is_nil(ask(gate.address, "SSH-2.0-x\r\n"))
    wait_for_event(place, "banned")
  end)

  it("trusts whom it is told to", function()
    local _ <close>, address = start_server()
    local gate <close> = start_gate(place, {
      "upstream=" .. address, "connections=1", "deny.1=0.0.0.0/0", "trust.1=127.0.0.1",
      "rules.1.name=evil", "rules.1.bytes=evil",
    })
    local first <close> = assert(net.connect(gate.address))
    assert.equal("220 lines", first:read_line())
    assert.equal("220 lines\r\nyou said evil\r\n", ask(gate.address, "evil\n"))
  end)

  it("routes by what clients of TLS ask for, without its key", function()
    local _ <close>, one = start_server(function(conn)
      assert(conn:start_tls())
      conn:write("one ", conn:tls().server_name)
    end, { tls = "auto" })
    local _ <close>, other = start_server(function(conn)
      assert(conn:start_tls())
      conn:write("other ", conn:tls().server_name)
    end, { tls = "auto" })
    local gate <close> = start_gate(place, {
      "routes.1.server_name=one.example", "routes.1.upstream=" .. one,
      "routes.2.server_name=*.example", "routes.2.protocol=h2", "routes.2.upstream=" .. other,
    })
    local function visit(name, protocols)
      local conn <close> = net.connect((gate.address:gsub("^tcp", "tls")), {
        tls = { verify = "none", name = name, protocols = protocols },
      })
      return conn and conn:read_all()
    end
    assert.equal("one one.example", visit "one.example")
    assert.equal("other two.example", visit("two.example", { "h2" }))
    assert.is_nil(visit "two.example")
    assert.equal("two.example", wait_for_event(place, "no_route").detail)
    assert.is_nil(ask(gate.address, "GET / HTTP/1.1\r\n\r\n"))
    wait_for_event(place, "protocol")
  end)

  it("takes PROXY headers from whom it may, and gives them on", function()
    local _ <close>, address = start_server(function(conn)
      conn:write(conn:peer_address(), " ", conn:proxy().version)
    end, { proxies = { "127.0.0.1" } })
    for version = 1, 2 do
      local gate <close> = start_gate(place, {
        "upstream=" .. address, "proxy=" .. version, "proxies.1=127.0.0.1", "deny.1=192.0.2.9",
      })
      local function visit(client)
        local conn <close> = assert(net.connect(gate.address, {
          proxy_header = { source = client, destination = "127.0.0.1:80" },
        }))
        return conn:read_all()
      end
      assert.equal("192.0.2.1:7 " .. version, visit "192.0.2.1:7")
      assert.is_nil(visit "192.0.2.9:7")
      assert.equal("", ask(gate.address, "no header") or "")
    end
  end)

  it("has clients without an address, which no network, ban or header can name", function()
    local _ <close>, address = start_server(function(conn)
      conn:write(conn:proxy().address == conn:peer_address() and "nobody" or conn:peer_address())
    end, { proxies = { "127.0.0.1" } })
    for version = 1, 2 do
      local gate <close> = moonwire.serve {
        script = "scripts/gate.lua", listen = { "unix://" .. place.path .. "/gate" .. version },
        options = {
          "--set", "upstream=" .. address, "--set", "proxy=" .. version, "--set", "deny.1=0.0.0.0/0",
          "--set", "rules.1.name=all", "--set", "rules.1.event=open", "--set", "rules.1.times=1",
          "--set", "rules.1.seconds=1000", "--set", "rules.1.action=ban",
        },
      }
      assert.equal(version == 1 and "nobody" or "unix://", ask(gate.address))
      assert.equal("", ask(gate.address) or "")
      gate:wait_for_log "event=ban"
    end
  end)

  it("holds in a tarpit whom it refuses, if it shall", function()
    local _ <close>, address = start_server()
    local gate <close> = start_gate(place, {
      "upstream=" .. address, "deny.1=127.0.0.1", "refuse=tarpit", "tarpit.drip=z", "tarpit.interval=0.01",
    })
    local conn <close> = assert(net.connect(gate.address, { read_timeout = 20 }))
    assert.equal("zz", conn:read(2))
    wait_for_event(place, "tarpit")
  end)

  it("looks at what the server says first", function()
    local _ <close>, address = start_server()
    local gate <close> = start_gate(place, { "upstream=" .. address, "server_begins=SSH-2.0-" })
    assert.is_nil(ask(gate.address))
    wait_for_event(place, "server_protocol")
    local good <close> = start_gate(place, { "upstream=" .. address, "server_begins=220 l" })
    assert.equal("220 lines\r\n", ask(good.address))
  end)

  it("ends a connection when the server is not there", function()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local address = "tcp://" .. listener:local_address()
    listener:close()
    local gate <close> = start_gate(place, { "upstream=" .. address })
    assert.is_nil(ask(gate.address))
    assert.matches("refused", wait_for_event(place, "unreachable").detail)
  end)

  it("does not start with settings that are none", function()
    local upstream = "upstream=tcp://127.0.0.1:1"
    assert.matches("unknown option 'upstreem'", fault_of "upstreem=x")
    assert.matches("upstream = an address, or routes, expected", fault_of())
    assert.matches("proxy = 0, 1 or 2", fault_of(upstream, "proxy=3"))
    assert.matches("rule 1: 'name': string expected", fault_of(upstream, "rules.1.bytes=x"))
    assert.matches("here: no network", fault_of(upstream, "deny.1=here"))
    assert.matches("option 'expect': one of http, ssh, tls", fault_of(upstream, "expect=ftp"))
  end)

  it("meets new code in the middle of what goes on: bans stay, new rules hold", function()
    local config = [[
      service "gate" {
        listen = "tcp://127.0.0.1:0", script = "%s",
        settings = {
          upstream = "%s", client_begins = "HELO", first_timeout = 30, trust = { "127.0.0.9" },
          rules = { { name = "word", bytes = "%s", action = "ban" } },
        },
      }
    ]]
    local script = lfs.currentdir() .. "/scripts/gate.lua"
    local _ <close>, address = start_server()
    local d <close> = daemon.start { config = config:format(script, address, "old word"), workers = 2 }
    local gate = d:address "gate"
    local talking <close> = assert(net.connect(gate, { read_timeout = 20 }))
    talking:write "HELO\n"
    assert.equal("220 lines", talking:read_line())
    local silent <close> = assert(net.connect(gate, { read_timeout = 20 }))
    condition.wait_until(function()
      local count = 0
      for _, entry in ipairs(d:services "gate") do
        count = count + entry.connections
      end
      return count >= 2
    end, 20)
    d:configure(config:format(script, address, "new word"))
    assert.is_true(d:reload().ok)
    silent:write "HELO\n"
    assert.equal("220 lines", silent:read_line())
    assert.equal("you said HELO", silent:read_line())
    assert.equal("you said HELO", talking:read_line())
    talking:write "more\n"
    assert.equal("you said more", talking:read_line())
    silent:write "a new word\n"
    assert.is_nil((silent:read_line()))
    d:wait_for_log "event=ban"
    assert.is_nil((talking:read_line())) -- of the same client, in the old code
    -- Both workers know it.
    for _ = 1, 10 do
      condition.wait_until(function() return ask(gate, "HELO\n") == nil end, 20)
    end
    assert.is_true(d:reload().ok)
    for _ = 1, 10 do
      assert.is_nil(ask(gate, "HELO\n"))
    end
  end)
end)
