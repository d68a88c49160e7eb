-- scripts/tftp.lua — gives out the files of a folder by TFTP, and takes some when it may.
--
--   build/moonwire run scripts/tftp.lua --listen udp://127.0.0.1:6969 --set root=/srv/tftp
-- In another terminal:
--   curl -o kernel tftp://127.0.0.1:6969/kernel
--
-- Settings:
--   root           folder whose files it gives out; required
--   write          whether files may be written; default false
--   overwrite      whether files that are there may be replaced; default false
--   permissions    of files that are written, three octal digits; default "640"
--   max            bytes of a file that is written; default 67108864
--   transfers      at a time, in all workers; default 100
--   per_address    of these from one address; default 10
--   timeout        seconds until what was not answered is sent again, and then doubled up to 8; default 1
--   retries        how often it is sent again; default 5
--   interval_most  seconds between repetitions that a client may ask for; default 30
--   duration       seconds that a transfer may take; default 3600
--   block_size     bytes of a block that a client may ask for, 8 to 65464; default 65464
--   window_size    blocks in a row that a client may ask for, 128 KiB in all; default 64
local file = require "moonwire.file"
local log = require "moonwire.log"
local metrics = require "moonwire.metrics"
local tftp = require "moonwire.tftp"

local transfers = metrics.counter("tftp_transfers_total", "Requests that are over, by how they ended.",
  { labels = { "kind", "result" } })
local bytes = metrics.counter("tftp_bytes_total", "Bytes of files that were carried.",
  { labels = { "kind" } })

local SETTINGS <const> = {
  root = "string", write = "boolean", overwrite = "boolean", permissions = "string", max = "number",
  transfers = "number", per_address = "number", timeout = "number", retries = "number",
  interval_most = "number", duration = "number", block_size = "number", window_size = "number",
}

local OF_THE_FOLDER <const> = { write = true, overwrite = true, permissions = true }

local service = {}
local server

-- The settings for the folder and for the server; raises what is wrong with them.
local function read_settings(config)
  local folder, limits = { permissions = "640" }, {}
  for name, value in pairs(config) do
    local expected = SETTINGS[name]
    if not expected then
      error(("unknown setting '%s'"):format(name), 0)
    elseif type(value) ~= expected and name ~= "permissions" then
      error(("setting '%s': a %s expected, got %s"):format(name, expected, tostring(value)), 0)
    elseif OF_THE_FOLDER[name] then
      folder[name] = name == "permissions" and tostring(value) or value
    elseif name ~= "root" then
      limits[name] = value
    end
  end
  if not config.root then
    error("setting 'root' is missing: the folder whose files to give out", 0)
  elseif not folder.permissions:find("^[0-7][0-7][0-7]$") then
    error("setting 'permissions': three octal digits expected", 0)
  end
  return folder, limits
end

-- Is told of every request when it is over.
local function ended(transfer)
  transfers:add(1, transfer.kind, transfer.code or "completed")
  bytes:add(transfer.bytes, transfer.kind)
  local fields = {
    kind = transfer.kind, name = transfer.name, peer = transfer.peer, bytes = transfer.bytes,
    seconds = transfer.seconds, retransmissions = transfer.retransmissions, reason = transfer.err,
  }
  if transfer.code then
    log.warn("transfer failed", fields)
  else
    log.info("transferred", fields)
  end
end

function service.start(ctx)
  local folder, limits = read_settings(ctx.config)
  local root, problem = file.root(ctx.config.root)
  if not root then
    error(("setting 'root': %s"):format(problem), 0)
  end
  local policy = tftp.folder(root, folder)
  policy.ended = ended
  server = tftp.server(policy, limits)
end

function service.datagram(socket, data, peer)
  server:answer(socket, data, peer)
end

-- What has begun goes on to its end, also when a reload has put new code in our place.
function service.stop()
  server:wait()
end

return service
