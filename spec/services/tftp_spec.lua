-- scripts/tftp.lua as a user starts it.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local sync = require "moonwire.sync"
local task = require "moonwire.task"
local tftp = require "moonwire.tftp"

local SCRIPT <const> = lfs.currentdir() .. "/scripts/tftp.lua"

local CONFIG <const> = [[
drain = 20
service "tftp" {
  script = "%s", listen = "udp://127.0.0.1:0", workers = 1, settings = { root = "%s", %s },
}
]]

-- A folder that the user nobody may use too.
local function open_folder()
  local place = folder.new()
  os.execute(("chmod 777 '%s'"):format(place.path))
  return place
end

describe("scripts/tftp.lua", function()
  local here

  before_each(function()
    here = open_folder()
  end)

  after_each(function()
    here:remove()
  end)

  local function serve(...)
    local options = { "--set", "root=" .. here.path }
    for _, setting in ipairs { ... } do
      table.move({ "--set", setting }, 1, 2, #options + 1, options)
    end
    return moonwire.serve { script = SCRIPT, listen = { "udp://127.0.0.1:0" }, options = options }
  end

  local function address_of(server)
    return (server.address:gsub("^tcp:", "udp:"))
  end

  it("gives out files, takes none unless it may, and writes a log", function()
    here:write("boot/kernel", ("k"):rep(10000))
    local server <close> = serve()
    assert.are.equal(10000, #tftp.get(address_of(server), "/boot/kernel"))
    assert.are.equal("denied", select(3, tftp.put(address_of(server), "new", "x")))
    assert.are.equal("not_found", select(3, tftp.get(address_of(server), "nothing")))
    server:wait_for_log("transferred .*bytes=10000 kind=read name=/boot/kernel", 20)
    server:wait_for_log("transfer failed .*kind=write name=new .*reason=denied", 20)
    local writing <close> = serve("write=true", "max=100", "permissions=600")
    assert.are.equal(3, (tftp.put(address_of(writing), "new", "abc")))
    assert.are.equal("abc", here:read("new"))
    assert.are.equal("rw-------", lfs.attributes(here.path .. "/new", "permissions"))
    assert.are.equal("exists", select(3, tftp.put(address_of(writing), "new", "abc")))
    assert.are.equal("full", select(3, tftp.put(address_of(writing), "other", ("x"):rep(101))))
  end)

  it("does not start with settings that it does not know", function()
    for setting, problem in pairs {
      ["rot=/"] = "unknown setting 'rot'", ["write=maybe"] = "setting 'write': a boolean expected",
      ["root=/nowhere/at/all"] = "setting 'root': ", ["permissions=9"] = "three octal digits",
      ["block_size=7"] = "8 to 65464",
    } do
      local status, errors = moonwire.run { script = SCRIPT, listen = { "udp://127.0.0.1:0" },
        options = { "--set", "root=/tmp", "--set", setting } }
      assert.are_not.equal(0, status)
      assert.is_not_nil(errors:find(problem, 1, true), errors)
    end
    local status, errors = moonwire.run { script = SCRIPT, listen = { "udp://127.0.0.1:0" } }
    assert.are_not.equal(0, status)
    assert.is_not_nil(errors:find("setting 'root' is missing", 1, true), errors)
  end)

  it("counts the transfers of an address over all workers", function()
    here:write("file", ("x"):rep(10000))
    local config = CONFIG:format(SCRIPT, here.path, "per_address = 6, timeout = 60"):gsub("workers = 1, ", "")
    local server <close> = daemon.start { config = config, workers = 2 }
    local address, given = server:address("tftp", "udp"), 0
    for _ = 1, 16 do
      local socket = assert(net.datagram "udp://127.0.0.1:0")
      assert(socket:send("\0\1file\0octet\0", address))
      local answer = assert(socket:receive(30))
      assert.are.equal(given < 6 and "\0\3" or "\0\5", answer:sub(1, 2))
      given = given + (answer:sub(2, 2) == "\3" and 1 or 0)
    end
    assert.are.equal(6, given)
  end)

  it("lets transfers end while a reload brings new settings", function()
    local server <close> = daemon.start {
      config = CONFIG:format(SCRIPT, here.path, "write = true"),
      workers = 1,
    }
    local address = server:address("tftp", "udp")
    local half, go_on, parts = sync.event(), sync.event(), 4
    local source = { read = function()
      parts = parts - 1
      if parts == 1 then
        half:set()
        go_on:wait(20)
      end
      return parts > 0 and ("x"):rep(65536) or nil, "eof", "eof"
    end }
    local transfer = task.spawn(tftp.put, address, "long", source, { retries = 20 })
    assert.is_true(half:wait(20))
    server:configure(CONFIG:format(SCRIPT, here.path, ""))
    assert.is_true(server:reload().ok)
    condition.wait_until(function()
      return select(3, tftp.put(address, "new", "x")) == "denied"
    end, 20)
    go_on:set()
    assert.are.equal(3 * 65536, (transfer:join(30)))
    assert.are.equal(3 * 65536, #here:read("long"))
  end)
end)
