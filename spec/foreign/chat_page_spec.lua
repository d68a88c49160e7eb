-- The page of scripts/chat.lua in Chromium, with IRC clients in the same rooms: wide, and as narrow as a
-- telephone, light and dark; and a reload of the daemon while people talk.
local browser = require "spec.support.browser"
local daemon = require "spec.support.daemon"
local json = require "moonwire.json"
local lfs = require "lfs"
local net = require "moonwire.net"
local test = require "moonwire.test"

local SECONDS <const> = 60

local WINDOWS <const> = {
  { width = 1100, height = 700, scheme = "light" }, { width = 1100, height = 700, scheme = "dark" },
  { width = 390, height = 844, scheme = "light" }, { width = 390, height = 844, scheme = "dark" },
}

local CONFIG <const> = [[
service "chat" {
  script = "%s/scripts/chat.lua", workers = 2, settings = { flood_burst = 100, network = "Test" },
  listen = { "tcp://127.0.0.1:0", { address = "tcp://127.0.0.1:0", door = "web" } },
}
]]

local function await(conn, pattern)
  while true do
    local line = assert(conn:read_line())
    if line:find(pattern) then
      return line
    end
  end
end

local function irc_client(address, nick)
  local conn = assert(net.connect(address, { read_timeout = SECONDS }))
  assert(conn:write("NICK ", nick, "\r\nUSER ", nick, " 0 * :", nick, "\r\nJOIN #lobby\r\n"))
  await(conn, " 366 ")
  return conn
end

-- Types into a field and sends its form.
local function fill(page, field, text, form)
  page:evaluate(([[(() => {
    document.getElementById(%s).value = %s
    document.querySelector("#%s button").click()
  })()]]):format(json.encode(field), json.encode(text), form))
end

local function come_in(page, nick)
  page:evaluate(("document.getElementById('nick').value = %s"):format(json.encode(nick)))
  page:evaluate "document.querySelector('#door button').click()"
  page:wait "!document.getElementById('chat').hidden"
  page:wait "document.getElementById('room').textContent === '#lobby'"
end

local function say(page, text)
  fill(page, "text", text, "say")
end

local function shows(page, text)
  page:wait(("document.getElementById('lines').innerText.includes(%s)"):format(json.encode(text)))
end

test.deadline(300)

describe("the page of scripts/chat.lua in Chromium", function()
  local d, chromium, irc, web

  before_each(function()
    d = daemon.start { workers = 2, config = CONFIG:format(lfs.currentdir()) }
    irc, web = nil, nil
    for line in d:log():gmatch "[^\n]+" do
      local address = line:match " listening .*address=(%S+)"
      if address then
        irc, web = irc or "tcp://" .. address, irc and "http://" .. address .. "/" or nil
      end
    end
    chromium = browser.start()
  end)

  after_each(function()
    chromium:stop()
    d:stop()
  end)

  it("fits its windows, in their colours, at the door and inside", function()
    local ann <close> = irc_client(irc, "ann")
    ann:write "TOPIC #lobby :What we talk about, and what not\r\nPRIVMSG #lobby :Is anybody there?\r\n"
    for i, window in ipairs(WINDOWS) do
      local page = chromium:open(web, window)
      assert.is_false(page:overflows())
      come_in(page, "guest" .. i)
      await(ann, "JOIN #lobby$")
      say(page, ("a long word: " .. ("x"):rep(200)))
      say(page, "<b>not bold</b> & größer als 3 €")
      ann:write("PRIVMSG #lobby :welcome, guest", i, "\r\n")
      shows(page, "welcome, guest" .. i)
      shows(page, "<b>not bold</b> & größer als 3 €")
      assert.is_false(page:overflows())
      local is_dark = page:evaluate "getComputedStyle(document.body).backgroundColor" == "rgb(21, 23, 26)"
      assert.equal(window.scheme == "dark", is_dark)
      assert.equal("PNG", page:screenshot():sub(2, 4))
    end
    assert.equal("", chromium:problems())
  end)

  it("talks with IRC clients, in rooms and alone", function()
    local ann <close> = irc_client(irc, "ann")
    local page = chromium:open(web)
    come_in(page, "bob")
    await(ann, "^:bob!web@127.0.0.1 JOIN #lobby$")
    say(page, "hello from the page")
    await(ann, "^:bob!web@127.0.0.1 PRIVMSG #lobby :hello from the page$")
    ann:write "PRIVMSG bob :only for you\r\n"
    page:wait "document.querySelector('#rooms .unread')?.textContent === 'ann'"
    say(page, "/msg ann so it is")
    await(ann, "^:bob!%S+ PRIVMSG ann :so it is$")
    shows(page, "only for you")
    page:evaluate "document.querySelector('#rooms button').click()"
    ann:write "MODE #lobby +v bob\r\n"
    page:wait "[...document.querySelectorAll('#names li')].some(one => one.textContent.startsWith('+bob'))"
    say(page, "/join #other")
    page:wait "document.getElementById('rooms').innerText.includes('#other')"
    say(page, "/nick rob")
    await(ann, "^:bob!%S+ NICK :?rob$")
    page:wait "document.getElementById('state').textContent.includes('rob')"
    assert.equal("", chromium:problems())
  end)

  it("goes on through a reload, and comes back when the connection is gone", function()
    local ann <close> = irc_client(irc, "ann")
    local page = chromium:open(web)
    come_in(page, "bob")
    await(ann, "JOIN #lobby$")
    say(page, "before")
    assert.is_true(d:reload().ok)
    await(ann, "PRIVMSG #lobby :?before$")
    ann:write "PRIVMSG #lobby :after\r\n"
    shows(page, "after")
    page:evaluate "socket.close()"
    await(ann, "^:bob!%S+ QUIT ")
    await(ann, "^:bob!%S+ JOIN #lobby$")
    shows(page, "after")
    say(page, "here again")
    await(ann, "PRIVMSG #lobby :here again$")
    assert.equal("", chromium:problems())
  end)
end)
