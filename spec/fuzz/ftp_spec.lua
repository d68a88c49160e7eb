-- Recorded sessions of FTP, changed at random: the server answers or ends, in time, loses nothing, and serves
-- a good client afterwards.
local codec = require "moonwire.codec"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local ftp = require "moonwire.ftp"
local glob = require "moonwire.ftp.glob"
local mutation = require "spec.fuzz.mutation"
local net = require "moonwire.net"
local talking = require "spec.ftp.talking"
local task = require "moonwire.task"
local test = require "moonwire.test"

local ROUNDS <const> = 300
local AT_A_TIME <const> = 10
local SECONDS <const> = 20

test.deadline(100)

local LOGIN <const> = "USER bob\r\nPASS SECRET\r\n"
local SESSIONS <const> = {
  LOGIN .. "TYPE I\r\nCWD d\r\nPWD\r\nMKD e\r\nRMD e\r\nSIZE x\r\nMDTM x\r\nQUIT\r\n",
  LOGIN .. "EPSV\r\nLIST -la\r\n\255\244\255\242ABOR\r\nREST 5\r\nPASV\r\nRETR x\r\nABOR\r\nSTAT\r\n",
  LOGIN .. "PORT 127,0,0,1,4,1\r\nSTOR y\r\nEPRT |1|127.0.0.1|1025|\r\nAPPE y\r\nNLST *[a-z]?\r\n",
  "FEAT\r\n" .. LOGIN .. "PBSZ 0\r\nPROT P\r\nOPTS MLST type;size;\r\nMLST d\r\nSTAT d\r\nAUTH TLS\r\n",
  LOGIN .. "RNFR x\r\nRNTO z\r\nRNFR z\r\nRNTO x\r\nDELE y\r\nREIN\r\nUSER bob\r\nPASS no\r\nHELP\r\n",
}

local WORDS <const> = {
  "\r\n", "\r", "\n", "\0", "\255", "\255\255", "\255\244\255\242", " ", "/", "..", "../", "*", "[", "]", "%",
  "?", "-", ",", "|", "USER ", "ABOR\r\n", "EPSV\r\n", "LIST\r\n", "RETR ", "STOU\r\n", '"',
  "99999999999999999999",
}

local function mutate(text)
  return mutation.change(text, math.random(4), WORDS)
end

-- Says it all in pieces, and hears it out.
local function perform(address, text)
  local conn <close> = assert(net.connect(address, { read_timeout = SECONDS }))
  local at = 1
  while at <= #text do
    local size = math.random(40)
    if not conn:write(text:sub(at, at + size - 1)) then
      return
    end
    at = at + size
    task.yield()
  end
  conn:shutdown_write()
  local answer, err, code = conn:read_all(1024 * 1024)
  if code == "timeout" or answer and answer:find "%f[^\n]451 " then
    error(("%s after %s"):format(err or answer, codec.url_encode(text)), 0)
  end
end

describe("an FTP server that hears changed sessions", function()
  it("answers or ends, and goes on", function()
    local place <close> = folder.new()
    place:write("d/inside", "x")
    place:write("x", "content")
    local root <close> = assert(file.root(place.path))
    local account = { name = "bob", root = root, may_write = true, quota = assert(ftp.quota(root, 100000)) }
    local open = 0
    local service = ftp.service {
      login = function(name, password)
        if name == "bob" and password == "SECRET" then
          open = open + 1
          return account
        end
      end,
      on_logout = function() open = open - 1 end,
      failure_delay = 0, connect_timeout = 0.05, stall_timeout = 1, tls = "optional",
    }
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", service.connect, { tls = "auto" }))
    local address = "tcp://" .. listener:local_address()
    math.randomseed(959)
    local texts = {}
    for i = 1, ROUNDS do
      texts[i] = mutate(SESSIONS[i % #SESSIONS + 1])
    end
    local group <close> = task.group()
    for first = 1, AT_A_TIME do
      group:spawn(function()
        for i = first, ROUNDS, AT_A_TIME do
          perform(address, texts[i])
        end
      end)
    end
    assert(group:wait(90))
    assert.equal(0, open)
    local client <close> = talking.open(address, "bob", "SECRET")
    assert.matches("^226", client:put("STOR good", "bytes"))
    assert.equal("bytes", client:get "RETR good")
  end)

  it("judges patterns in a time that nobody can stretch", function()
    math.randomseed(2577)
    local signs = { "*", "?", "[", "]", "a", "b", "!", "-", "^" }
    for _ = 1, 300 do
      local pattern, name = {}, {}
      for i = 1, math.random(12) do
        pattern[i] = signs[math.random(#signs)]
        name[i] = signs[math.random(5, 6)]
      end
      assert.is_boolean(glob.matches(table.concat(pattern), table.concat(name)))
    end
    assert.is_false(glob.matches(("*a"):rep(1000) .. "b", ("a"):rep(2000)))
    assert.is_true(glob.matches("[!a-c]*.t[x]t", "data.txt"))
    assert.is_false(glob.matches("[!a-d]*.txt", "data.txt"))
    assert.is_true(glob.matches("[]x]", "]"))
    assert.is_true(glob.matches("a[", "a["))
  end)
end)
