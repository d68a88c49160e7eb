-- A server of POP3: its dialogues, and its limits.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local net = require "moonwire.net"
local pop3 = require "moonwire.pop3"
local scene = require "spec.support.scene"
local server = require "spec.pop3.server"
local task = require "moonwire.task"
local text = require "moonwire.pop3.text"

local FIRST <const> = "Subject: one\r\n\r\n.\r\n.dots\r\ntext\r\n"
local SECOND <const> = "Subject: two\r\n\r\nwords\r\n\r\n\r\n"

describe("a server of POP3", function()
  local place, box, listener, address

  before_each(function()
    place = folder.new()
    box = server.box(place)
  end)

  after_each(function()
    if listener then
      listener:close()
    end
    box:close()
    place:remove()
  end)

  local function start(options, listening)
    listener, address = server.start(place, options, listening)
  end

  local function connect()
    local conn = assert(net.connect(address, { read_timeout = 20 }))
    assert.matches("^%+OK ", conn:read_line())
    return conn
  end

  local function ask(conn, ...)
    conn:write(table.concat({ ... }, " "), "\r\n")
    return conn:read_line()
  end

  local function login(conn)
    assert.matches("^%+OK", ask(conn, "USER ann"))
    return ask(conn, "PASS secret word")
  end

  -- All lines up to the dot.
  local function read_lines(conn)
    local lines = {}
    for line in conn:lines() do
      if line == "." then
        return lines
      end
      lines[#lines + 1] = line:gsub("^%.", "")
    end
  end

  it("shows a mailbox, and removes what it is told to", function()
    assert(box:deliver(FIRST))
    assert(box:deliver(SECOND))
    start()
    scene.play("spec/scenes/pop3_reading.scene", { server = address })
    assert.are.equal(1, #assert(box:list()))
  end)

  it("refuses what is wrong, and ends with who does it again and again", function()
    assert(box:deliver(FIRST))
    assert(box:deliver(SECOND))
    start { errors_max = 10 }
    scene.play("spec/scenes/pop3_refusals.scene", { server = address })
    assert.are.equal(2, #assert(box:list()))
  end)

  it("ends with who sends endless lines", function()
    start()
    local conn <close> = connect()
    conn:write(("x"):rep(300))
    assert.are.equal("-ERR the line is too long", conn:read_line())
    assert.is_nil(conn:read_line())
  end)

  it("ends with who says nothing, before the login and behind it", function()
    assert(box:deliver(FIRST))
    start { login_timeout = 0.05, idle_timeout = 0.05 }
    local conn <close> = connect()
    assert.is_nil(conn:read_line())
    start { idle_timeout = 0.05 }
    local other <close> = connect()
    other:write "USER ann\r\nPASS secret word\r\nDELE 1\r\n"
    assert.matches("^%+OK", other:read_line())
    assert.are.equal("+OK 1 messages", other:read_line())
    assert.are.equal("+OK", other:read_line())
    assert.is_nil(other:read_line())
    assert.are.equal(1, #assert(box:list()))
    local lock <close> = assert(box:lock { timeout = 10 }) -- it has let go
    assert.is_not_nil(lock)
  end)

  it("makes the mailbox of a user who has none", function()
    place:remove()
    place = folder.new()
    start()
    local conn <close> = connect()
    assert.are.equal("+OK 0 messages", login(conn))
    assert.are.equal("+OK 0 0", ask(conn, "STAT"))
    assert.are.equal("+OK", ask(conn, "LIST"))
    assert.are.equal(".", conn:read_line())
  end)

  it("shows the oldest messages of too many", function()
    for i = 1, 5 do
      assert(box:deliver("Subject: " .. i .. "\r\n"))
    end
    start { messages_max = 3 }
    local conn <close> = connect()
    assert.are.equal("+OK 3 messages", login(conn))
    assert.matches("^%+OK", ask(conn, "RETR 3"))
    assert.are.same({ "Subject: 3" }, read_lines(conn))
    assert.are.equal("-ERR no such message", ask(conn, "RETR 4"))
  end)

  it("does not see what comes during a session, and bears what goes", function()
    assert(box:deliver(FIRST))
    place:write("ann/new/1.other", "no size\nin the name\n")
    start()
    local conn <close> = connect()
    login(conn)
    assert(box:deliver(SECOND))
    assert.are.equal("+OK 2 54", ask(conn, "STAT"))
    local messages = assert(box:list())
    assert(box:set_flags(messages[1], "S"))
    assert.are.equal("+OK 22 octets", ask(conn, "RETR 1"))
    assert.are.same({ "no size", "in the name" }, read_lines(conn))
    assert(box:remove(messages[1]))
    assert.matches("^%-ERR %[SYS/TEMP%] ", ask(conn, "RETR 1"))
    assert.are.equal("+OK", ask(conn, "DELE 1"))
    assert.are.equal("+OK bye", ask(conn, "QUIT"))
    assert.are.equal(2, #assert(box:list()))
  end)

  it("gives names that clients can bear to messages whose files have odd ones", function()
    local long = ("x"):rep(100)
    for _, name in ipairs { "1.good", "2." .. long, "3.a b", "4.\xC3\xBC" } do
      place:write("ann/new/" .. name, "text\n")
    end
    start()
    local conn <close> = connect()
    login(conn)
    assert.are.equal("+OK", ask(conn, "UIDL"))
    local lines, seen = read_lines(conn), {}
    assert.are.equal("1 1.good", lines[1])
    for i, line in ipairs(lines) do
      local uid = line:match("^" .. i .. " ([!-~]+)$")
      assert.is_true(uid and #uid <= 70 and not seen[uid], line)
      seen[uid] = true
    end
    assert.are.equal(4, #lines)
  end)

  it("takes passwords with TLS only, and nothing that was sent in clear behind STLS", function()
    local ca = authority.new(place)
    local pair = ca:issue { "localhost", "127.0.0.1" }
    start({ clear_passwords = false, starttls = true },
      { tls = { certificate = pair.certificate, key = pair.key } })
    local conn <close> = connect()
    assert.matches("^%-ERR %[AUTH%] ", ask(conn, "USER ann"))
    ask(conn, "CAPA")
    local before = table.concat(read_lines(conn), " ")
    assert.is_true(before:find("STLS", 1, true) and not before:find("USER", 1, true))
    assert.matches("^%+OK", ask(conn, "STLS"))
    assert(conn:start_tls { authorities = ca.file })
    ask(conn, "CAPA")
    local behind = table.concat(read_lines(conn), " ")
    assert.is_true(behind:find("USER", 1, true) and not behind:find("STLS", 1, true))
    assert.are.equal("-ERR no TLS here", ask(conn, "STLS"))
    assert.are.equal("+OK 0 messages", login(conn))

    local injector <close> = connect()
    injector:write "STLS\r\nCAPA\r\n"
    assert.matches("^%+OK", injector:read_line())
    assert.is_nil(injector:read_line())
  end)

  it("waits for a client that reads slowly, without holding much", function()
    assert(box:deliver(("x"):rep(1000) .. "\r\n" .. (("y"):rep(76) .. "\r\n"):rep(20000)))
    start()
    local conn <close> = connect()
    login(conn)
    assert.matches("^%+OK %d+ octets", ask(conn, "RETR 1"))
    task.sleep(0.05)
    assert.are.equal(20001, #read_lines(conn))
    assert.are.equal("+OK bye", ask(conn, "QUIT"))
  end)

  it("ends with a client that does not read", function()
    local draft <close> = assert(box:draft())
    for _ = 1, 16 do
      assert(draft:write((("y"):rep(1022) .. "\r\n"):rep(1024)))
    end
    assert(draft:commit())
    start(nil, { write_timeout = 0.1 })
    local conn <close> = connect()
    login(conn)
    conn:write "RETR 1\r\n"
    local lock <close> = assert(box:lock { timeout = 20 })
    assert.is_not_nil(lock)
  end)

  it("refuses settings that make no sense", function()
    local policy = { on_login = print }
    for problem, call in pairs {
      ["bad argument #1 to 'service' (table expected, got nil)"] = function() pop3.service(nil) end,
      ["bad argument #1 to 'service' (a policy has a function 'on_login', or"] =
        function() pop3.service {} end,
      ["bad argument #2 to 'service' (the function 'on_user' and the option 'credentials' belong"] =
        function() pop3.service { on_login = print, on_user = print } end,
      ["bad argument #2 to 'service' (option 'credentials': what sasl.credentials returns expected)"] =
        function() pop3.service({ on_user = print }, { credentials = {} }) end,
      ["bad argument #2 to 'service' (option 'mechanisms': no mechanism 'CRAM-MD5')"] =
        function() pop3.service(policy, { mechanisms = { "CRAM-MD5" } }) end,
      ["bad argument #1 to 'service' (unknown option 'on_logon'"] =
        function() pop3.service { on_logon = print } end,
      ["bad argument #2 to 'service' (unknown option 'tls'"] =
        function() pop3.service(policy, { tls = true }) end,
      ["bad argument #2 to 'service' (option 'greeting': visible ASCII expected)"] =
        function() pop3.service(policy, { greeting = "hello\r\n" }) end,
      ["bad argument #2 to 'service' (option 'failure_delay': seconds from 0 to 60 expected)"] =
        function() pop3.service(policy, { failure_delay = -1 }) end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.is_not_nil(message:find(problem, 1, true), message)
      assert.matches("pop3_spec", message)
    end
  end)
end)

describe("the text of a message", function()
  -- What is sent of a text that is read in pieces of a size.
  local function sent(content, size, count)
    local a, b = net.pair()
    local at = 1
    assert(text.send(a, { read = function()
      local from = at
      at = from + size
      if from > #content then
        return nil, "eof", "eof"
      end
      return content:sub(from, at - 1)
    end }, count))
    a:shutdown_write()
    return b:read_all()
  end

  it("is the same however it is cut", function()
    local content = "A: b\n..\r\n\r\n.\n.x\r\r\n\r\nlast."
    local tops = {
      [0] = "A: b\r\n...\r\n\r\n.\r\n", "A: b\r\n...\r\n\r\n..\r\n.\r\n",
      "A: b\r\n...\r\n\r\n..\r\n..x\r\r\n.\r\n", "A: b\r\n...\r\n\r\n..\r\n..x\r\r\n\r\n.\r\n",
    }
    local whole = "A: b\r\n...\r\n\r\n..\r\n..x\r\r\n\r\nlast.\r\n.\r\n"
    for size = 1, #content do
      assert.are.equal(whole, sent(content, size))
      assert.are.equal(whole, sent(content, size, 4))
      for count = 0, 3 do
        assert.are.equal(tops[count], sent(content, size, count))
      end
    end
    assert.are.equal(".\r\n", sent("", 1))
    assert.are.equal("\r\r\n.\r\n", sent("\r", 1))
    assert.are.equal("a\r\n.\r\n", sent("a", 1, 0))
  end)
end)
