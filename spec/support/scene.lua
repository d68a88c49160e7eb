--- Dialogues as plays: a file that says who sends what and what must come back, performed over real
--- connections.
---
---     # Ann greets.
---     ann< 220 * ready            a line that ann must receive; * is any text
---     ann> HELO ann.example       a line that ann sends, with CRLF behind it
---     ann< 250 <greeting>         <word> catches what stands there
---     ann> NOOP <greeting>        and stands for it in later lines
---     ann~ "DATA\r\n" 00 ff       bytes as they are: quoted (with \r \n \t \0 \\ \"), or in hexadecimal
---     ann! half_close
---     ann! ended                  the peer has ended the connection, and sent nothing more before
---
--- An actor's first line connects it to the address "server". Acts behind `!`: `open NAME` (connects to
--- another address of the table, or to one that is written out), `tls` (starts TLS, without asking who the
--- peer is), `close`, `half_close`, `abort`, `ended`, `quiet` (nothing comes for a tenth of a second).
---
---     scene.play("spec/scenes/smtp_greeting.scene", { server = address })
local net = require "moonwire.net"
local task = require "moonwire.task"

local scene = {}

local LINE_BYTES <const> = 65536
local SECONDS <const> = 20
local QUIET_SECONDS <const> = 0.1

---@class spec.scene.stage
---@field addresses table<string, string>
---@field actors table<string, moonwire.stream>
---@field words table<string, string> what was caught
---@field place string file:line, for messages

local ESCAPES <const> = { r = "\r", n = "\n", t = "\t", ["0"] = "\0", ["\\"] = "\\", ['"'] = '"' }

---@param stage spec.scene.stage
local function fail(stage, message, ...)
  error(("%s: " .. message):format(stage.place, ...), 0)
end

local function connect(stage, actor, address)
  local options = { timeout = SECONDS, read_timeout = SECONDS, tls = { verify = "none" } }
  if not address:find "^tls:" then
    options.tls = nil
  end
  local conn, err = net.connect(address, options)
  stage.actors[actor] = conn or fail(stage, "%s cannot connect: %s", actor, err)
  return conn
end

local function actor_of(stage, actor)
  local address = assert(stage.addresses.server, "no address of the server")
  return stage.actors[actor] or connect(stage, actor, address)
end

-- The text with what was caught in the place of <word>.
local function fill_in(stage, text)
  return (text:gsub("<([%a_][%w_]*)>", stage.words))
end

-- A pattern of Lua for one of a scene, and the words that it catches in their order.
local function compile(stage, text)
  local names = {}
  local pattern = fill_in(stage, text):gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*")
  pattern = pattern:gsub("<([%a_][%w_]*)>", function(name)
    names[#names + 1] = name
    return "(.-)"
  end)
  return "^" .. pattern .. "$", names
end

local function expect_line(stage, actor, text)
  local line, err = actor_of(stage, actor):read_line(LINE_BYTES)
  if not line then
    fail(stage, "%s waits for %q, and gets: %s", actor, text, err)
  end
  local pattern, names = compile(stage, text)
  local caught = table.pack(line:match(pattern))
  if caught[1] == nil then
    fail(stage, "%s waits for %q, and gets %q", actor, text, line)
  end
  for i, name in ipairs(names) do
    stage.words[name] = caught[i]
  end
end

local function send(stage, actor, ...)
  local ok, err = actor_of(stage, actor):write(...)
  if not ok then
    fail(stage, "%s cannot send: %s", actor, err)
  end
end

-- The bytes of `"text\r\n" 00 ff`.
local function bytes_of(stage, text)
  local position, parts = 1, {}
  while position <= #text do
    local quoted, behind = text:match('^%s*"(.-[^\\])"()', position)
    if quoted then
      parts[#parts + 1] = quoted:gsub("\\(.)", ESCAPES)
    else
      local pair
      pair, behind = text:match("^%s*(%x%x)()", position)
      parts[#parts + 1] = string.char(tonumber(pair or fail(stage, "not bytes: %s", text:sub(position)), 16))
    end
    position = text:match("^%s*()", behind)
  end
  return table.concat(parts)
end

local acts = {}

function acts.open(stage, actor, name)
  if stage.actors[actor] then
    stage.actors[actor]:close()
  end
  connect(stage, actor, stage.addresses[name] or name)
end

function acts.tls(stage, actor)
  local ok, err = actor_of(stage, actor):start_tls { verify = "none" }
  if not ok then
    fail(stage, "%s has no TLS: %s", actor, err)
  end
end

function acts.close(stage, actor)
  actor_of(stage, actor):close()
  stage.actors[actor] = nil
end

function acts.abort(stage, actor)
  actor_of(stage, actor):abort()
  stage.actors[actor] = nil
end

function acts.half_close(stage, actor)
  actor_of(stage, actor):shutdown_write()
end

function acts.ended(stage, actor)
  local data, err = actor_of(stage, actor):read_some()
  if data or err == "timeout" then
    fail(stage, "%s waits for the end, and gets %q", actor, data or err)
  end
end

function acts.quiet(stage, actor)
  local conn = actor_of(stage, actor)
  local data, err = task.with_timeout(QUIET_SECONDS, conn.peek_some, conn, LINE_BYTES)
  if err ~= "timeout" then
    fail(stage, "%s waits for nothing, and gets %q", actor, data or err)
  end
end

local verbs = {
  [">"] = function(stage, actor, text) send(stage, actor, fill_in(stage, text), "\r\n") end,
  ["<"] = expect_line,
  ["~"] = function(stage, actor, text) send(stage, actor, bytes_of(stage, fill_in(stage, text))) end,
  ["!"] = function(stage, actor, text)
    local name, argument = text:match "^(%S+)%s*(.-)%s*$"
    local act = acts[name] or fail(stage, "no act: %s", text)
    act(stage, actor, fill_in(stage, argument))
  end,
}

local function perform(stage, line)
  if line:find "^%s*$" or line:find "^#" then
    return
  end
  local actor, verb, text = line:match "^([%a_][%w_]*)([<>~!]) ?(.*)$"
  if not actor then
    fail(stage, "not a line of a scene: %s", line)
  end
  verbs[verb](stage, actor, text)
end

--- Performs a scene, line by line, and closes all its connections. Raises at the first line that does not go
--- as it is written, and names it. Returns what was caught.
---@param path string of the file
---@param addresses table<string, string> where actors connect to by name; `server` is the default
---@param words? table<string, string> what <word> stands for from the beginning
---@return table<string, string> words
function scene.play(path, addresses, words)
  local stage = { addresses = addresses, actors = {}, words = words or {}, place = path }
  local number = 0
  local ok, err = pcall(function()
    for line in io.lines(path) do
      number = number + 1
      stage.place = ("%s:%d"):format(path, number)
      perform(stage, line)
    end
  end)
  for _, conn in pairs(stage.actors) do
    conn:close()
  end
  if not ok then
    error(err, 2)
  end
  return stage.words
end

return scene
