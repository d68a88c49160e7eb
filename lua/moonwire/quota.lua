--- How many bytes the files of an account may have together. All sessions of the account share one quota.
--- Part of moonwire.ftp and moonwire.http.receiver. Not for scripts.
local check = require "moonwire.check"
local shared = require "moonwire.quota.shared"

local quota = {}

local KNOWN <const> = { shared = "string", recount = "boolean" }
local KEY_MOST <const> = 500 -- bytes

local NAMES_MOST <const> = 1000000 -- that are counted
local DEPTH_MOST <const> = 64

---@class moonwire.quota
---@field limit integer bytes
---@field used integer bytes
local Quota = { __name = "moonwire.quota" }
Quota.__index = Quota

-- Bytes of the files of a folder and below; links are not followed.
local function count(root, folder, depth, budget)
  local entries, err, code = root:list(folder, { max = NAMES_MOST })
  if not entries then
    return nil, err, code
  end
  local bytes = 0
  budget.names = budget.names - #entries
  if depth > DEPTH_MOST or budget.names < 0 then
    return nil, "count files: too many", "too_large"
  end
  for _, entry in ipairs(entries) do
    local name = folder .. "/" .. entry.name
    local more
    if entry.kind == "folder" then
      more, err, code = count(root, name, depth + 1, budget)
      if not more and code ~= "not_found" and code ~= "denied" then
        return nil, err, code
      end
    elseif entry.kind == "file" then
      local stat = root:stat(name, { follow = false })
      more = stat and stat.size
    end
    bytes = bytes + (more or 0)
  end
  return bytes
end

--- Whether a value is a quota.
---@param value any
---@return boolean
function quota.is_one(value)
  return getmetatable(value) == Quota or shared.is_one(value)
end

---@class moonwire.quota_options
--- A key of moonwire.store under which the bytes are counted, by all who name it: in all workers.
---@field shared? string
--- Whether the files are counted although the store has a number from before; default true. False where
--- others may be writing.
---@field recount? boolean

--- Counts what is below a folder. Waits. Public functions call this as the last thing that they do: what is
--- wrong with their third argument blames their callers.
---@param root moonwire.folder
---@param limit integer bytes
---@param options? moonwire.quota_options
---@return moonwire.quota? quota
---@return string? err
---@return moonwire.code? code "too_large": above a million names, or 64 folders in each other
function quota.new(root, limit, options)
  check.options(options, KNOWN, 3, "quota")
  local key = options and options.shared
  if key and not (#key > 0 and #key <= KEY_MOST) then
    check.refuse(3, "quota", ("option 'shared': a key of 1 to %d bytes expected"):format(KEY_MOST))
  end
  local function count_all()
    return count(root, ".", 0, { names = NAMES_MOST })
  end
  if key then
    return shared.new(key, limit, count_all, options.recount ~= false)
  end
  local used, err, code = count_all()
  if not used then
    return nil, err, code
  end
  return setmetatable({ limit = limit, used = used }, Quota)
end

--- Takes bytes before they are written.
---@param bytes integer
---@return boolean is_taken false: there is no room for them
function Quota:take(bytes)
  if self.used + bytes > self.limit then
    return false
  end
  self.used = self.used + bytes
  return true
end

--- Gives back bytes of what was removed, or not written after all.
---@param bytes integer
function Quota:give(bytes)
  self.used = math.max(self.used - bytes, 0)
end

return quota
