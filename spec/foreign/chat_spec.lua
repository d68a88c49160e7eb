-- scripts/chat.lua with WeeChat, a client that others made: it registers, joins, speaks and hears, and a
-- reload in mid-conversation is nothing to it.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local net = require "moonwire.net"
local process = require "spec.support.process"
local test = require "moonwire.test"

local SECONDS <const> = 30

local CONFIG <const> = [[
service "chat" { script = "%s/scripts/chat.lua", workers = 1, listen = "tcp://127.0.0.1:0" }
]]

local function await(conn, pattern)
  local line
  repeat
    line = assert(conn:read_line())
  until line:find(pattern)
  return line
end

local function irc_client(address, nick)
  local conn = assert(net.connect(address, { read_timeout = SECONDS }))
  assert(conn:write("NICK ", nick, "\r\nUSER ", nick, " 0 * :", nick, "\r\nJOIN #lobby\r\n"))
  await(conn, " 366 ")
  return conn
end

local function start_weechat(place, port)
  local commands = {
    "/set logger.file.flush_delay 0",
    ("/server add moon 127.0.0.1/%s -notls -nonssl -nicks=wee -username=wee"):format(port),
    -- Commands are parted by ";", which is escaped for the command that sets them.
    [[/set irc.server.moon.command /quote JOIN #lobby\;/quote PRIVMSG #lobby :hello from WeeChat\;]]
      .. "/quote WHOIS wee",
    "/connect moon",
  }
  local words = { "weechat-headless", "--dir", place.path, "--stdout", env = { HOME = place.path } }
  for _, command in ipairs(commands) do
    words[#words + 1] = "--run-command"
    words[#words + 1] = command
  end
  return process.start(words)
end

test.deadline(120)

describe("scripts/chat.lua and WeeChat", function()
  it("talk, also across a reload", function()
    local place <close> = folder.new()
    local d <close> = daemon.start { workers = 1, config = CONFIG:format(lfs.currentdir()) }
    local address = d:address "chat"
    local bob <close> = irc_client(address, "bob")
    local weechat <close> = start_weechat(place, address:match "%d+$")
    local function await_log(name, text)
      condition.wait_until(function()
        local log = place:read("logs/irc." .. name .. ".weechatlog")
        return log and log:find(text, 1, true)
      end, SECONDS, function()
        local log = place:read("logs/irc." .. name .. ".weechatlog")
        return ("no %q in %s:\n%s\n%s"):format(text, name, log or "", weechat:output())
      end)
    end
    await(bob, "^:wee!~wee@127.0.0.1 JOIN #lobby$")
    await(bob, " PRIVMSG #lobby :hello from WeeChat$")
    bob:write "PRIVMSG #lobby :hello yourself\r\nTOPIC #lobby :about clients\r\n"
    await_log("moon.#lobby", "hello yourself")
    await_log("moon.#lobby", "about clients")
    assert.is_true(d:reload().ok)
    bob:write "PRIVMSG #lobby :behind the reload\r\nPRIVMSG wee :in private\r\n"
    await_log("moon.#lobby", "behind the reload")
    await_log("moon.bob", "in private")
    await_log("server.moon", "[wee] #lobby")
  end)
end)
