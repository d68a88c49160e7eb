--- Files on their way in: under a hidden name beside the one they will have, where they stay when their
--- sender leaves, so that it can go on. One upload at a time has such a file. Not for scripts.
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"

local incoming = {}

local PREFIX <const> = ".incoming-"
local TRIES <const> = 5 -- of opening a file that is renamed meanwhile
local NAMES_MOST <const> = 100000 -- in a folder that is swept
local DEPTH_MOST <const> = 64

--- A hidden file, open and locked.
---@class moonwire.http.incoming
---@field file moonwire.file
---@field size integer bytes that are there
---@field private folder moonwire.folder
---@field private hidden string
local Incoming = {}
Incoming.__index = Incoming

--- Whether a name is one of ours.
---@param name string without folders
---@return boolean
function incoming.is_hidden(name)
  return name:sub(1, #PREFIX) == PREFIX
end

--- The hidden name for a name.
---@param name string below the folder
---@return string
function incoming.name_of(name)
  local folder, base = name:match "^(.-)([^/]*)$"
  return folder .. PREFIX .. codec.hex_encode(crypto.digest("sha256", base)):sub(1, 32)
end

-- Whether the name is still that of the file: who had the lock before may have renamed it.
local function is_same(folder, hidden, file)
  local own, there = file:stat(), folder:stat(hidden)
  return own and there and own.id == there.id
end

--- Opens the hidden file for a name, and locks it. Waits. Hold it in a `<close>` variable.
---@param folder moonwire.folder
---@param name string below the folder
---@param patience number seconds that another upload of the name has to end
---@return moonwire.http.incoming?
---@return string? err
---@return moonwire.code? code "busy": there is another; and as of folder:open
function incoming.open(folder, name, patience)
  local hidden = incoming.name_of(name)
  for _ = 1, TRIES do
    local file, err, code = folder:open(hidden, "update")
    if not file then
      return nil, err, code
    end
    local ok
    ok, err, code = file:lock { timeout = patience }
    if ok and is_same(folder, hidden, file) then
      return setmetatable({ folder = folder, hidden = hidden, file = file, size = file:size() }, Incoming)
    end
    file:close()
    if not ok then
      return nil, err, code == "timeout" and "busy" or code
    end
  end
  return nil, "busy", "busy"
end

--- Cuts it down, to go on from there.
---@param size integer
---@return true?
---@return string? err
---@return moonwire.code? code
function Incoming:cut(size)
  local ok, err, code = true, nil, nil
  if size < self.size then
    ok, err, code = self.file:truncate(size)
  end
  if ok then
    self.size = size
    self.file:seek(size)
  end
  return ok, err, code
end

--- Adds bytes at its end: all, or none.
---@param data string
---@return true?
---@return string? err
---@return moonwire.code? code
function Incoming:add(data)
  local ok, err, code = self.file:write(data)
  if ok then
    self.size = self.size + #data
  else
    self.file:truncate(self.size) -- a disk that is full takes some of them
  end
  return ok, err, code
end

--- Gives it its name.
---@param name string
---@param options { replace: boolean, sync: boolean }
---@return true?
---@return string? err
---@return moonwire.code? code as of folder:rename; "exists"
function Incoming:publish(name, options)
  local ok, err, code = true, nil, nil
  if options.sync then
    ok, err, code = self.file:sync()
  end
  if ok then
    ok, err, code = self.folder:rename(self.hidden, name, options)
  end
  return ok, err, code
end

--- Removes it, with all that is there.
function Incoming:drop()
  self.folder:remove(self.hidden)
end

function Incoming:__close()
  self.file:close()
end

-- Removes a hidden file that nobody writes to, and returns its size.
local function drop_old(folder, name, before)
  local status = folder:stat(name, { follow = false })
  if not status or status.kind ~= "file" or status.modified > before then
    return 0
  end
  local file = folder:open(name, "update")
  local is_free = file and file:lock { timeout = 0 }
  local ok = is_free and is_same(folder, name, file) and folder:remove(name)
  if file then
    file:close()
  end
  return ok and status.size or 0
end

--- Removes hidden files of a folder, and of those below, that nothing was added to for long. Waits.
---@param folder moonwire.folder
---@param before number seconds since 1970
---@param place? string below the folder
---@param depth? integer
---@return integer bytes that were freed
function incoming.sweep(folder, before, place, depth)
  local bytes = 0
  depth = depth or 0
  for _, entry in ipairs(folder:list(place or ".", { max = NAMES_MOST }) or {}) do
    local name = place and place .. "/" .. entry.name or entry.name
    if entry.kind == "folder" and depth < DEPTH_MOST then
      bytes = bytes + incoming.sweep(folder, before, name, depth + 1)
    elseif incoming.is_hidden(entry.name) then
      bytes = bytes + drop_old(folder, name, before)
    end
  end
  return bytes
end

return incoming
