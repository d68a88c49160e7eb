--- Messages that are being written into a Maildir. Scripts get them from maildir:draft.
local check = require "moonwire.check"
local lines = require "moonwire.maildir.lines"
local name = require "moonwire.maildir.name"

--- A message that nobody sees before it is committed. Without that it is gone with the block of its
--- `<close>` variable.
---@class moonwire.maildir_draft
---@field private box moonwire.maildir
---@field private id string
---@field private file? moonwire.file while it is written
---@field private held string a CR whose LF may follow
---@field private size integer bytes on the disk
---@field private added integer CRs that are missing there
---@field private is_cr boolean whether the last byte is one
---@field private is_published? boolean
local Draft = { __name = "moonwire.maildir_draft" }
Draft.__index = Draft

local CLOSED <const> = "closed"

---@param box moonwire.maildir
---@param root moonwire.folder
---@param id string
---@return moonwire.maildir_draft?
---@return string? err
---@return moonwire.code? code
function Draft.new(box, root, id)
  local opened, err, code = root:open("tmp/" .. id, "write", { permissions = "600" })
  if not opened then
    return nil, err, code
  end
  local self = {
    box = box, root = root, id = id, file = opened, held = "", size = 0, added = 0, is_cr = false,
  }
  return setmetatable(self, Draft)
end

local function append(self, text)
  if text == "" then
    return true
  end
  local ok, err, code = self.file:write(text)
  if ok then
    self.size = self.size + #text
    local bare
    bare, self.is_cr = lines.count_bare(text, self.is_cr)
    self.added = self.added + bare
  end
  return ok, err, code
end

--- Adds to the message. Each CRLF becomes a LF, as is usual in a Maildir.
---@param chunk string
---@return true?
---@return string? err
---@return moonwire.code? code "full", "closed"
function Draft:write(chunk)
  check.object(self, Draft, "write")
  check.type(chunk, "string", 1, "write")
  if not self.file then
    return nil, CLOSED, CLOSED
  end
  local text = self.held .. chunk
  self.held = text:sub(-1) == "\r" and "\r" or ""
  return append(self, (text:sub(1, #text - #self.held):gsub("\r\n", "\n")))
end

--- Brings all of it to the disk, and gives the two names of the step that is left, for maildir:finish: what
--- a journal remembers so that it is done once, whatever happens. The message stays invisible.
---@return { from: string, to: string }? move
---@return string? err
---@return moonwire.code? code "full", "closed", "system"
function Draft:prepare()
  check.object(self, Draft, "prepare")
  if not self.file then
    return nil, CLOSED, CLOSED
  end
  local ok, err, code = append(self, self.held)
  if ok then
    self.held = ""
    ok, err, code = self.file:sync()
  end
  if not ok then
    return nil, err, code
  end
  self.file:close()
  self.file = nil
  self.is_published = true
  local to = name.with_sizes(self.id, self.size, self.size + self.added)
  return { from = "tmp/" .. self.id, to = "new/" .. to }
end

--- Delivers the message: it is on the disk and visible when this returns.
---@return string? id
---@return string? err
---@return moonwire.code? code "full", "closed", "system"
function Draft:commit()
  check.object(self, Draft, "commit")
  local move, err, code = self:prepare()
  if not move then
    return nil, err, code
  end
  local ok
  ok, err, code = self.box:finish(move)
  if not ok then
    self.root:remove(move.from)
    return nil, err, code
  end
  return self.id
end

--- Gives the message up. May be called again; does nothing to one that is committed or prepared.
function Draft:abort()
  if self.file then
    self.file:close()
    self.file = nil
  end
  if not self.is_published then
    self.is_published = true
    self.root:remove("tmp/" .. self.id)
  end
end

Draft.__close = Draft.abort

return Draft
