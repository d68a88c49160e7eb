-- scripts/chat.lua with WeeChat and irssi, clients that others made: they register, join, speak and hear, and
-- a reload in mid-conversation is nothing to them.
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

-- irssi on a terminal, which writes down all that it shows of the server.
local function start_irssi(place, port)
  local settings = place:write("config", ([[
servers = ( { address = "127.0.0.1"; port = "%s"; chatnet = "moon"; autoconnect = "yes"; use_tls = "no"; } );
chatnets = { moon = { type = "IRC"; nick = "iris"; }; };
channels = ( { name = "#lobby"; chatnet = "moon"; autojoin = "yes"; } );
settings = {
  core = { real_name = "Iris"; user_name = "iris"; nick = "iris"; };
  "fe-common/core" = {
    autolog = "yes"; autolog_path = "%s/$0.log"; autolog_level = "all"; autolog_colors = "no";
  };
};
]]):format(port, place.path))
  return process.start {
    "/usr/bin/python3", "spec/foreign/on_terminal.py", "irssi", "--home", place.path, "--config", settings,
    stdin = "stream", env = { HOME = place.path, LANG = "C.UTF-8", LC_ALL = "C.UTF-8" },
  }
end

describe("scripts/chat.lua and irssi", function()
  it("talk, also across a reload", function()
    local place <close> = folder.new()
    local d <close> = daemon.start { workers = 1, config = CONFIG:format(lfs.currentdir()) }
    local address = d:address "chat"
    local bob <close> = irc_client(address, "bob")
    bob:write "TOPIC #lobby :about clients\r\n"
    local irssi <close> = start_irssi(place, address:match "%d+$")
    local function await_log(name, text)
      condition.wait_until(function()
        local log = place:read(name .. ".log")
        return log and log:find(text, 1, true)
      end, SECONDS, function()
        return ("no %q in %s:\n%s\n%s"):format(text, name, place:read(name .. ".log") or "", irssi:output())
      end)
    end
    await(bob, "^:iris!~iris@127.0.0.1 JOIN #lobby$")
    await_log("#lobby", "about clients")
    await_log("#lobby", "Irssi: #lobby: Total of 2 nicks")
    irssi.stdin:write "/window goto #lobby\nhello from irssi, größer\n"
    await(bob, "^:iris!%S+ PRIVMSG #lobby :hello from irssi, größer$")
    bob:write "PRIVMSG #lobby :hello yourself\r\nMODE #lobby +o iris\r\n"
    await_log("#lobby", "hello yourself")
    await_log("#lobby", "mode/#lobby [+o iris] by bob")
    assert.is_true(d:reload().ok)
    bob:write "PRIVMSG #lobby :behind the reload\r\nPRIVMSG iris :in private\r\n"
    await_log("#lobby", "behind the reload")
    await_log("bob", "in private")
    irssi.stdin:write "/topic of irssi\n/nick iri\n/whois bob\n/kick bob enough\n"
    await(bob, "^:iris!%S+ TOPIC #lobby :of irssi$")
    await(bob, "^:iris!%S+ NICK :?iri$")
    await(bob, "^:iri!%S+ KICK #lobby bob :?enough$")
    irssi.stdin:write "/quit so long\n"
    bob:write "JOIN #lobby\r\n"
    condition.wait_until(function()
      bob:write "WHOIS iri\r\n"
      return await(bob, " [34][01]1 "):find " 401 "
    end, SECONDS)
  end)
end)
