-- What clients and servers say through a gate, changed at random: it is passed on as it is or refused, in
-- time, and a good client is served afterwards.
local folder = require "spec.support.folder"
local gate = require "moonwire.gate"
local moonwire = require "spec.support.moonwire"
local mutation = require "spec.fuzz.mutation"
local net = require "moonwire.net"
local task = require "moonwire.task"
local test = require "moonwire.test"

local ROUNDS <const> = 300
local AT_A_TIME <const> = 10
local SECONDS <const> = 20

test.deadline(100)

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local HELLO <const> = read "spec/fuzz/corpus/clienthello/tls13"

local SESSIONS <const> = {
  HELLO, "GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "hello\r\nsome evil thing\r\n",
}

local WORDS <const> = {
  "\r\n", "\r", "\n", "\0", "\255", "\22\3\1", "GET ", " HTTP/1.1", "SSH-2.0-", "evil", "ev", "il", " ",
}

local function echo(conn)
  local chunk = conn:read_some()
  while chunk and conn:write(chunk) do
    chunk = conn:read_some()
  end
end

-- What comes back is what was sent, as far as it was let through.
local function perform(address, text)
  local conn <close> = net.connect(address, { read_timeout = SECONDS })
  if not conn then
    return
  end
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
  local answer, _, code = conn:read_all(1024 * 1024)
  assert(code ~= "timeout", "no answer in time")
  assert(not answer or answer == text:sub(1, #answer), "something else came back")
end

local function perform_all(address)
  local texts = {}
  for i = 1, ROUNDS do
    texts[i] = mutation.change(SESSIONS[math.random(#SESSIONS)], math.random(4), WORDS)
  end
  local tasks = {}
  for i = 1, AT_A_TIME do
    tasks[i] = task.spawn(function()
      for k = i, ROUNDS, AT_A_TIME do
        perform(address, texts[k])
      end
      return true
    end)
  end
  for _, one in ipairs(tasks) do
    assert.is_true(one:join(SECONDS * 4))
  end
end

describe("a gate that hears changed sessions", function()
  for _, expected in ipairs { "tls", "http", "ssh", "" } do
    it("and expects " .. (expected == "" and "nothing" or expected), function()
      local place <close> = folder.new()
      local listener <close> = assert(net.serve("tcp://127.0.0.1:0", echo))
      local options = {}
      for _, setting in ipairs {
        "upstream=tcp://" .. listener:local_address(), "first_timeout=5",
        "events=" .. place.path .. "/events",
        "rules.1.name=evil", "rules.1.bytes=evil", "rules.1.direction=both", "connections=false",
        expected ~= "" and "expect=" .. expected or "idle=20",
      } do
        table.move({ "--set", setting }, 1, 2, #options + 1, options)
      end
      local server <close> = moonwire.serve { script = "scripts/gate.lua", options = options }
      math.randomseed(443)
      perform_all(server.address)
      local good = SESSIONS[({ tls = 1, http = 2, ssh = 3, [""] = 2 })[expected]]
      local conn <close> = assert(net.connect(server.address, { read_timeout = SECONDS }))
      conn:write(good)
      conn:shutdown_write()
      assert.are.equal(good, conn:read_all())
      assert.is_nil(server:log():find " error ")
    end)
  end
end)

describe("rules that look at changed pieces", function()
  it("find what a search in the whole finds, within their bounds", function()
    math.randomseed(444)
    for _ = 1, 2000 do
      task.yield()
      local text = {}
      for i = 1, math.random(60) do
        text[i] = ("ab"):sub(math.random(2)):sub(1, 1)
      end
      text = table.concat(text)
      local bytes, within = ("abba"):sub(1, math.random(4)), math.random(60)
      local scanner = gate.rules({ { name = "x", bytes = bytes, within = within } }):scanner "client"
      local at, found = 1, false
      while at <= #text and not scanner:is_done() do
        local size = math.random(8)
        found = scanner:scan(text:sub(at, at + size - 1))[1] ~= nil or found
        at = at + size
      end
      local _, last = text:find(bytes, 1, true)
      assert.are.equal(last ~= nil and last <= within, found)
    end
  end)
end)
