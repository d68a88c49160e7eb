--- Files, without holding up the loop: a few threads do what may block. A folder
--- from `file.root` confines all names to what is below it; the functions of the
--- module take any path, from the current folder on.
local check = require "moonwire.check"
local core = require "moonwire.core"
local task = require "moonwire.task"

local file = {}

local LOCK_SECONDS <const> = 30
local FIRST_PAUSE <const>, LONGEST_PAUSE <const> = 0.005, 0.2

---@class moonwire.root_options
--- Whether symbolic links that stay below the folder are followed; default true. Those that lead out never are.
---@field links? boolean

--- A folder as the root of all names given to its methods: what leads out of it,
--- by "..", by an absolute path or by a link, is refused by the kernel. Does not
--- wait, so that a module may have one at its top level.
---@param path string
---@param options? moonwire.root_options
---@return moonwire.folder?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid" (no folder), "descriptors"
file.root = core.file.root

--- Reads a whole file.
---@param name string
---@param options? moonwire.read_options
---@return string? data
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "too_large"
file.read = core.file.read

--- Writes a whole file: it has the old content or the new one at any time, also after a crash.
---@param name string
---@param data string
---@param options? moonwire.write_options
---@return true?
---@return string? err
---@return moonwire.code? code "full", "denied", "not_found", "invalid", "exists"
file.write = core.file.write

--- Appends to a file, which is made when there is none.
---@param name string
---@param data string
---@param options? moonwire.append_options
---@return true?
---@return string? err
---@return moonwire.code? code "full", "denied", "not_found", "invalid"
file.append = core.file.append

--- Opens a file.
---@param name string
---@param mode? "read"|"write"|"append"|"update" default "read"
---@param options? moonwire.open_options
---@return moonwire.file?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "descriptors"
file.open = core.file.open

--- What is known of a file or folder.
---@param name string
---@param options? moonwire.stat_options
---@return moonwire.file_status?
---@return string? err
---@return moonwire.code? code "not_found", "denied"
file.stat = core.file.stat

--- The names in a folder, sorted by their bytes.
---@param name? string default: the folder itself
---@param options? moonwire.list_options
---@return moonwire.file_entry[]?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "too_large"
file.list = core.file.list

--- Makes a folder.
---@param name string
---@param options? moonwire.make_folder_options
---@return true?
---@return string? err
---@return moonwire.code? code "exists", "not_found", "denied", "full"
file.make_folder = core.file.make_folder

--- Removes a file, a link, or a folder that is empty.
---@param name string
---@return true?
---@return string? err
---@return moonwire.code? code "not_found", "exists" (something is in the folder), "denied"
file.remove = core.file.remove

--- Gives another name to a file or folder.
---@param from string
---@param to string
---@param options? moonwire.rename_options
---@return true?
---@return string? err
---@return moonwire.code? code "not_found", "exists", "denied", "invalid"
file.rename = core.file.rename

--- Watches a folder, or one name in it.
---@param name string
---@return moonwire.watch?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "descriptors"
file.watch = core.file.watch

-- Raises in the name of the public function that calls the caller.
local function read_lock_options(options, position, name)
  local function refuse(problem)
    error(("bad argument #%d to '%s' (%s)"):format(position, name, problem), 4)
  end
  if options ~= nil and type(options) ~= "table" then
    refuse("table expected, got " .. type(options))
  end
  local exclusive, seconds = true, LOCK_SECONDS
  for key, value in pairs(options or {}) do
    if key == "exclusive" and type(value) == "boolean" then
      exclusive = value
    elseif key == "timeout" and (value == false or type(value) == "number" and value >= 0) then
      seconds = value or math.huge
    elseif key == "exclusive" then
      refuse(("option 'exclusive': true or false expected, got %s"):format(type(value)))
    elseif key == "timeout" then
      refuse(("option 'timeout': seconds or false expected, got %s"):format(type(value)))
    else
      refuse(("unknown option '%s' (known: exclusive, timeout)"):format(tostring(key)))
    end
  end
  return exclusive, seconds
end

-- The kernel would hold up a thread for as long as another process likes: so it is asked again and again.
local function acquire(locked, exclusive, seconds)
  local due, pause = core.now() + seconds, FIRST_PAUSE
  repeat
    local ok, err, code = core.file.try_lock(locked, exclusive)
    if ok or code ~= "busy" then
      return ok, err, code
    end
    local left = due - core.now()
    if left <= 0 then
      return nil, "timeout", "timeout"
    end
    task.sleep(math.min(pause, left))
    pause = math.min(2 * pause, LONGEST_PAUSE)
  until false
end

-- `open` opens the file to be locked, which is made when there is none.
local function lock_file(open, exclusive, seconds)
  local opened, err, code = open()
  if not opened then
    return nil, err, code
  end
  local guard <close> = setmetatable({}, { __close = function(self)
    if not self.done then
      opened:close()
    end
  end })
  local ok
  ok, err, code = acquire(opened, exclusive, seconds)
  guard.done = ok
  return ok and opened, err, code
end

--- Locks a file, which is made when there is none, until what it returns is closed.
---@param name string
---@param options? moonwire.lock_options
---@return moonwire.file?
---@return string? err
---@return moonwire.code? code "timeout", "denied", "not_found", "invalid"
function file.lock(name, options)
  if type(name) ~= "string" then
    check.refuse(1, "lock", "string expected, got " .. type(name))
  end
  local exclusive, seconds = read_lock_options(options, 2, "lock")
  return lock_file(function() return file.open(name, "append") end, exclusive, seconds)
end

-- Of folders, described in lua/meta/file.lua like the methods that are written in C.
function core.file.folder_methods.lock(self, name, options)
  if type(name) ~= "string" then
    check.refuse(1, "lock", "string expected, got " .. type(name))
  end
  local exclusive, seconds = read_lock_options(options, 2, "lock")
  return lock_file(function() return self:open(name, "append") end, exclusive, seconds)
end

function core.file.file_methods.lock(self, options)
  local exclusive, seconds = read_lock_options(options, 1, "lock")
  return acquire(self, exclusive, seconds)
end

local function next_event(watch)
  local event, err, code = watch:next()
  if event or code == "closed" or code == "eof" then
    return event
  end
  error(core.fault(code, err), 0)
end

function core.file.watch_methods.events(self)
  return next_event, self
end

return file
