-- scripts/ftp.lua, started as a user would.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local talking = require "spec.ftp.talking"
local test = require "moonwire.test"

test.deadline(60)

local CONFIG <const> = [[
service "ftp" {
  listen = "tcp://127.0.0.1:0", script = "%s", workers = 1, tls = "auto",
  settings = {
    root = "%s", tls = "optional", users = { bob = "SECRET", ann = { password = "%s", quota = 10 } },
  },
}
]]

local SMALL <const> = [[
service "ftp" {
  listen = "tcp://127.0.0.1:0", script = "%s",
  settings = { root = "%s", users = { ann = "SECRET" }, quota = 20, sessions_per_user = 12 },
}
]]

local function run(place, ...)
  local options = { "--set", "root=" .. place.path, "--set", "users.bob=SECRET" }
  for _, setting in ipairs { ... } do
    table.move({ "--set", setting }, 1, 2, #options + 1, options)
  end
  return moonwire.serve { script = "scripts/ftp.lua", options = options }
end

-- The script's last words with a setting that it does not take.
local function fault_of(place, ...)
  local options = { "--set", "root=" .. place.path }
  for _, setting in ipairs { ... } do
    table.move({ "--set", setting }, 1, 2, #options + 1, options)
  end
  local status, errors = moonwire.run {
    script = "scripts/ftp.lua", listen = { "tcp://127.0.0.1:0" }, options = options,
  }
  assert.equal(1, status, errors)
  return errors
end

describe("scripts/ftp.lua", function()
  local place

  before_each(function()
    place = folder.new()
    assert(lfs.mkdir(place.path .. "/shared"))
  end)

  after_each(function()
    place:remove()
  end)

  it("serves a user, and says who it was", function()
    local server <close> = run(place)
    local client <close> = talking.open(server.address, "bob", "SECRET")
    assert.matches("^226", client:put("STOR x", "content"))
    assert.equal("content", client:get "RETR x")
    client:expect("221", "QUIT")
    server:wait_for_log "login .*good=true tls=false user=bob"
    server:wait_for_log "transfer .*bytes=7 kind=upload path=/x reply=226"
    local other <close> = talking.open(server.address)
    other:expect("331", "USER bob")
    other:expect("530", "PASS secret")
  end)

  it("lets anonymous read, where it may", function()
    place:write("shared/x", "for all")
    local server <close> = run(place, "anonymous=" .. place.path .. "/shared")
    local client <close> = talking.open(server.address, "anonymous", "me@example.org")
    assert.equal("for all", client:get "RETR /x")
    client:expect("550", "DELE x")
  end)

  it("does not start with settings that are none", function()
    assert.matches("unknown option 'rot'", fault_of(place, "users.bob=x", "rot=1"))
    assert.matches("users.NAME = a password expected", fault_of(place))
    assert.matches("users.bob: a password expected", fault_of(place, "users.bob=123"))
    assert.matches("option 'tls': one of off, optional, required", fault_of(place, "users.bob=x", "tls=yes"))
  end)

  it("counts quotas and sessions over all workers", function()
    local script = lfs.currentdir() .. "/scripts/ftp.lua"
    assert(os.execute("chmod -R a+rwX " .. place.path))
    local d <close> = daemon.start { config = SMALL:format(script, place.path), workers = 2 }
    local clients, written = {}, 0
    for i = 1, 12 do
      clients[i] = talking.open(d:address "ftp", "ann", "SECRET")
    end
    for i, client in ipairs(clients) do
      local reply = client:put("STOR " .. i, "12345")
      assert.matches(written < 4 and "^226" or "^552", reply)
      written = written + (reply:find "^226" and 1 or 0)
    end
    local function try()
      local more <close> = talking.open(d:address "ftp")
      more:expect("331", "USER ann")
      return more:say "PASS SECRET"
    end
    assert.are.equal("421 Too many sessions of yours", try())
    clients[1]:expect("221", "QUIT")
    condition.wait_until(function() return try():find "^230" end, 30)
    for i = 1, 12 do
      clients[i]:close()
    end
  end)

  it("moves to new code in the middle of a dialogue, with TLS on", function()
    local script = lfs.currentdir() .. "/scripts/ftp.lua"
    assert(os.execute("chmod -R a+rwX " .. place.path))
    local d <close> = daemon.start { config = CONFIG:format(script, place.path, "OLD"), workers = 1 }
    local client <close> = talking.open(d:address "ftp")
    client:expect("234", "AUTH TLS")
    assert(client.conn:start_tls { verify = "none" })
    client:expect("331", "USER ann")
    client:expect("230", "PASS OLD")
    client:expect("200", "TYPE I")
    client:expect("200", "PBSZ 0")
    client:expect("200", "PROT P")
    client:expect("250", "CWD shared")
    client:expect("350", "REST 1")
    d:configure(CONFIG:format(script, place.path, "NEW"))
    assert.is_true(d:reload().ok)
    place:write("shared/x", "content")
    local data <close> = client:data()
    client:expect("150", "RETR x")
    assert(data:start_tls { verify = "none" })
    assert.equal("ontent", data:read_all())
    assert.matches("^226", client:reply())
    local upload <close> = client:data()
    client:expect("150", "STOR y")
    assert(upload:start_tls { verify = "none" })
    upload:write("more than ten bytes")
    upload:close()
    assert.matches("^552", client:reply())
    local other <close> = talking.open(d:address "ftp", "ann", "NEW")
    other:expect("221", "QUIT")
  end)
end)
