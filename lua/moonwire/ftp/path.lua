--- Names of files as clients of FTP say them: absolute below their root, or from the folder they are in.
--- Not for scripts.
local path = {}

--- The absolute path that a name means. ".." at the top stays there; the kernel judges what links lead to.
---@param current string absolute
---@param name string "" is the current folder
---@return string absolute "/" or "/a/b"
function path.resolve(current, name)
  local whole = name:sub(1, 1) == "/" and name or current .. "/" .. name
  local parts = {}
  for part in whole:gmatch("[^/]+") do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. table.concat(parts, "/")
end

--- What moonwire.file wants to have below a root.
---@param absolute string
---@return string relative
function path.below(absolute)
  return absolute == "/" and "." or absolute:sub(2)
end

--- The folder of a path, and the name in it.
---@param absolute string
---@return string folder
---@return string name
function path.split(absolute)
  local folder, name = absolute:match("^(.*)/([^/]*)$")
  return folder == "" and "/" or folder, name
end

--- A name in a folder.
---@param folder string absolute
---@param name string
---@return string absolute
function path.join(folder, name)
  return folder == "/" and "/" .. name or folder .. "/" .. name
end

return path
