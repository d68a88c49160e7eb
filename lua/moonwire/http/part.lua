--- A part of a form: its name, its file name, and its data, read or saved while
--- it arrives.
local check = require "moonwire.check"
local core = require "moonwire.core"
local draft = require "moonwire.draft"

local part = {}

local PIECE <const> = 65536
local SAVE_KNOWN <const> = {
  name = "string", replace = "boolean", permissions = "string", sync = "boolean", max = "integer",
}

---@class moonwire.http.part
---@field name string of the field
--- What the file is called, safe to be the name of a file: without folders and control bytes, 255 bytes at
--- most. "": a form field for files that nothing was chosen for, or no name that is safe. Nil: it is no file.
---@field filename? string
---@field type string media type in lower case; default "text/plain"
---@field headers table<string, string> fields of its header, names in lower case
---@field private reader? moonwire.http.multipart_reader nil: the next part is being read
---@field private max integer
local Part = { __name = "moonwire.http.part" }
Part.__index = Part

---@private
---@param reader moonwire.http.multipart_reader
---@param head moonwire.http.part_head
---@param max integer
---@return moonwire.http.part
function part.new(reader, head, max)
  head.reader, head.max = reader, max
  return setmetatable(head, Part)
end

--- Some of its data, as much as is there.
---@param max? integer bytes at most; default 65536
---@return string? data
---@return string? err
---@return moonwire.code? code "eof" at its end, "closed" behind it, "invalid", and as of the body
function Part:read_some(max)
  check.object(self, Part, "read_some")
  if max ~= nil then
    check.count(max, 1, "read_some")
  end
  if not self.reader then
    return nil, "closed", "closed"
  end
  return self.reader:read(max or PIECE)
end

--- All of its data.
---@param max? integer bytes at most; default: max_field, 1 MiB if that was not set
---@return string? data
---@return string? err
---@return moonwire.code? code "too_large", and as of read_some
function Part:read_all(max)
  check.object(self, Part, "read_all")
  if max ~= nil then
    check.count(max, 1, "read_all")
  end
  local pieces, size = {}, 0
  while true do
    local data, err, code = self:read_some()
    if not data then
      if code == "eof" then
        return table.concat(pieces)
      end
      return nil, err, code
    end
    size = size + #data
    if size > (max or self.max) then
      return nil, "too_large", "too_large"
    end
    pieces[#pieces + 1] = data
  end
end

--- Iterates over its data as it comes. Raises faults.
---@return fun(): string?
function Part:chunks()
  check.object(self, Part, "chunks")
  return function()
    local data, err, code = self:read_some()
    if not data and code ~= "eof" then
      error(core.fault(code, err), 0)
    end
    return data
  end
end

-- Copies to the end of the part. Returns the number of bytes.
local function copy(self, target, max)
  local size = 0
  while true do
    local data, err, code = self:read_some()
    if not data then
      if code == "eof" then
        return size
      end
      return nil, err, code
    end
    size = size + #data
    if size > max then
      return nil, "too_large", "too_large"
    end
    local ok
    ok, err, code = target:write(data)
    if not ok then
      return nil, err, code
    end
  end
end

local function save(self, folder, name, options)
  local opened, err, code = draft.open(folder, options.permissions)
  if not opened then
    return nil, err, code
  end
  local copied <close> = opened
  local size, ok
  size, err, code = copy(self, copied.file, options.max or math.maxinteger)
  if size and options.sync ~= false then
    ok, err, code = copied.file:sync()
    size = ok and size
  end
  if size then
    ok, err, code = copied:finish(name, options.replace or false)
    size = ok and size
  end
  return size or nil, err, code
end

---@class moonwire.http.part_save_options
---@field name? string of the file in the folder; default: its filename
---@field replace? boolean whether a file of that name is replaced, else it is "exists"; default false
---@field permissions? string of the file, three octal digits; default "666" less the umask
---@field sync? boolean whether the data is on the disk when the call returns; default true
---@field max? integer bytes at most; default: as many as the body may have

--- Saves its data in a file while it arrives. The file has its name when it is
--- whole; nothing is left of it otherwise.
---@param folder moonwire.folder from file.root
---@param options? moonwire.http.part_save_options
---@return integer? size
---@return string? err
---@return moonwire.code? code "exists", "too_large", "full", "denied", "not_found", "invalid" (no name)
function Part:save(folder, options)
  check.object(self, Part, "save")
  local is_folder = pcall(function() return assert(folder.make_folder) end)
  if not is_folder then
    check.refuse(1, "save", "a folder from file.root expected")
  end
  check.options(options, SAVE_KNOWN, 2, "save")
  options = options or {}
  local name = options.name or self.filename or ""
  if name == "" then
    return nil, "save part: it has no name to be a file's", "invalid"
  end
  return save(self, folder, name, options)
end

return part
