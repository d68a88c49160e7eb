local condition = require "spec.support.condition"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local ftp = require "moonwire.ftp"
local lfs = require "lfs"
local net = require "moonwire.net"
local process = require "spec.support.process"
local scene = require "spec.support.scene"
local talking = require "spec.ftp.talking"
local task = require "moonwire.task"

describe("an FTP server", function()
  local place, root, listener, account, transfers

  -- Serves the folder with these options, and the account's fields.
  local function serve(options, fields)
    if listener then
      listener:close()
    end
    account = { name = "bob", root = root, may_write = true }
    for key, value in pairs(fields or {}) do
      account[key] = value
    end
    transfers = {}
    local is_right = ftp.users { bob = "SECRET" }
    local whole = {
      login = function(name, password) return is_right(name, password) and account or nil end,
      failure_delay = 0,
      on_transfer = function(_, transfer) transfers[#transfers + 1] = transfer end,
    }
    for key, value in pairs(options or {}) do
      whole[key] = value
    end
    local service = ftp.service(whole)
    listener = assert(net.serve("tcp://127.0.0.1:0", service.connect, { tls = whole.tls and "auto" or nil }))
  end

  local BIG <const> = 20000000 -- bytes: more than sockets hold

  local function write_big()
    local big <close> = assert(root:open("big", "write"))
    assert(big:truncate(BIG))
  end

  local function login()
    return talking.open(listener, "bob", "SECRET")
  end

  before_each(function()
    place = folder.new()
    assert(lfs.mkdir(place.path .. "/root"))
    root = assert(file.root(place.path .. "/root"))
    place:write("outside.txt", "secret")
    serve()
  end)

  after_each(function()
    listener:close()
    listener = nil
    root:close()
    place:remove()
  end)

  it("talks as the scene goes", function()
    scene.play("spec/scenes/ftp.scene", { server = "tcp://" .. listener:local_address() })
    assert.is_string(place:read "root/partial")
  end)

  it("ends after three wrong passwords", function()
    local client <close> = talking.open(listener)
    for _ = 1, 2 do
      client:expect("331", "USER bob")
      client:expect("530", "PASS no")
    end
    client:expect("331", "USER bob")
    client:expect("421", "PASS no")
    assert.is_nil(client.conn:read_line())
  end)

  it("keeps everybody below the root", function()
    assert(os.execute(("ln -s .. %s/root/up; ln -s /etc %s/root/etc"):format(place.path, place.path)))
    local client <close> = login()
    for _, name in ipairs { "../outside.txt", "/../../outside.txt", "up/outside.txt", "etc/passwd", "up" } do
      client:data():close()
      client:expect("550", "RETR " .. name)
    end
    client:expect("550", "CWD up")
    client:expect("550", "CWD etc")
    client:expect("550", "MDTM etc/passwd")
    client:data():close()
    client:expect("550", "STOR up/new")
    client:expect("350", "RNFR up")
    client:expect("550", "RNTO etc/moved")
    assert.equal("secret", place:read "outside.txt")
  end)

  it("is not held up by a FIFO", function()
    assert(os.execute(("mkfifo %s/root/pipe"):format(place.path)))
    local client <close> = login()
    client:data():close()
    client:expect("550", "RETR pipe")
    client:data():close()
    client:expect("550", "STOR pipe")
    client:expect("550", "SIZE pipe")
    assert.matches("^prw", client:get "LIST")
    assert.matches("type=OS.unix=fifo;", client:get "MLSD")
  end)

  it("takes and tells odd names, and none begins a line", function()
    local client <close> = login()
    local names = { " leading", "trailing ", 'quote"s', "\xC3\xBC", "a\nb", "c\rd", "[x]", "-la",
      "\255\254" }
    for _, name in ipairs(names) do
      local sent = name:gsub("[\r\n\255]", { ["\r"] = "\r\0", ["\n"] = "\0", ["\255"] = "\255\255" })
      assert.matches("^226", client:put("STOR " .. sent, name))
      client:expect("213", "SIZE " .. sent)
    end
    assert.equal("a\nb", place:read "root/a\nb")
    assert.equal("c\rd", place:read "root/c\rd")
    assert.equal("\255\254", place:read "root/\255\254")
    for _, text in ipairs { client:get "NLST", client:get "LIST", client:get "MLSD" } do
      assert.equal(#names, select(2, text:gsub("\r\n", "")))
      assert.equal(#names, select(2, text:gsub("\n", "")))
    end
    assert.equal("[x]\r\n", client:get "NLST [[]x*")
    client:expect("257 \"/x\0250 \"\"y\"", "MKD x\0250 \"y")
  end)

  it("resumes in both directions, and appends", function()
    local client <close> = login()
    assert.matches("^226", client:put("STOR x", "0123456789"))
    client:expect("350", "REST 4")
    assert.equal("456789", client:get "RETR x")
    assert.equal("0123456789", client:get "RETR x")
    client:expect("350", "REST 4")
    assert.matches("^226", client:put("STOR x", "abc"))
    assert.equal("0123abc", place:read "root/x")
    assert.matches("^226", client:put("APPE x", "def"))
    assert.equal("0123abcdef", place:read "root/x")
    client:expect("350", "REST 99")
    client:data():close()
    client:expect("554", "STOR x")
    assert.equal("0123abcdef", place:read "root/x")
  end)

  it("sends text with CRLF and stores it with LF", function()
    local client <close> = login()
    client:expect("200", "TYPE A")
    local text = ("line\r\n"):rep(30000)
    assert.matches("^226", client:put("STOR t", text .. "end\r"))
    assert.equal(("line\n"):rep(30000) .. "end\r", place:read "root/t")
    assert.equal(text .. "end\r", client:get "RETR t")
    client:expect("550", "SIZE t")
    client:expect("504", "REST 5")
  end)

  it("makes unique names", function()
    local client <close> = login()
    local names = {}
    for i = 1, 3 do
      local data <close> = client:data()
      names[i] = client:expect("150 FILE: same", "STOU same"):match "FILE: (.*)"
      data:write(i)
      data:close()
      assert.matches("^226", client:reply())
      assert.equal(tostring(i), place:read("root/" .. names[i]))
    end
    assert.equal("same", names[1])
    assert.not_equal(names[2], names[3])
  end)

  it("lets nobody write who may not", function()
    place:write("root/x", "x")
    serve({}, { may_write = false })
    local client <close> = login()
    for _, text in ipairs { "DELE x", "RNFR x", "MKD y", "RMD y", "STOR x", "APPE x", "STOU" } do
      client:expect("550", text)
    end
    assert.equal("x", client:get "RETR x")
    assert.matches("perm=r;", client:say "MLST x")
  end)

  it("keeps a quota, whatever is written and removed", function()
    place:write("root/old", ("x"):rep(60))
    serve({}, { quota = assert(ftp.quota(root, 100)) })
    local client <close> = login()
    assert.matches("^552", client:put("STOR new", ("x"):rep(41)))
    client:expect("250", "DELE new")
    assert.matches("^226", client:put("STOR new", ("x"):rep(40)))
    assert.matches("^552", client:put("APPE new", "x"))
    assert.matches("^226", client:put("STOR old", ("x"):rep(60)))
    client:expect("350", "RNFR new")
    client:expect("250", "RNTO old")
    assert.equal(40, account.quota.used)
  end)

  it("takes a data connection from nobody else", function()
    serve { connect_timeout = 0.3 }
    place:write("root/x", "secret")
    local client <close> = login()
    local port = client:expect("229", "EPSV"):match "|||(%d+)|"
    local thief <close> = assert(net.connect("tcp://127.0.0.1:" .. port, { local_address = "127.0.0.9:0" }))
    client:expect("150", "RETR x")
    assert.is_nil(thief:read_some())
    assert.matches("^425", client:reply())
    client:expect("425", "RETR x")
  end)

  it("connects to the client where it may", function()
    place:write("root/x", "content")
    local client <close> = login()
    local own <close> = assert(net.listen "tcp://127.0.0.1:0")
    local port = math.tointeger(tonumber(own:local_address():match ":(%d+)$"))
    for _, text in ipairs { ("EPRT |1|127.0.0.1|%d|"):format(port),
      ("PORT 127,0,0,1,%d,%d"):format(port >> 8, port & 255) } do
      client:expect("200", text)
      client:expect("150", "RETR x")
      local data <close> = assert(own:accept(20))
      assert.equal("content", data:read_all())
      assert.matches("^226", client:reply())
    end
    serve { active = false }
    local other <close> = login()
    other:expect("504", ("EPRT |1|127.0.0.1|%d|"):format(port))
  end)

  it("hears what is said during a transfer, and answers in order", function()
    write_big()
    local client <close> = login()
    local data <close> = client:data()
    client:expect("150", "RETR big")
    assert.matches("download: %d+ bytes", client:say "STAT")
    client.conn:write("PWD\r\nSIZE big\r\n")
    assert.equal(BIG, #assert(data:read_all(2 * BIG)))
    assert.matches("^226", client:reply())
    assert.matches("^257", client:reply())
    assert.equal("213 " .. BIG, client:reply())
    local second <close> = client:data()
    client:expect("150", "RETR big")
    client:expect("426", "ABOR")
    assert.matches("^226", client:reply())
    client:expect("200", "NOOP")
    assert.same({ 226, 426 }, { transfers[1].reply, transfers[2].reply })
    assert.is_true(second:is_open())
  end)

  it("ends a transfer that stalls, and one whose client is gone", function()
    serve { stall_timeout = 0.2 }
    write_big()
    local client <close> = login()
    local data <close> = client:data()
    client:expect("150", "RETR big")
    assert.matches("^426", client:reply())
    local second = client:data()
    client:expect("150", "STOR y")
    client:close()
    condition.wait_until(function() return #transfers == 2 end, 20)
    assert.equal(426, transfers[2].reply)
    second:close()
    assert.is_true(data:is_open())
  end)

  it("refuses lines without end, and goes when nobody reads", function()
    local client <close> = talking.open(listener)
    client.conn:write(("x"):rep(5000))
    assert.matches("^500", client:reply())
    serve { idle_timeout = 0.2 }
    local idle <close> = login()
    assert.matches("^421", idle:reply())
  end)

  it("speaks TLS on both connections, and nothing said in clear before counts", function()
    serve { tls = "required" }
    place:write("root/x", "content")
    local client <close> = talking.open(listener)
    client:expect("530", "USER bob")
    client:expect("504", "AUTH SSL3")
    client:expect("234", "AUTH TLS")
    assert(client.conn:start_tls { verify = "none" })
    client:expect("331", "USER bob")
    client:expect("230", "PASS SECRET")
    client:data():close()
    client:expect("521", "RETR x")
    client:expect("503", "PROT P")
    client:expect("200", "PBSZ 0")
    client:expect("534", "PROT C")
    client:expect("536", "PROT S")
    client:expect("200", "PROT P")
    client:expect("534", "CCC")
    local data <close> = client:data()
    client:expect("150", "RETR x")
    assert(data:start_tls { verify = "none" })
    assert.equal("content", data:read_all())
    assert.matches("^226", client:reply())
    local injecting <close> = talking.open(listener)
    injecting.conn:write("AUTH TLS\r\nUSER bob\r\n")
    assert.matches("^234", injecting:reply())
    assert.is_nil(injecting.conn:read_line())
  end)

  it("has all of an upload over TLS whose client reads nothing on that connection", function()
    serve { tls = "required" }
    local host, port = listener:local_address():match "^(.*):(%d+)$"
    local status, output, errors = process.run { "python3", "spec/ftp/hasty.py", host, port, 1000000 }
    assert.equal(0, status, errors)
    assert.matches("^226", output)
    assert.equal(1000000, #place:read "root/x")
  end)

  it("may want the session of the control connection on data connections", function()
    serve { tls = "required", require_session_reuse = true }
    place:write("root/x", "content")
    local function begin()
      local client = talking.open(listener)
      client:expect("234", "AUTH TLS")
      assert(client.conn:start_tls { verify = "none", name = "one" })
      client:expect("331", "USER bob")
      client:expect("230", "PASS SECRET")
      client:expect("200", "PBSZ 0")
      client:expect("200", "PROT P")
      return client
    end
    local function transfer(client, options, other)
      local data <close> = client:data()
      client:expect("150", "RETR x")
      local _ = data:start_tls(options, other) and data:read_all()
      return client:reply()
    end
    local client, stranger = begin(), begin()
    for _ = 1, 2 do
      assert.matches("^226", transfer(client, { verify = "none", name = "one" }, client.conn))
    end
    -- Another session, and the one of somebody else.
    assert.matches("^522", transfer(client, { verify = "none", name = "one", least_version = 1.3 }))
    local third = talking.open(listener)
    third:expect("234", "AUTH TLS")
    assert(third.conn:start_tls { verify = "none", name = "three" })
    third:expect("331", "USER bob")
    third:expect("230", "PASS SECRET")
    third:expect("200", "PBSZ 0")
    third:expect("200", "PROT P")
    assert.matches("^522", transfer(third, { verify = "none", name = "one" }, client.conn))
    for _, one in ipairs { client, stranger, third } do
      one:close()
    end
  end)

  it("carries fifty transfers at once", function()
    place:write("root/x", ("0123456789"):rep(100000))
    local group <close> = task.group()
    local done = 0
    for i = 1, 50 do
      group:spawn(function()
        local client <close> = login()
        local data = client:get "RETR x"
        assert.matches("^226", client:put("STOR y" .. i, data))
        done = done + 1
      end)
    end
    assert(group:wait(100))
    assert.equal(50, done)
    assert.equal(1000000, #place:read "root/y50")
  end)

  it("serves curl, wget and Python", function()
    place:write("root/x", ("0123456789"):rep(10000))
    local url = ("ftp://bob:SECRET@%s/"):format(listener:local_address())
    local status, output, errors, _ = process.run { "curl", "-sS", "--range", "99990-", url .. "x" }
    assert.equal(0, status, errors)
    assert.equal("0123456789", output)
    status, _, errors = process.run { "curl", "-sS", "-T", place.path .. "/outside.txt", "--ftp-create-dirs",
      "--ftp-port", "127.0.0.1", url .. "new/deep/y" }
    assert.equal(0, status, errors)
    assert.equal("secret", place:read "root/new/deep/y")
    status, output, errors = process.run { "wget", "-q", "-O", "-", url .. "new/deep/y" }
    assert.equal(0, status, errors)
    assert.equal("secret", output)
    local host, port = listener:local_address():match "^(.*):(%d+)$"
    status, output, errors = process.run { "python3", "-c", [[
import ftplib, sys, io
f = ftplib.FTP(); f.connect(sys.argv[1], int(sys.argv[2]), 20); f.login("bob", "SECRET")
f.mkd('d "x"'); f.cwd('d "x"'); assert f.pwd() == '/d "x"'
f.storbinary("STOR z", io.BytesIO(b"abc")); assert f.size("z") == 3
print([name for name, facts in f.mlsd() if facts["type"] == "file"], f.nlst("*")); f.quit()]], host, port }
    assert.equal(0, status, errors)
    assert.equal("['z'] ['z']\n", output)
  end)

  it("refuses options that are none", function()
    assert.has_error(function() ftp.service { login = print, colour = 1 } end)
    assert.has_error(function() ftp.service {} end)
    assert.has_error(function() ftp.service { login = print, passive_ports = { 5, 4 } } end)
    assert.has_error(function() ftp.users { bob = 1 } end)
  end)
end)
