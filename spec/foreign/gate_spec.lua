-- What programs of others make of scripts/gate.lua: curl through it, nmap against it, jq and fail2ban with
-- its events.
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local test = require "moonwire.test"

test.deadline(120)

local FILTER <const> = "config/fail2ban/moonwire-gate.filter.conf"

local function run(...)
  local status, output, errors = process.run { seconds = 60, ... }
  return status, output, errors
end

local function start_gate(place, ...)
  local options = { "--set", "events=" .. place.path .. "/events" }
  for _, setting in ipairs { ... } do
    table.move({ "--set", setting }, 1, 2, #options + 1, options)
  end
  return moonwire.serve { script = "scripts/gate.lua", options = options }
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function wait_for_event(place, name)
  condition.wait_until(function()
    return read(place.path .. "/events"):find('"event":"' .. name .. '"', 1, true)
  end, 20)
end

-- A web server that speaks TLS and says its name.
local function web(name)
  return moonwire.serve {
    listen = { "tls://127.0.0.1:0" },
    code = ([[
      local http = require "moonwire.http"
      local service = http.service(function(request, response) response:send "%s" end)
      return service
    ]]):format(name),
  }
end

describe("a gate", function()
  local place

  before_each(function()
    place = folder.new()
  end)

  after_each(function()
    place:remove()
  end)

  it("leads curl to the server that it asks for, whose certificate it sees", function()
    local one <close> = web "one"
    local other <close> = web "other"
    local gate <close> = start_gate(place, "proxy=0",
      "routes.1.server_name=one.example", "routes.1.upstream=tcp://127.0.0.1:" .. one.port,
      "routes.2.server_name=*.other.example", "routes.2.upstream=tcp://127.0.0.1:" .. other.port)
    local function get(name)
      local status, output = run("curl", "-sk", "--resolve", ("%s:%d:127.0.0.1"):format(name, gate.port),
        ("https://%s:%d/"):format(name, gate.port))
      return status == 0 and output or status
    end
    assert.equal("one", get "one.example")
    assert.equal("other", get "www.other.example")
    assert.equal(35, get "nobody.example") -- the handshake has failed
    assert.not_equal(0, (run("curl", "-s", "http://127.0.0.1:" .. gate.port)))
    wait_for_event(place, "protocol")
  end)

  it("bans nmap, which asks for what is not there; jq and fail2ban read of it", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      conn:write "SSH-2.0-OpenSSH_9.2\r\n"
      conn:read_all(1000)
    end))
    local gate <close> = start_gate(place, "upstream=tcp://" .. listener:local_address(), "expect=ssh",
      "rules.1.name=prober", "rules.1.event=protocol", "rules.1.times=2",
      "rules.1.seconds=1000", "rules.1.action=ban")
    local status, output = run("nmap", "-Pn", "-n", "-sV", "--version-all", "--max-retries", "0", "-p",
      tostring(gate.port), "--host-timeout", "40s", "127.0.0.1")
    assert.equal(0, status, output)
    assert.is_nil(output:find("OpenSSH", 1, true), output)
    wait_for_event(place, "banned")
    local events = place.path .. "/events"
    local good, rules = run("jq", "-r", 'select(.event == "ban") | [.client, .rule] | @tsv', events)
    assert.equal(0, good)
    assert.equal("127.0.0.1\tprober\n", rules)
    good, rules = run("jq", "-s", "length", events)
    assert.equal(0, good)
    assert.is_true(tonumber(rules) > 4)
    local _, found = run("fail2ban-regex", "--usedns=no", events, FILTER)
    local matched = tonumber(found:match "ignored, (%d+) matched")
    local _, expected = run("jq", "-s",
      'map(select(.event | IN("ban", "banned", "rule", "protocol"))) | length', events)
    assert.equal(tonumber(expected), matched, found)
    local dated = tonumber(found:match "%[(%d+)%] \"ts\"")
    assert.equal(select(2, read(events):gsub("\n", "")), dated, found)
  end)

  it("has a jail that fail2ban takes", function()
    local base = place.path .. "/fail2ban"
    for _, path in ipairs { "filter.d", "jail.d", "action.d" } do
      assert(os.execute(("mkdir -p %s/%s"):format(base, path)))
    end
    assert(os.execute("cp " .. FILTER .. " " .. base .. "/filter.d/moonwire-gate.conf"))
    assert(os.execute("cp /etc/fail2ban/fail2ban.conf " .. base))
    local jail = read "config/fail2ban/moonwire-gate.jail.conf"
    place:write("events", "")
    place:write("fail2ban/jail.conf", "")
    place:write("fail2ban/jail.d/moonwire-gate.conf", (jail:gsub("/var/log/moonwire/gate.events",
      place.path .. "/events")))
    local status, output, errors = run("fail2ban-client", "-c", base, "-d")
    assert.equal(0, status, output .. errors)
    assert.matches("moonwire%-gate", output)
    assert.matches("maxretry", output)
  end)
end)
