--- What one session sees of a Maildir: the messages that were there when it began, under its lock. Not for
--- scripts.
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local maildir = require "moonwire.maildir"

--- Closes with the task that opened it.
---@class moonwire.pop3.maildrop
---@field private box moonwire.maildir
---@field private lock moonwire.file
---@field private path string
---@field private messages moonwire.maildir_message[]
---@field private ids string one a line
---@field private marks string a byte for each message: "." or "D"
local Maildrop = {}
Maildrop.__index = Maildrop

local SEEN_MOST <const> = 1000000 -- messages that are listed, to find the oldest
local UID_MOST <const> = 70 -- bytes
local LOCK_SECONDS <const> = 5 -- for one that moves, while its older self lets go of the lock
local KEPT <const>, DELETED <const> = ".", "D"

-- An open mailbox with its lock; "busy" when another session has that.
local function open(path, seconds)
  local box, err, code = maildir.open(path, { create = true })
  if not box then
    return nil, nil, err, code
  end
  local lock
  lock, err, code = box:lock { timeout = seconds }
  if not lock then
    box:close()
    return nil, nil, err, code == "timeout" and "busy" or code
  end
  return box, lock
end

local function new(path, box, lock, messages)
  local ids = {}
  for i, message in ipairs(messages) do
    ids[i] = message.id
  end
  return setmetatable({
    path = path, box = box, lock = lock, messages = messages,
    ids = table.concat(ids, "\n"), marks = KEPT:rep(#messages),
  }, Maildrop)
end

--- Opens the Maildir of a user, which is made when there is none.
---@param path string
---@param max integer messages at most: the oldest of them
---@return moonwire.pop3.maildrop?
---@return string? err
---@return moonwire.code? code "busy": another session has it
function Maildrop.open(path, max)
  local box, lock, err, code = open(path, 0)
  if not box then
    return nil, err, code
  end
  local messages
  messages, err, code = box:list { max = SEEN_MOST }
  if not messages then
    lock:close()
    box:close()
    return nil, err, code
  end
  return new(path, box, lock, table.move(messages, 1, math.min(#messages, max), 1, {}))
end

--- The maildrop as plain data.
---@return { path: string, ids: string, marks: string }
function Maildrop:pack()
  return { path = self.path, ids = self.ids, marks = self.marks }
end

--- Opens what pack has given again. Messages have the same numbers; those that are gone have size 0.
---@param packed { path: string, ids: string, marks: string }
---@return moonwire.pop3.maildrop?
---@return string? err
---@return moonwire.code? code
function Maildrop.restore(packed)
  local box, lock, err, code = open(packed.path, LOCK_SECONDS)
  if not box then
    return nil, err, code
  end
  local listed, by_id, messages = box:list { max = SEEN_MOST }, {}, {}
  for _, message in ipairs(listed or {}) do
    by_id[message.id] = message
  end
  for id in packed.ids:gmatch "[^\n]+" do
    messages[#messages + 1] = by_id[id] or { id = id, folder = "cur", name = id, flags = "", size = 0 }
  end
  local self = new(packed.path, box, lock, messages)
  self.marks = packed.marks
  return self
end

--- How many messages there are, those that are deleted with them.
---@return integer
function Maildrop:count()
  return #self.messages
end

--- Whether there is a message of that number, and it is not deleted.
---@param number integer
---@return boolean
function Maildrop:has(number)
  return self.marks:sub(number, number) == KEPT and number > 0
end

--- The bytes of a message over the wire. One that is gone has none.
---@param number integer
---@return integer? size
---@return string? err
---@return moonwire.code? code
function Maildrop:size(number)
  local message = self.messages[number]
  local size, err, code = self.box:measure(message)
  if not size and code == "not_found" then
    message.size = 0
    return 0
  end
  return size, err, code
end

--- What a message is called in every session.
---@param number integer
---@return string 1 to 70 visible characters
function Maildrop:uid(number)
  local id = self.messages[number].id
  if #id <= UID_MOST and id:find "^[!-~]+$" then
    return id
  end
  return codec.base64url_encode(crypto.digest("sha256", id))
end

--- Opens a message.
---@param number integer
---@return moonwire.file?
---@return string? err
---@return moonwire.code? code
function Maildrop:read(number)
  return self.box:read(self.messages[number])
end

--- Marks a message as deleted.
---@param number integer
function Maildrop:delete(number)
  self.marks = self.marks:sub(1, number - 1) .. DELETED .. self.marks:sub(number + 1)
end

--- Takes all marks away.
function Maildrop:reset()
  self.marks = KEPT:rep(#self.messages)
end

--- Removes what is marked, and closes.
---@return integer removed
---@return integer failed messages that could not be removed
function Maildrop:update()
  local removed, failed = 0, 0
  for number in self.marks:gmatch("()" .. DELETED) do
    local ok, _, code = self.box:remove(self.messages[number])
    removed = removed + (ok and 1 or 0)
    failed = failed + ((ok or code == "not_found") and 0 or 1)
  end
  self:close()
  return removed, failed
end

--- Lets go of it, without removing anything.
function Maildrop:close()
  self.lock:close()
  self.box:close()
end

return Maildrop
