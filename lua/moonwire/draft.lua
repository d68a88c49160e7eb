--- Files that are written under a hidden name and get their own when they are
--- whole. Whatever ends the writing, a cancelled task too, nothing else is left.
--- Not for scripts.
local codec = require "moonwire.codec"
local core = require "moonwire.core"
local crypto = require "moonwire.crypto"
local sync = require "moonwire.sync"
local task = require "moonwire.task"

local draft = {}

---@class moonwire.draft
---@field file moonwire.file open to write
---@field private folder moonwire.folder
---@field private hidden string
---@field private ended moonwire.event
---@field private is_kept? boolean
local Draft = {}
Draft.__index = Draft

-- Removes the hidden file once the draft has ended. A task that was cancelled, or is past a deadline,
-- cannot wait for that: it is done by a task of the service, which has a folder of its own because that of
-- the script may close.
local function clean_later(self)
  task.spawn(function()
    core.main.lend()
    local own = self.folder:folder(".")
    task.spawn(function()
      self.ended:wait()
      if own and not self.is_kept then
        own:remove(self.hidden)
      end
      if own then
        own:close()
      end
    end)
  end)
end

-- For a draft whose file was not opened.
local abandoning = { __close = function(guard)
  if not guard.draft.file then
    guard.draft.ended:set()
  end
end }

--- Opens a file in a folder. Waits. Hold it in a `<close>` variable.
---@param folder moonwire.folder
---@param permissions? string of the file
---@return moonwire.draft?
---@return string? err
---@return moonwire.code? code as of folder:open
function draft.open(folder, permissions)
  local hidden = ".upload-" .. codec.hex_encode(crypto.random_bytes(8))
  local self = setmetatable({ folder = folder, hidden = hidden, ended = sync.event() }, Draft)
  clean_later(self)
  local guard <close> = setmetatable({ draft = self }, abandoning) -- luacheck: ignore 211
  task.yield() -- who cleans is there before the file is
  local file, err, code = folder:open(hidden, "write", { permissions = permissions })
  self.file = file
  return file and self, err, code
end

--- Gives the file its name, and ends the draft.
---@param name string
---@param replace boolean whether a file of that name is replaced
---@return true?
---@return string? err
---@return moonwire.code? code as of folder:rename
function Draft:finish(name, replace)
  self.file:close()
  local ok, err, code = self.folder:rename(self.hidden, name, { replace = replace })
  self.is_kept = ok
  return ok, err, code
end

--- Ends the draft.
function Draft:__close()
  self.file:close()
  self.ended:set()
end

return draft
