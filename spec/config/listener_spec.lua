local place = require "spec.config.place"

local function service(listen)
  return ('service "echo" { script = "echo.lua", listen = %s }'):format(listen)
end

local function read(listen)
  return place.good(service(listen)).services[1].listeners
end

local function is_faulty(expected, listen)
  assert.are.equal('DIR/moonwire.lua:1: service "echo": ' .. expected, place.fault(service(listen)))
end

local TCP <const> = { kind = "stream", backlog = 4096, nodelay = true, keepalive = false, v6_only = false }

local function tcp(address, changes)
  local expected = { address = address }
  for _, from in ipairs { TCP, changes or {} } do
    for key, value in pairs(from) do
      expected[key] = value
    end
  end
  return expected
end

describe("a listener", function()
  it("is an address, or a list of them", function()
    assert.are.same({ tcp "tcp://127.0.0.1:7000" }, read '"tcp://127.0.0.1:7000"')
    assert.are.same({ tcp "127.0.0.1:7000", tcp "tcp://[::]:7001", tcp "tcp://*:7002" },
      read '{ "127.0.0.1:7000", "tcp://[::]:7001", "tcp://*:7002" }')
    assert.are.same({}, read "{}")
  end)

  it("is a table with options, or a list in which some are", function()
    assert.are.same({ tcp("tcp://:7000", { backlog = 10, nodelay = false, keepalive = true,
      v6_only = true }) },
      read '{ address = "tcp://:7000", backlog = 10, nodelay = false, keepalive = true, v6_only = true }')
    assert.are.same({ tcp "tcp://:7000", tcp("tcp://:7001", { backlog = 1 }) },
      read '{ "tcp://:7000", { address = "tcp://:7001", backlog = 1 } }')
  end)

  it("has the options that its address has a use for", function()
    assert.are.same({
      { address = "udp://127.0.0.1:53", kind = "datagram", v6_only = false },
      { address = "unix:///run/x.sock", kind = "stream", backlog = 4096, mode = 432 },
      { address = "unix://@name", kind = "stream", backlog = 4096 },
      { address = "fd://300", kind = "stream" },
    },
      read [[{
      "udp://127.0.0.1:53", { address = "unix:///run/x.sock", mode = "660" }, "unix://@name", "fd://300",
    }]])
  end)

  it("may name a door of the script", function()
    local adopted = { address = "fd://300", kind = "stream", door = "a-1" }
    assert.are.same({ tcp("tcp://:7000", { door = "web" }), adopted },
      read '{ { address = "tcp://:7000", door = "web" }, { address = "fd://300", door = "a-1" } }')
    is_faulty('listen[1].door: a letter and up to 14 letters, digits, _ or - expected, got "a b"',
      '{ { address = "tcp://:7000", door = "a b" } }')
    is_faulty("listen.door: does nothing for udp://:1; leave it out",
      '{ address = "udp://:1", door = "web" }')
  end)

  it("has no others", function()
    is_faulty("listen.mode: does nothing for tcp://:1; leave it out",
      '{ address = "tcp://:1", mode = "660" }')
    is_faulty("listen[2].backlog: does nothing for udp://:1; leave it out",
      '{ "udp://:2", { address = "udp://:1", backlog = 5 } }')
    is_faulty("unknown key 'listen.backlogs'; did you mean 'backlog'?",
      '{ address = "tcp://:1", backlogs = 1 }')
  end)

  it("has an address to listen on", function()
    is_faulty('listen: "tcp://127.0.0.1:99999": a port is a number from 0 to 65535; write host:port',
      '"tcp://127.0.0.1:99999"')
    is_faulty('listen: "tcp://localhost:80": give a numeric address, or * for all', '"tcp://localhost:80"')
    is_faulty('listen: tls://127.0.0.1:80 needs certificates; add tls = { certificate = FILE, key = FILE }, '
      .. 'or tls = "auto" to try things out', '"tls://127.0.0.1:80"')
    is_faulty('listen[1].address: an address (such as "tcp://127.0.0.1:7000") or a table with one expected, '
      .. "got nothing", '{ { backlog = 5 } }')
    is_faulty('listen: an address (such as "tcp://127.0.0.1:7000") or a table with one expected, got 80',
      "80")
    is_faulty('listen[2]: an address (such as "tcp://127.0.0.1:7000") or a table with one expected, got true',
      '{ "tcp://:1", true }')
  end)

  it("has permissions that chmod takes", function()
    for _, mode in ipairs { '"668"', "660", '"1777"', '""', '"rw"' } do
      assert.matches('listen%.mode: octal digits in a string %(such as "660"%) expected',
        place.fault(service(('{ address = "unix:///x", mode = %s }'):format(mode))))
    end
  end)

  it("is there once, however it is written", function()
    is_faulty("listen[2]: 127.0.0.1:80 is listened on already, by listen[1]; remove one",
      '{ "tcp://127.0.0.1:80", "127.0.0.1:80" }')
    is_faulty("listen[3]: tcp://[0:0::1]:80 is listened on already, by listen[1]; remove one",
      '{ "tcp://[::1]:80", "tcp://[::1]:81", { address = "tcp://[0:0::1]:80" } }')
    assert.are.equal(3, #read '{ "tcp://127.0.0.1:80", "udp://127.0.0.1:80", "tcp://127.0.0.2:80" }')
    assert.are.equal(2, #read '{ "tcp://127.0.0.1:0", "tcp://127.0.0.1:0" }')
  end)

  it("is of one service", function()
    local other = '\nservice "b" { script = "echo.lua", listen = "127.0.0.1:80" }'
    assert.are.equal('DIR/moonwire.lua:2: service "b": listen: 127.0.0.1:80 is the address of the service '
      .. "\"echo\" at DIR/moonwire.lua:1, too; give one another port",
      place.fault(service '"tcp://127.0.0.1:80"' .. other))
    assert.are.equal(2, #place.good(service '"tcp://127.0.0.1:81"' .. other).services)
  end)
end)
