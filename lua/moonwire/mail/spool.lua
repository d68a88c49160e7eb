--- The folder of a queue of mail, and what may be in it after a crash. Not for scripts.
---
---     tmp/ID        a message that is being taken, or was: without "envelope/ID" it was never promised
---     body/ID       its text, the same file from then on; its lock is the lock of the message
---     envelope/ID   for whom it is, and what became of that: written at once, or not at all. As soon as this
---                   is on the disk the message is promised; when it is removed, the promise is kept
---     prepared/ID   a report that is promised by the envelope of another message, not by its own yet
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local file = require "moonwire.file"
local json = require "moonwire.json"

---@class moonwire.mail.spool
---@field root moonwire.folder
local Spool = {}
Spool.__index = Spool

local ENVELOPE_MOST <const> = 16 * 1024 * 1024
local LIST <const> = { max = 10000000 }
local SYNC <const> = { sync = true }
local MAKING <const> = { parents = true, permissions = "700", sync = true }
local STALE_SECONDS <const> = 3600
local PARTS <const> = { "tmp", "body", "envelope", "prepared" }

--- Opens the folder, which is made when there is none, and stays open with the task that called.
---@param path string
---@return moonwire.mail.spool?
---@return string? err
---@return moonwire.code? code
function Spool.open(path)
  for _, part in ipairs(PARTS) do
    local ok, err, code = file.make_folder(path .. "/" .. part, MAKING)
    if not ok then
      return nil, err, code
    end
  end
  local root, err, code = file.root(path, { links = false })
  return root and setmetatable({ root = root }, Spool), err, code
end

--- An id that is never given again.
---@return string
function Spool.new_id()
  return ("%d.%s"):format(os.time(), codec.hex_encode(crypto.random_bytes(8)))
end

--- Opens the draft of a message.
---@param id string
---@return moonwire.file?
---@return string? err
---@return moonwire.code? code
function Spool:draft(id)
  return self.root:open("tmp/" .. id, "write", { permissions = "600" })
end

--- Takes a message over whose text is on the disk: it is promised when this returns true.
---@param envelope moonwire.mail.envelope
---@return true?
---@return string? err
---@return moonwire.code? code
function Spool:publish(envelope)
  local ok, err, code = self.root:rename("tmp/" .. envelope.id, "body/" .. envelope.id, SYNC)
  if ok then
    ok, err, code = self:save(envelope)
  end
  return ok, err, code
end

--- Gives the draft of a message up.
---@param id string
function Spool:discard(id)
  self.root:remove("tmp/" .. id)
end

--- Writes an envelope: it is on the disk, or the old one is.
---@param envelope moonwire.mail.envelope
---@return true?
---@return string? err
---@return moonwire.code? code
function Spool:save(envelope)
  return self.root:write("envelope/" .. envelope.id, json.encode(envelope), { permissions = "600" })
end

--- Writes a report that `finish_report` will publish.
---@param envelope moonwire.mail.envelope with `parent`
---@param body string
---@return true?
---@return string? err
---@return moonwire.code? code
function Spool:prepare_report(envelope, body)
  local path = "prepared/" .. envelope.id
  local ok, err, code = self.root:write(path .. ".body", body, { permissions = "600" })
  if ok then
    ok, err, code = self.root:write(path, json.encode(envelope), { permissions = "600" })
  end
  return ok, err, code
end

--- Publishes a report. Does nothing when that has been done before.
---@param id string
---@return true?
---@return string? err
---@return moonwire.code? code
function Spool:finish_report(id)
  local ok, err, code = self.root:rename("prepared/" .. id .. ".body", "body/" .. id, SYNC)
  if not ok and code ~= "not_found" then
    return nil, err, code
  end
  ok, err, code = self.root:rename("prepared/" .. id, "envelope/" .. id, SYNC)
  return (ok or code == "not_found") and true or nil, err, code
end

--- Locks a message, and reads what is to be done with it. The lock is the body's, until that is closed.
---@param id string
---@return moonwire.file? body
---@return moonwire.mail.envelope|string envelope or err
---@return moonwire.code? code "busy": another process has it; "not_found": it is done
function Spool:claim(id)
  local body, err, code = self.root:open("body/" .. id)
  if not body then
    return nil, err, code
  end
  local ok, text
  ok, err, code = body:lock { timeout = 0 }
  if ok then
    text, err, code = self.root:read("envelope/" .. id, { max = ENVELOPE_MOST })
  end
  if not text then
    body:close()
    return nil, err, code == "timeout" and "busy" or code
  end
  local envelope
  envelope, err = json.decode(text)
  if not envelope then
    body:close()
    return nil, err, "invalid"
  end
  return body, envelope
end

--- The promise is kept: removes the message, the envelope first.
---@param id string
---@return true?
---@return string? err
---@return moonwire.code? code
function Spool:finish(id)
  local ok, err, code = self.root:remove("envelope/" .. id, SYNC)
  if not ok and code ~= "not_found" then
    return nil, err, code
  end
  self.root:remove("body/" .. id)
  return true
end

local function is_id(name)
  return name:find "^%d+%.%x+$" ~= nil
end

--- The ids of all messages that are promised.
---@return string[]?
---@return string? err
---@return moonwire.code? code
function Spool:ids()
  local entries, err, code = self.root:list("envelope", LIST)
  if not entries then
    return nil, err, code
  end
  local ids = {}
  for _, entry in ipairs(entries) do
    if entry.kind == "file" and is_id(entry.name) then
      ids[#ids + 1] = entry.name
    end
  end
  return ids
end

local function is_stale(self, path)
  local status = self.root:stat(path)
  return status ~= nil and status.modified < os.time() - STALE_SECONDS
end

-- Whether the message that has promised a report is done.
local function is_orphan(self, id)
  local text = self.root:read("prepared/" .. id, { max = ENVELOPE_MOST })
  local envelope = text and json.decode(text)
  return envelope == nil or self.root:stat("envelope/" .. tostring(envelope.parent)) == nil
end

local function clean_part(self, part, is_left)
  for _, entry in ipairs(self.root:list(part, LIST) or {}) do
    local path = part .. "/" .. entry.name
    if is_stale(self, path) and is_left(entry.name) then
      self.root:remove(path)
    end
  end
end

--- Removes what crashes have left more than an hour ago and nobody was promised.
function Spool:clean()
  clean_part(self, "tmp", function() return true end)
  clean_part(self, "body", function(id)
    return self.root:stat("envelope/" .. id) == nil and self.root:stat("prepared/" .. id) == nil
  end)
  clean_part(self, "envelope", function(name) return not is_id(name) end) -- a write that was broken off
  clean_part(self, "prepared", function(name) return is_orphan(self, name:match "^(.-)%.body$" or name) end)
end

return Spool
