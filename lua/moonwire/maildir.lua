--- Mailboxes as folders of files, one for each message (Maildir): delivered without locks, read by every
--- mail program.
---
---     local box = assert(maildir.open("/var/mail/ann", { create = true }))
---     local id = assert(box:deliver("Subject: hello\r\n\r\nHow are you?\r\n"))
local Draft = require "moonwire.maildir.draft"
local check = require "moonwire.check"
local file = require "moonwire.file"
local lines = require "moonwire.maildir.lines"
local name = require "moonwire.maildir.name"

local maildir = {}

local LIST_DEFAULT <const> = 10000
local USAGE_LIST <const> = { max = 100000 }
local CHUNK <const> = 64 * 1024
local STALE_SECONDS <const> = 36 * 3600 -- as all programs do that clean up in "tmp"
local OPEN_KNOWN <const> = { create = "boolean" }
local LIST_KNOWN <const> = { max = "integer" }
local DRAFT_KNOWN <const> = { id = "string" }
local SYNC <const> = { sync = true }
local MAKING <const> = { parents = true, permissions = "700", sync = true }

---@class moonwire.maildir_open_options
---@field create? boolean whether it is made when there is none; default false

---@class moonwire.maildir_list_options
---@field max? integer messages; default 10000. With more it is "too_large"

---@class moonwire.maildir_draft_options
---@field id? string of the message: what an earlier draft of that id has left is written over; default: new

---@class moonwire.maildir_message
---@field id string stays the same as long as the message is there
---@field folder "new"|"cur" "new": no mail program has seen it
---@field name string of its file; changes with its flags
---@field flags string letters, sorted: D(raft), F(lagged), P(assed), R(eplied), S(een), T(rashed)
---@field size? integer bytes with CRLF behind each line, when its name tells

--- A mailbox. Closes with the task that opened it.
---@class moonwire.maildir
---@field private root moonwire.folder
local Maildir = { __name = "moonwire.maildir" }
Maildir.__index = Maildir

local function make(path)
  for _, part in ipairs { "tmp", "new", "cur" } do
    local ok, err, code = file.make_folder(path .. "/" .. part, MAKING)
    if not ok then
      return nil, err, code
    end
  end
  return true
end

-- The folders are there, and can be looked into.
local function check_folders(root)
  for _, part in ipairs { "tmp", "new", "cur" } do
    local status, err, code = root:stat(part)
    if not status then
      return nil, err, code
    elseif status.kind ~= "folder" then
      return nil, ("open %s: not a folder"):format(part), "invalid"
    end
  end
  return true
end

--- Opens a mailbox.
---@param path string its folder, with "tmp", "new" and "cur" in it
---@param options? moonwire.maildir_open_options
---@return moonwire.maildir? box
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid" (no Maildir), "full"
function maildir.open(path, options)
  check.type(path, "string", 1, "open")
  if path:find("\0", 1, true) then
    check.refuse(1, "open", "a path has no zero bytes")
  end
  check.options(options, OPEN_KNOWN, 2, "open")
  local ok, err, code = true, nil, nil
  if options and options.create then
    ok, err, code = make(path)
  end
  local root
  if ok then
    root, err, code = file.root(path, { links = false })
  end
  if not root then
    return nil, err, code
  end
  ok, err, code = check_folders(root)
  if not ok then
    root:close()
    return nil, err, code
  end
  return setmetatable({ root = root }, Maildir)
end

--- Begins a message that is written in pieces.
---@param options? moonwire.maildir_draft_options
---@return moonwire.maildir_draft?
---@return string? err
---@return moonwire.code? code "full", "denied", "not_found", "descriptors", "closed"
function Maildir:draft(options)
  check.object(self, Maildir, "draft")
  check.options(options, DRAFT_KNOWN, 1, "draft")
  local id = options and options.id
  if id and not id:find "^[%w][%w._-]*$" then
    check.refuse(1, "draft", "option 'id': letters, digits, '.', '_' and '-' expected")
  end
  return Draft.new(self, self.root, id or name.new())
end

--- Delivers a message: it is on the disk and visible when this returns, or not there at all.
---@param text string with CRLF or LF behind each line
---@return string? id
---@return string? err
---@return moonwire.code? code "full", "denied", "not_found", "descriptors", "closed"
function Maildir:deliver(text)
  check.object(self, Maildir, "deliver")
  check.type(text, "string", 1, "deliver")
  local draft <close>, err, code = self:draft()
  if not draft then
    return nil, err, code
  end
  local ok
  ok, err, code = draft:write(text)
  if not ok then
    return nil, err, code
  end
  return draft:commit()
end

-- The message of an id where it is now; "cur" last, for there it goes from "new".
local function find(self, id)
  for _, folder in ipairs { "new", "cur" } do
    local entries, err, code = self.root:list(folder, { max = 10000000 })
    if not entries then
      return nil, err, code
    end
    for _, entry in ipairs(entries) do
      if entry.kind == "file" and name.parse(entry.name) == id then
        return folder, entry.name
      end
    end
  end
  return nil, ("find message %s: not found"):format(id), "not_found"
end

--- Makes a message visible that draft:prepare has left. Does nothing when that has been done before.
---@param move { from: string, to: string }
---@return true?
---@return string? err
---@return moonwire.code? code "not_found": it is nowhere, and must be written again; "closed", "system"
function Maildir:finish(move)
  check.object(self, Maildir, "finish")
  check.type(move, "table", 1, "finish")
  local ok, err, code = self.root:rename(move.from, move.to, SYNC)
  if ok or code ~= "not_found" then
    return ok, err, code
  end
  local folder
  folder, err, code = find(self, (name.parse(move.to:match "[^/]*$")))
  return folder and true, err, code
end

local function add(messages, by_id, folder, entry)
  local id, flags, size = name.parse(entry.name)
  local message = by_id[id]
  if not message then
    message = { id = id }
    by_id[id] = message
    messages[#messages + 1] = message
  end
  message.folder, message.name, message.flags, message.size = folder, entry.name, flags, size
end

--- The messages, the oldest first.
---@param options? moonwire.maildir_list_options
---@return moonwire.maildir_message[]?
---@return string? err
---@return moonwire.code? code "too_large", "denied", "not_found", "closed"
function Maildir:list(options)
  check.object(self, Maildir, "list")
  check.options(options, LIST_KNOWN, 1, "list")
  local max = options and options.max or LIST_DEFAULT
  local messages, by_id = {}, {}
  for _, folder in ipairs { "new", "cur" } do -- one that moves meanwhile is seen twice, and not never
    local entries, err, code = self.root:list(folder, { max = max })
    if not entries then
      return nil, err, code
    end
    for _, entry in ipairs(entries) do
      if entry.kind == "file" and not entry.name:find "^%." then
        add(messages, by_id, folder, entry)
      end
    end
  end
  if #messages > max then
    return nil, "too_large", "too_large"
  end
  table.sort(messages, function(a, b) return name.is_before(a.id, b.id) end)
  return messages
end

--- How many bytes its messages have, as their names tell.
---@return integer?
---@return string? err
---@return moonwire.code? code "too_large": more than 100,000 messages; "denied", "not_found", "closed"
function Maildir:usage()
  check.object(self, Maildir, "usage")
  local messages, err, code = self:list(USAGE_LIST)
  if not messages then
    return nil, err, code
  end
  local bytes = 0
  for _, message in ipairs(messages) do
    bytes = bytes + (message.size or 0)
  end
  return bytes
end

-- Calls a function with the file of a message, and once more when another program has given it other flags.
local function at_its_place(self, message, fn)
  local result, err, code = fn(message.folder .. "/" .. message.name)
  if result or code ~= "not_found" then
    return result, err, code
  end
  local folder, found, problem = find(self, message.id)
  if not folder then
    return nil, found, problem
  end
  message.folder, message.name = folder, found
  return fn(folder .. "/" .. found)
end

--- Opens a message to read, wherever it is by now.
---@param message moonwire.maildir_message of maildir:list, which learns where it is
---@return moonwire.file?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "descriptors", "closed"
function Maildir:read(message)
  check.object(self, Maildir, "read")
  check.type(message, "table", 1, "read")
  return at_its_place(self, message, function(path) return self.root:open(path) end)
end

local function measure(opened)
  local size, is_cr = 0, false
  repeat
    local chunk, err, code = opened:read(CHUNK)
    if not chunk then
      return code == "eof" and size or nil, err, code
    end
    local bare
    bare, is_cr = lines.count_bare(chunk, is_cr)
    size = size + #chunk + bare
  until false
end

--- The bytes of a message with CRLF behind each line. Reads it when its name does not tell.
---@param message moonwire.maildir_message of maildir:list, which learns its size
---@return integer? size
---@return string? err
---@return moonwire.code? code "not_found", "denied", "descriptors", "closed", "system"
function Maildir:measure(message)
  check.object(self, Maildir, "measure")
  check.type(message, "table", 1, "measure")
  if not message.size then
    local opened <close>, err, code = self:read(message)
    if not opened then
      return nil, err, code
    end
    message.size, err, code = measure(opened)
    if not message.size then
      return nil, err, code
    end
  end
  return message.size
end

--- Removes a message. A loss of power soon after may bring it back.
---@param message moonwire.maildir_message of maildir:list
---@return true?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "closed"
function Maildir:remove(message)
  check.object(self, Maildir, "remove")
  check.type(message, "table", 1, "remove")
  return at_its_place(self, message, function(path) return self.root:remove(path) end)
end

--- Gives a message other flags. It is in "cur" then.
---@param message moonwire.maildir_message of maildir:list, which learns its name
---@param flags string letters
---@return true?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "closed"
function Maildir:set_flags(message, flags)
  check.object(self, Maildir, "set_flags")
  check.type(message, "table", 1, "set_flags")
  check.type(flags, "string", 2, "set_flags")
  if not flags:find "^%a*$" then
    check.refuse(2, "set_flags", "letters expected")
  end
  local to
  local ok, err, code = at_its_place(self, message, function(path)
    to = name.with_flags(path:match "[^/]*$", flags)
    return self.root:rename(path, "cur/" .. to)
  end)
  if ok then
    message.folder, message.name, message.flags = "cur", to, select(2, name.parse(to))
  end
  return ok, err, code
end

--- Locks the mailbox for those who ask for its lock too, such as POP3 sessions, until what it returns is
--- closed. Deliveries and other mail programs go on.
---@param options? moonwire.file_lock_options
---@return moonwire.file?
---@return string? err
---@return moonwire.code? code "timeout", "denied", "closed"
function Maildir:lock(options)
  check.object(self, Maildir, "lock")
  return self.root:lock("moonwire.lock", options)
end

--- Removes what deliveries that were broken off have left in "tmp" more than 36 hours ago.
---@return integer? count how many
---@return string? err
---@return moonwire.code? code "denied", "closed", "too_large"
function Maildir:clean()
  check.object(self, Maildir, "clean")
  local entries, err, code = self.root:list("tmp", { max = 1000000 })
  if not entries then
    return nil, err, code
  end
  local count = 0
  for _, entry in ipairs(entries) do
    local status = self.root:stat("tmp/" .. entry.name, { follow = false })
    if status and status.kind == "file" and status.modified < os.time() - STALE_SECONDS
      and self.root:remove("tmp/" .. entry.name) then
      count = count + 1
    end
  end
  return count
end

--- Closes it. May be called again.
function Maildir:close()
  check.object(self, Maildir, "close")
  self.root:close()
end

Maildir.__close = Maildir.close

return maildir
