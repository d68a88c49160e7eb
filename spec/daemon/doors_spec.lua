-- One service with several doors: each listener says by which its connections come in.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"

local SCRIPT <const> = [[
local http = require "moonwire.http"
local function talk(conn, state)
  while true do
    conn:checkpoint(state)
    local line = conn:read_line()
    if not line then return end
    conn:write("%s ", state, " ", line, "\n")
  end
end
return {
  connect = function(conn) talk(conn, "plain") end,
  resume = talk,
  doors = {
    web = http.service(function(request, response) response:send "%s web\n" end),
    late = { options = { defer = true }, connect = function(conn) talk(conn, "late") end },
  },
}
]]

local CONFIG <const> = [[
service "many" {
  script = "many.lua", tls = "auto",
  listen = {
    "unix://FOLDER/plain",
    { address = "unix://FOLDER/web", door = "web" },
    { address = "unix://FOLDER/late", door = "late" },
    { address = "tls://127.0.0.1:0", door = "web" },
  },
}
]]

local function script(version)
  return SCRIPT:format(version, version)
end

local function ask(conn, line)
  assert(conn:write(line, "\n"))
  return conn:read_line()
end

local function get(conn)
  assert(conn:write "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
  assert(conn:read_until "\r\n\r\n")
  return conn:read_line()
end

local function start()
  local d = daemon.start { workers = 1, scripts = { ["many.lua"] = script(1) }, config = "" }
  d:configure((CONFIG:gsub("FOLDER", d.folder.path)))
  assert.is_true(d:reload().ok)
  return d
end

local function connect(d, name)
  return assert(net.connect("unix://" .. d.folder.path .. "/" .. name))
end

describe("the doors of a service", function()
  it("get the connections of the listeners that name them", function()
    local d <close> = start()
    local plain <close> = connect(d, "plain")
    local web <close> = connect(d, "web")
    local late <close> = connect(d, "late")
    assert.equal("1 plain a", ask(plain, "a"))
    assert.equal("1 web", get(web))
    assert.equal("1 late b", ask(late, "b"))
    local address = d:address("many", "tls"):gsub("^tcp", "tls")
    local secure <close> = assert(net.connect(address, { tls = { verify = "none" } }))
    assert.equal("1 web", get(secure))
  end)

  it("are found again by connections that a reload moves", function()
    local d <close> = start()
    local plain <close> = connect(d, "plain")
    local web <close> = connect(d, "web")
    local late <close> = connect(d, "late")
    ask(plain, "a")
    get(web)
    d.folder:write("many.lua", script(2))
    assert.is_true(d:reload().ok)
    assert.equal("2 plain b", ask(plain, "b"))
    assert.equal("2 web", get(web))
    assert.equal("2 late c", ask(late, "c"))
    condition.wait_until(function() return d:services("many")[1].connections == 3 end)
  end)

  it("must be there: a reload without one changes nothing", function()
    local d <close> = start()
    local before = d.folder.path .. "/web"
    d.folder:write("many.lua", "return { connect = function() end }")
    local answer = d:reload()
    assert.is_false(answer.ok)
    local expected = 'the script has no door "web", which is that of unix://' .. before
    assert.is_truthy(answer.error:find(expected, 1, true), answer.error)
    local web <close> = connect(d, "web")
    assert.equal("1 web", get(web))
  end)
end)

describe("moonwire run", function()
  it("takes the name of a door before the address", function()
    local server <close> = moonwire.serve {
      code = script(1), listen = { "tcp://127.0.0.1:0", "web=tcp://127.0.0.1:0", "late=tcp://127.0.0.1:0" },
    }
    local plain <close> = assert(net.connect(server.addresses[1]))
    local web <close> = assert(net.connect(server.addresses[2]))
    local late <close> = assert(net.connect(server.addresses[3]))
    assert.equal("1 plain a", ask(plain, "a"))
    assert.equal("1 web", get(web))
    assert.equal("1 late b", ask(late, "b"))
  end)

  it("says what is wrong with doors", function()
    local place <close> = folder.new()
    for code, expected in pairs {
      ["return { connect = print }"] = "the script has no door 'web'",
      ["return { doors = { web = { resume = print } } }"] =
        "unknown field 'resume' in the table of the door 'web'",
      ["return { doors = { web = {} } }"] = "the door 'web' has no 'connect' or 'request' function",
      ["return { doors = { web = { connect = print, request = print } } }"] =
        "a door 'web' has a 'connect' or a 'request' function, not both",
      ["return { doors = { web = 1 } }"] = "the door 'web' must be a table, not a number",
      ["return { doors = { ['a b'] = { connect = print } } }"] = "a door is named by a letter",
    } do
      local path = place:write("script.lua", code)
      local words = { moonwire.binary, "run", path, "--listen", "web=tcp://127.0.0.1:0" }
      local status, _, errors = process.run(words)
      assert.equal(1, status)
      assert.is_truthy(errors:find(expected, 1, true), errors)
    end
  end)
end)
