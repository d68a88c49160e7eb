--- TFTP (RFC 1350) with options (RFC 2347, 2348, 2349) and windows (RFC 7440), as server and as client.
local check = require "moonwire.check"
local client = require "moonwire.tftp.client"
local files = require "moonwire.tftp.folder"
local link = require "moonwire.tftp.link"
local server = require "moonwire.tftp.server"
local sync = require "moonwire.sync"
local tally = require "moonwire.tally"

local tftp = {}

local MODES <const> = { octet = true, netascii = true }
local BLOCK_LEAST <const>, BLOCK_MOST <const> = 8, 65464
local WINDOW_MOST <const>, INTERVAL_MOST <const> = 65535, 255

---@class moonwire.tftp_transfer
---@field peer string address of the client
---@field kind "read"|"write"
---@field name string as the client sent it
---@field mode "octet"|"netascii"
---@field size? integer bytes that a client means to write, if it has said
---@field bytes? integer at the end, as this and the following: of the file
---@field block_size? integer
---@field window_size? integer
---@field retransmissions? integer
---@field seconds? number
---@field err? string why it failed; nil: it did not
---@field code? moonwire.code

--- What a server does with requests. `read` and `write` may wait.
---@class moonwire.tftp_policy
--- Returns a string, or what has `read(n)` as a file, and its size if known; or nil, err, code. It is
--- closed at the end when it has `close`.
---@field read fun(transfer: moonwire.tftp_transfer): any, any, string?
--- Returns what has `write(chunk)`, `commit()` and `abort()`; or nil, err, code.
---@field write fun(transfer: moonwire.tftp_transfer): any, string?, string?
---@field ended? fun(transfer: moonwire.tftp_transfer) is told of every request when it is over

---@class moonwire.tftp_server_options
---@field transfers? integer at a time, in all workers and all servers of the service; default 100
---@field per_address? integer of these from one address; default 10
---@field timeout? number seconds until the first repetition, which double up to 8; default 1
---@field retries? integer repetitions without an answer, after which it ends; default 5
---@field duration? number|false seconds that a transfer may take; default 3600
---@field interval_most? integer seconds between repetitions that a client may ask for; default 30
---@field block_size? integer bytes of a block at most; default 65464
---@field window_size? integer blocks of a window at most, and never more than 128 KiB; default 64
---@field max? integer bytes of a file that is written; default 67108864

local SERVER_KNOWN <const> = {
  transfers = "integer", per_address = "integer", timeout = "number", retries = "integer",
  duration = "seconds", interval_most = "integer", block_size = "integer", window_size = "integer",
  max = "number",
}

local SERVER_DEFAULTS <const> = {
  transfers = 100, per_address = 10, timeout = 1, retries = 5, duration = 3600, interval_most = 30,
  block_size = BLOCK_MOST, window_size = 64, max = 64 * 1024 * 1024,
}

-- A copy with the defaults; false counts as given.
local function complete(options, defaults)
  local all = {}
  for key, value in pairs(defaults) do
    all[key] = value
  end
  for key, value in pairs(options or {}) do
    all[key] = value
  end
  return all
end

-- What is wrong with numbers whose bounds check.options does not know; nil: nothing.
local function problem_of(all)
  if all.block_size < BLOCK_LEAST or all.block_size > BLOCK_MOST then
    return ("option 'block_size': %d to %d expected"):format(BLOCK_LEAST, BLOCK_MOST)
  elseif all.window_size > WINDOW_MOST then
    return ("option 'window_size': 1 to %d expected"):format(WINDOW_MOST)
  elseif (all.interval or 1) > INTERVAL_MOST then
    return ("option 'interval': 1 to %d expected"):format(INTERVAL_MOST)
  elseif not (all.timeout > 0 and all.timeout <= INTERVAL_MOST) then
    return ("option 'timeout': above 0, and %d at most, expected"):format(INTERVAL_MOST)
  elseif all.max and math.type(all.max) ~= "integer" or (all.max or 0) < 0 then
    return "option 'max': an integer, not negative, expected"
  end
end

---@class moonwire.tftp_server
---@field private policy moonwire.tftp_policy
---@field private limits table
---@field private running table<string, boolean> requests that are served, by what came and from whom
---@field private all moonwire.tally_places with one client, "all"
---@field private hosts moonwire.tally_places
---@field private count integer in this worker
---@field private idle moonwire.event
local Server = { __name = "moonwire.tftp_server" }
Server.__index = Server

--- A server, which answers the datagrams that it is given.
---@param policy moonwire.tftp_policy
---@param options? moonwire.tftp_server_options
---@return moonwire.tftp_server
function tftp.server(policy, options)
  check.type(policy, "table", 1, "server")
  check.options(options, SERVER_KNOWN, 2, "server")
  local limits = complete(options, SERVER_DEFAULTS)
  local problem = problem_of(limits)
  if problem then
    check.refuse(2, "server", problem)
  end
  limits.timeout_most = limits.interval_most
  local idle = sync.event()
  idle:set()
  return setmetatable({
    policy = policy, limits = limits, running = {}, count = 0, idle = idle,
    all = tally.places("tftp transfers", limits.transfers), hosts = tally.places("tftp", limits.per_address),
  }, Server)
end

-- Takes a place, and returns what gives it up, once or at the end of its block; nil: there is none.
local function take_place(self, key, host)
  local of_host = self.hosts:enter(host)
  local of_all = of_host and self.all:enter "all"
  if not of_all then
    return of_host and of_host:close()
  end
  self.running[key], self.count = true, self.count + 1
  self.idle:clear()
  local is_given_up = false
  local function release()
    if is_given_up then
      return
    end
    is_given_up = true
    self.running[key], self.count = nil, self.count - 1
    of_host:close()
    of_all:close()
    if self.count == 0 then
      self.idle:set()
    end
  end
  return setmetatable({ release = release }, { __close = release })
end

--- Answers a datagram, in a task of its own: serves a request to its end, and refuses what is none.
---@param socket moonwire.datagram of the well-known port
---@param data string
---@param peer string its sender
function Server:answer(socket, data, peer)
  check.object(self, Server, "answer")
  check.datagram(socket, 1, "answer")
  check.type(data, "string", 2, "answer")
  check.type(peer, "string", 3, "answer")
  local request, problem = check.try(server.request, socket, data, peer)
  if request == false then
    check.refuse(3, "answer", problem)
  end
  local key, host = peer .. data, link.host(peer)
  if not request or self.running[key] then
    return -- doubled: it is being served
  end
  local transfer = server.transfer(request, peer)
  local place <close> = take_place(self, key, host)
  if not place then
    return server.turn_down(socket, transfer, self.policy, "busy", "too many transfers, try again later")
  end
  server.serve(socket, request, transfer, self.policy, self.limits, place.release)
end

--- How many transfers of this server run, in this worker.
---@return integer
function Server:transfers()
  check.object(self, Server, "transfers")
  return self.count
end

--- Waits until no transfer runs.
---@param seconds? number how long at most; default for ever
---@return true?
---@return string? err
---@return moonwire.code? code "timeout"
function Server:wait(seconds)
  check.object(self, Server, "wait")
  check.optional_seconds(seconds, 1, "wait")
  return self.idle:wait(seconds)
end

---@class moonwire.tftp_folder_options
---@field write? boolean whether files may be written; default false
---@field overwrite? boolean whether files that are there may be replaced; default false
---@field permissions? string of files that are written, three octal digits; default "666" less the umask

local FOLDER_KNOWN <const> = { write = "boolean", overwrite = "boolean", permissions = "string" }

--- A policy for the files of a folder. A file that is written has its name when it is whole.
---@param root moonwire.folder from file.root
---@param options? moonwire.tftp_folder_options
---@return moonwire.tftp_policy
function tftp.folder(root, options)
  check.folder(root, 1, "folder")
  check.options(options, FOLDER_KNOWN, 2, "folder")
  return files.policy(root, options or {})
end

---@class moonwire.tftp_options
---@field mode? "octet"|"netascii" default "octet"
---@field block_size? integer bytes of a block to ask for; default 1428
---@field window_size? integer blocks of a window to ask for; default 8
---@field timeout? number seconds until the first repetition, which double up to 8; default 1
---@field interval? integer seconds between repetitions, on both sides, to ask for; default: as each likes
---@field retries? integer repetitions without an answer, after which it fails; default 5
---@field duration? number|false seconds that a transfer may take; default 3600

---@class moonwire.tftp_get_options: moonwire.tftp_options
---@field into? any where the data goes, such as an open file; default: it is returned
---@field max? integer bytes at most; default 1048576, and without limit with `into`
--- Whether to stay for three times `timeout`, in case the server has not heard that all has come; default
--- false.
---@field linger? boolean

local PUT_KNOWN <const> = {
  mode = MODES, block_size = "integer", window_size = "integer", timeout = "number", interval = "integer",
  retries = "integer", duration = "seconds",
}
local GET_KNOWN <const> = { into = "any", max = "number", linger = "boolean" }
for key, kind in pairs(PUT_KNOWN) do
  GET_KNOWN[key] = kind
end

local DEFAULTS <const> = {
  mode = "octet", block_size = 1428, window_size = 8, timeout = 1, retries = 5, duration = 3600,
}

-- NUL ends a name on the wire, and control bytes are in no name that a script should ask for.
local function is_name(name)
  return type(name) == "string" and name ~= "" and not name:find("%c")
end

--- Fetches a file.
---@param address string of the server: "tftp.example.org", "192.0.2.1:69", "udp://[::1]:6969"
---@param name string
---@param options? moonwire.tftp_get_options
---@return string|integer? data its bytes; with `into` how many they were
---@return string|moonwire.tftp_transfer? result how it went; on failure err
---@return moonwire.code? code "not_found", "denied", "refused", "too_large", "timeout", "protocol"
function tftp.get(address, name, options)
  check.type(address, "string", 1, "get")
  check.options(options, GET_KNOWN, 3, "get")
  local wanted = complete(options, DEFAULTS)
  local problem = problem_of(wanted)
  if problem then
    check.refuse(3, "get", problem)
  elseif not is_name(name) then
    check.refuse(2, "get", "a name without control bytes expected")
  end
  local outcome, result, code = client.get(address, name, wanted)
  if outcome == false then
    check.refuse(1, "get", result)
  end
  return outcome, result, code
end

--- Gives a server a file.
---@param address string of the server
---@param name string
---@param source any a string, or what has `read(n)`, such as an open file
---@param options? moonwire.tftp_options
---@return integer? bytes
---@return string|moonwire.tftp_transfer? result how it went; on failure err
---@return moonwire.code? code "denied", "exists", "full", "refused", "timeout", "protocol", "too_large"
function tftp.put(address, name, source, options)
  check.type(address, "string", 1, "put")
  check.options(options, PUT_KNOWN, 4, "put")
  local wanted = complete(options, DEFAULTS)
  local problem = problem_of(wanted)
  if problem then
    check.refuse(4, "put", problem)
  elseif not is_name(name) then
    check.refuse(2, "put", "a name without control bytes expected")
  end
  local outcome, result, code = client.put(address, name, source, wanted)
  if outcome == false then
    check.refuse(1, "put", result)
  end
  return outcome, result, code
end

return tftp
