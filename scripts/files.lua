-- scripts/files.lua — files by HTTP, both ways: PUT, GET and DELETE, uploads that go on where they stopped.
--
--   build/moonwire run scripts/files.lua --listen tcp://127.0.0.1:8090 --set root=/tmp --set users.bob=SECRET
-- In another terminal:
--   curl -u bob:SECRET -T README.md http://127.0.0.1:8090/        and -C N to go on behind byte N,
--   curl -u bob:SECRET -I http://127.0.0.1:8090/README.md?upload  which is Upload-Offset here
--   curl -u bob:SECRET -C - -O http://127.0.0.1:8090/README.md
--   curl -u bob:SECRET http://127.0.0.1:8090/README.md?checksum | sha256sum -c
--
-- Settings (ctx.config):
--   root               path                 the folder that users see as "/"; needed
--   users              name → password      or a hash of http.auth.hash_password, or a table:
--     users.N.password text, none           for Basic
--     users.N.token    text, none           for Bearer
--     users.N.root     path                 instead of `root`
--     users.N.quota    bytes                instead of `quota`
--     users.N.write    boolean              instead of `write`
--   anonymous          path, none           what those without a name may read
--   write              boolean, true        whether users may change anything
--   quota              bytes, none          that may lie below a user's folder
--   max                bytes, none          of a file
--   sync               boolean, true        a file is on the disk when it is answered for
--   keep               seconds, 86400       that what came of a file waits for the rest
--   names              number, 10000        in a folder that is listed
local check = require "moonwire.check"
local codec = require "moonwire.codec"
local cors = require "moonwire.http.cors"
local file = require "moonwire.file"
local http = require "moonwire.http"
local listing = require "files.listing"
local log = require "moonwire.log"
local metrics = require "moonwire.metrics"
local timer = require "moonwire.timer"

local KNOWN <const> = {
  root = "string", users = "table", anonymous = "string", write = "boolean", quota = "integer",
  max = "integer", sync = "boolean", keep = "number", names = "integer",
}
local KNOWN_USER <const> = {
  password = "string", token = "string", root = "string", quota = "integer", write = "boolean",
}
local KEEP_DEFAULT <const>, NAMES_DEFAULT <const> = 86400, 10000
local SWEEP_SECONDS <const> = 3600

-- Files are others': whatever is in them, a browser runs no script of theirs as ours.
local POLICY <const> = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"

local changes = metrics.counter("files_changes_total", "Files that came or went.", { labels = { "kind" } })
local bytes = metrics.counter("files_received_bytes_total", "Bytes of files that came whole.")

local people = {} -- name → account

-- --- what users may

local function note(request, change)
  local kind = change.is_removed and "removed" or change.is_new and "new" or "replaced"
  changes:add(1, kind)
  bytes:add(change.is_removed and 0 or change.size)
  log.info("file", { user = request.user, kind = kind, name = change.name, size = change.size })
end

-- Counted once, and then over the store by all workers.
local function quota_of(name, folder, limit, ctx)
  return assert(http.receiver.quota(folder, limit, {
    shared = ("%s/quota/%s"):format(ctx.name, name), recount = ctx.worker == 1 and ctx.generation == 1,
  }))
end

local function add_account(name, user, ctx)
  local config = ctx.config
  local folder = assert(file.root(user.root or config.root)):keep()
  local limit = user.quota or config.quota
  local may_write = user.write
  if may_write == nil then
    may_write = config.write ~= false
  end
  local quota = may_write and limit and quota_of(name, folder, limit, ctx) or nil
  people[name] = {
    folder = folder, quota = quota, token = user.token,
    files = assert(http.static(folder, { index = false, digest = true, cache_control = "no-cache" })),
    receive = may_write and http.receiver.new(folder, {
      max = config.max, sync = config.sync, quota = quota, on_change = note,
    }),
  }
end

local function read_settings(ctx)
  local config = ctx.config
  check.options(config, KNOWN, 1, "settings")
  assert(config.root, "settings: root = a folder expected")
  local hashes = {}
  for name, user in pairs(config.users or {}) do
    user = type(user) == "table" and user or { password = user }
    check.options(user, KNOWN_USER, 1, "settings")
    assert(user.password or user.token, ("settings: users.%s: a password or a token expected"):format(name))
    local password = user.password
    if password then
      hashes[name] = password:find "^%$scrypt%$" and password or assert(http.auth.hash_password(password))
    end
    add_account(name, user, ctx)
  end
  if config.anonymous then
    add_account("anonymous", { root = config.anonymous, write = false }, ctx)
  end
  assert(next(people), "settings: users.NAME = a password expected")
  return hashes
end

-- --- who it is

local function find_token(token)
  local found
  for name, account in pairs(people) do
    if account.token and http.auth.is_same(account.token, token) then
      found = name
    end
  end
  return found
end

-- Basic or Bearer, as the client has it; who has neither is anonymous where that may be.
local function identify(hashes)
  local ask_password = http.auth.basic { realm = "files", users = hashes }
  local ask_token = http.auth.bearer { realm = "files", check = find_token }
  return function(next_handler)
    local with_password, with_token = ask_password(next_handler), ask_token(next_handler)
    return function(request, response, ctx)
      local field = request:header "Authorization"
      if field and field:find "^[Bb][Ee][Aa][Rr][Ee][Rr] " then
        return with_token(request, response, ctx)
      elseif not field and people.anonymous and (request.method == "GET" or request.method == "HEAD") then
        request.user = "anonymous"
        return next_handler(request, response, ctx)
      end
      return with_password(request, response, ctx)
    end
  end
end

-- --- answers

-- As a line that sha256sum -c reads.
local function send_checksum(account, request, response)
  local opened <close>, err, code = account.folder:open(request.parameters.path)
  local made
  if opened then
    made, err, code = http.digest.of(opened)
  end
  if not made then
    return response:refuse(err, code == "invalid" and "not_found" or code)
  end
  local name = request.parameters.path:match "[^/]*$":gsub("[%c\\]", "_")
  response:send(("%s  %s\n"):format(codec.hex_encode(made), name))
end

local function is_hidden(path)
  return ("/" .. path):find("/.", 1, true) ~= nil
end

local function answer_read(account, request, response, ctx)
  local path = request.parameters.path
  if request.query == "upload" and account.receive then
    return account.receive(request, response)
  elseif is_hidden(path) then
    return response:status(404):send "404: not found\n"
  elseif path == "" or path:sub(-1) == "/" then
    return listing.send(account.folder, request, response, ctx.config.names or NAMES_DEFAULT)
  elseif request.query == "checksum" then
    return send_checksum(account, request, response)
  end
  response:header("Content-Security-Policy", POLICY)
  return account.files(request, response, ctx)
end

local function answer_write(account, request, response)
  if not account.receive then
    return response:status(403):send "403: you may read only\n"
  end
  return account.receive(request, response)
end

-- A handler for the account of who asks; a reload may have taken it away.
local function for_account(handler)
  return function(request, response, ctx)
    return handler(people[request.user], request, response, ctx)
  end
end

local app = http.router()

local service = http.service(app, { body_max = false, access_log = true })

-- What came of files whose senders do not go on is removed.
local function sweep(keep)
  for _, account in pairs(people) do
    if account.receive then
      http.receiver.sweep(account.folder, keep, account.quota)
    end
  end
end

function service.start(ctx)
  local hashes = read_settings(ctx)
  app:use(cors.protect()):use(identify(hashes))
  app:get("/*path", for_account(answer_read))
  app:put("/*path", for_account(answer_write))
  app:delete("/*path", for_account(answer_write))
  service.sweeping = timer.every(SWEEP_SECONDS, sweep, ctx.config.keep or KEEP_DEFAULT)
end

return service
