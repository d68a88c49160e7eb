--- Temporary folders and the files in them, for specs.
local lfs = require "lfs"

local folder = {}

---@class spec.folder
---@field path string
local Folder = {}
Folder.__index = Folder

--- A new empty folder below /tmp. `local place <close> = folder.new()` removes it.
---@return spec.folder
function folder.new()
  local path = os.tmpname()
  assert(os.remove(path))
  assert(lfs.mkdir(path))
  return setmetatable({ path = path }, Folder)
end

--- Writes a file; folders on its way are made.
---@param name string relative to the folder
---@param content string
---@return string path
function Folder:write(name, content)
  local path = self.path
  for part in name:gmatch("([^/]+)/") do
    path = path .. "/" .. part
    lfs.mkdir(path)
  end
  path = self.path .. "/" .. name
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(content))
  return path
end

--- The content of a file; nil when there is none.
---@param name string
---@return string? content
function Folder:read(name)
  local file <close> = io.open(self.path .. "/" .. name, "rb")
  return file and file:read("a")
end

local function remove(path)
  if lfs.symlinkattributes(path, "mode") == "directory" then
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then
        remove(path .. "/" .. name)
      end
    end
    lfs.rmdir(path)
  else
    os.remove(path)
  end
end

--- Removes the folder and all that is in it.
function Folder:remove()
  if self.path then
    remove(self.path)
    self.path = nil
  end
end

Folder.__close = Folder.remove

return folder
