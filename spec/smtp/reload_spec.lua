-- Clients of mail that pass to new code, also when a message has begun.
local daemon = require "spec.support.daemon"
local net = require "moonwire.net"

local POST <const> = [[
local log = require "moonwire.log"
local smtp = require "moonwire.smtp.server"
return smtp.service({
  on_connect = function(session)
    session.data.first = "%s"
    return true
  end,
  on_message = function(session, envelope)
    local size = 0
    return {
      write = function(_, chunk) size = size + #chunk return true end,
      commit = function()
        return true, ("%s %%s %%s %%d"):format(session.data.first, envelope.sender, #envelope.recipients)
      end,
    }
  end,
  on_resume = function(session) log.info("has come", { hello = session.hello }) end,
  on_close = function(session) log.info("has left", { hello = session.hello }) end,
}, { hostname = "mx.example.org" })
]]

local function expect(conn, pattern)
  local line = assert(conn:read_line())
  assert.matches(pattern, line)
end

describe("clients of mail that move to new code", function()
  it("go on with the message that they have begun", function()
    local d <close> = daemon.start { scripts = { ["post.lua"] = POST:format("old", "old") }, workers = 1 }
    local conn <close> = assert(net.connect(d:address "post", { read_timeout = 20 }))
    expect(conn, "^220 ")
    conn:write "HELO a\r\nMAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\nRCPT TO:<b"
    expect(conn, "^250 ")
    expect(conn, "^250 ")
    expect(conn, "^250 ")
    d.folder:write("post.lua", POST:format("new", "new"))
    assert.is_true(d:reload().ok)
    d:wait_for_log "has come [^\n]*hello=a"
    assert.not_matches("has left", d:log())
    conn:write "en@example.net>\r\nDATA\r\n"
    expect(conn, "^250 ")
    expect(conn, "^354 ")
    conn:write "x\r\n.\r\nQUIT\r\n"
    expect(conn, "^250 2.0.0 new old ann@example.org 2$")
    expect(conn, "^221 ")
    assert.equal("", conn:read_all())
  end)

  it("are told when the daemon stops", function()
    local d <close> = daemon.start { scripts = { ["post.lua"] = POST:format("old", "old") }, workers = 1 }
    local conn <close> = assert(net.connect(d:address "post", { read_timeout = 20 }))
    expect(conn, "^220 ")
    conn:write "HELO a\r\nMAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\nx\r\n"
    expect(conn, "^250 ")
    expect(conn, "^250 ")
    expect(conn, "^250 ")
    expect(conn, "^354 ")
    d.process:signal "term"
    expect(conn, "^421 4.3.2 ")
  end)
end)
