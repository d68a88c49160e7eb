-- Dialogues of POP3, changed at random: each is answered to its end, and a good client is served afterwards.
local condition = require "spec.support.condition"
local core = require "moonwire.core"
local folder = require "spec.support.folder"
local mutation = require "spec.fuzz.mutation"
local net = require "moonwire.net"
local server = require "spec.pop3.server"
local test = require "moonwire.test"

test.deadline(120)

local ROUNDS <const> = 300

local LINES <const> = {
  "CAPA", "USER ann", "PASS secret word", "STAT", "LIST", "LIST 1", "UIDL", "UIDL 2", "RETR 1", "TOP 1 1",
  "DELE 1", "RSET", "NOOP", "TOP 2 0", "RETR 2", "STLS", "USER bob", "PASS x", "DELE 2",
}
local WORDS <const> = {
  "\r\n", "\r", "\n", "\0", " ", "-1", "99999999999", "0", "\xFF", "QUIT\r\n", ".", "%s", "1e9", "0x1", "\t",
}

-- A good dialogue, with four changes at most.
local function lengthen(text, at)
  return text:sub(1, at) .. ("A"):rep(math.random(300)) .. text:sub(at + 1)
end

local function mutate()
  local lines = { "USER ann", "PASS secret word" }
  for i = 3, 3 + math.random(6) do
    lines[i] = LINES[math.random(#LINES)]
  end
  local text = table.concat(lines, "\r\n") .. "\r\n"
  return mutation.change(text, math.random(0, 4), WORDS, lengthen)
end

describe("a server of POP3", function()
  it("answers changed dialogues, and loses nothing by them", function()
    math.randomseed(1939)
    local place <close> = folder.new()
    local box <close> = server.box(place)
    assert(box:deliver "Subject: one\r\n\r\n.\r\ntext\r\n")
    assert(box:deliver "Subject: two\r\n")
    local listener <close>, address = server.start(place, { failures_max = 3 })
    assert.is_not_nil(listener)
    local streams = core.usage().streams
    for _ = 1, ROUNDS do
      local text = mutate():gsub("[Qq][Uu][Ii][Tt]", "NOOP") -- nothing is removed without it
      local conn <close> = assert(net.connect(address, { read_timeout = 20 }))
      conn:write(text)
      conn:shutdown_write()
      local answer, err, code = conn:read_all()
      assert.is_true(answer ~= nil or code == "reset", err)
      for line in (answer or ""):gmatch "([^\r]*)\r\n" do
        assert.is_nil(line:find "lua", line)
      end
      -- The lock is given up when the session has ended.
      local lock <close> = assert(box:lock { timeout = 20 })
      assert.is_not_nil(lock)
    end
    local conn <close> = assert(net.connect(address, { read_timeout = 20 }))
    conn:write "USER ann\r\nPASS secret word\r\nSTAT\r\nQUIT\r\n"
    assert.matches("%+OK 2 39\r\n%+OK bye\r\n$", assert(conn:read_all()))
    conn:close()
    condition.wait_until(function() return core.usage().streams <= streams end, 20)
  end)
end)
