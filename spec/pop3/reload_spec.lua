-- Sessions of POP3 that move to new code.
local daemon = require "spec.support.daemon"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local maildir = require "moonwire.maildir"
local net = require "moonwire.net"
local process = require "spec.support.process"
local test = require "moonwire.test"

test.deadline(60)

local SCRIPT <const> = [[
local pop3 = require "moonwire.pop3"
-- %s
return pop3.service({ on_login = function(_, name)
  return name == "ann" and %q
end }, { clear_passwords = true, failure_delay = 0 })
]]

describe("a session of POP3", function()
  it("goes on in new code, with the same messages under the same numbers", function()
    local place <close> = folder.new()
    local path = place.path .. "/ann"
    local box <close> = assert(maildir.open(path, { create = true }))
    for i = 1, 3 do
      assert(box:deliver("Subject: " .. i .. "\r\n"))
    end
    assert.are.equal(0, (process.run { "chmod", "-R", "a+rwX", place.path })) -- workers are nobody
    local d <close> = daemon.start { scripts = { ["pop.lua"] = SCRIPT:format("old", path) }, workers = 1 }
    local early <close> = assert(net.connect(d:address "pop", { read_timeout = 20 }))
    local conn <close> = assert(net.connect(d:address "pop", { read_timeout = 20 }))

    local function ask(line, by)
      by = by or conn
      by:write(line, "\r\n")
      return by:read_line()
    end

    early:read_line()
    conn:read_line()
    assert.are.equal("+OK and the password", ask("USER ann", early))
    assert.are.equal("+OK and the password", ask "USER ann")
    assert.are.equal("+OK 3 messages", ask "PASS any")
    assert.are.equal("+OK", ask "DELE 2")
    local uid = ask "UIDL 3"
    assert(box:remove(assert(box:list())[1]))
    assert(box:deliver "Subject: new\r\n")
    for i = 1, 3 do
      d.folder:write("pop.lua", SCRIPT:format("new " .. i, path))
      local answer = d:reload()
      assert.is_true(answer.ok, answer.error)
      assert.are.equal(uid, ask "UIDL 3")
    end
    assert.are.equal("+OK 2 12", ask "STAT") -- one is gone, and one is marked
    assert.are.equal("-ERR [IN-USE] another session reads this mailbox", ask("PASS any", early))
    assert.are.equal("+OK bye", ask "QUIT")
    assert.are.equal("+OK and the password", ask("USER ann", early))
    assert.are.equal("+OK 2 messages", ask("PASS any", early))
    assert.are.equal(2, #assert(file.list(path .. "/new")))
  end)
end)
