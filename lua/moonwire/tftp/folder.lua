--- Files of a folder for a server of TFTP. Not for scripts.
local draft = require "moonwire.draft"

local folder = {}

-- Names begin where the folder does: "/boot/x" is "boot/x" in it. Nil: no name that we take.
local function clean(name)
  local inner = name:gsub("^/+", "")
  return inner ~= "" and not inner:find("%c") and inner or nil
end

local function read(root, request)
  local name = clean(request.name)
  if not name then
    return nil, "denied", "denied"
  end
  local opened, status, code = root:open(name, "read", { status = true })
  if not opened then
    return nil, status, code
  end
  return opened, status.size
end

-- Whether a file may be made there, before its data comes; else nil, err, code.
local function is_free(root, name, overwrite)
  local status, err, code = root:stat(name, { follow = false })
  if status and status.kind ~= "file" then
    return nil, "denied", "denied"
  elseif status then
    return overwrite or nil, "exists", "exists"
  elseif code ~= "not_found" then
    return nil, err, code
  end
  status, err, code = root:stat(name:match("^(.*)/[^/]*$") or ".")
  return status and true, err, code
end

---@class moonwire.tftp.file_sink
---@field private draft moonwire.draft
---@field private name string
---@field private overwrite boolean
local Sink = {}
Sink.__index = Sink

function Sink:write(chunk)
  return self.draft.file:write(chunk)
end

function Sink:commit()
  local ok, err, code = self.draft.file:sync()
  if ok then
    ok, err, code = self.draft:finish(self.name, self.overwrite)
  end
  self:abort()
  return ok, err, code
end

--- Does not wait.
function Sink:abort()
  self.draft:__close()
end

local function write(root, request, options)
  local name = options.write and clean(request.name)
  if not name then
    return nil, "denied", "denied"
  end
  local ok, err, code = is_free(root, name, options.overwrite)
  if not ok then
    return nil, err, code
  end
  local opened
  opened, err, code = draft.open(root, options.permissions)
  if not opened then
    return nil, err, code
  end
  return setmetatable({ draft = opened, name = name, overwrite = options.overwrite or false }, Sink)
end

--- What a server does with requests: reads below a folder, and writes when it may.
---@param root moonwire.folder
---@param options { write?: boolean, overwrite?: boolean, permissions?: string }
---@return moonwire.tftp_policy
function folder.policy(root, options)
  return {
    read = function(request) return read(root, request) end,
    write = function(request) return write(root, request, options) end,
  }
end

return folder
