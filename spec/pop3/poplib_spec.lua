-- Python's client reads a mailbox, over TLS.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local process = require "spec.support.process"
local server = require "spec.pop3.server"

local EXPECTED <const> = [[
+OK POP3 ready
True False
False True
+OK 3 messages
3 80065
1 32 Subject: one||.|.dots|text
2 33 Subject: zwei||gr%s|line|.
3 80000 %s
Subject: zwei||gr%s
+OK bye
True
]]

describe("Python's poplib", function()
  it("reads and removes messages over TLS", function()
    local place <close> = folder.new()
    local box <close> = server.box(place)
    local line = ("x"):rep(1998)
    assert(box:deliver "Subject: one\r\n\r\n.\r\n.dots\r\ntext\r\n")
    assert(box:deliver "Subject: zwei\n\ngr\xC3\xBCn\nline\n.\n")
    assert(box:deliver((line .. "\r\n"):rep(40)))
    local ca = authority.new(place)
    local pair = ca:issue { "localhost", "127.0.0.1" }
    local listener <close>, address = server.start(place, { clear_passwords = false, starttls = true },
      { tls = { certificate = pair.certificate, key = pair.key } })
    assert.is_not_nil(listener)
    local status, output, errors = process.run {
      "python3", "spec/pop3/client.py", address:match "%d+$", ca.file, seconds = 30,
      env = { PYTHONIOENCODING = "utf-8" },
    }
    assert.are.equal("", errors)
    assert.are.equal(0, status)
    output = output:gsub("1 %d+ 2 %d+ 3 %d+\n", "")
    local lines = {}
    for i = 1, 40 do
      lines[i] = line
    end
    assert.are.equal(EXPECTED:format("\xC3\xBCn", table.concat(lines, "|"), "\xC3\xBCn"), output)
    assert.are.equal(2, #assert(box:list()))
  end)
end)
