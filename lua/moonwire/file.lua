--- Files, without holding up the loop: a few threads do what may block. A folder
--- from `file.root` confines all names to what is below it; the functions of the
--- module take any path, from the current folder on.
local check = require "moonwire.check"
local core = require "moonwire.core"
local task = require "moonwire.task"

local file = {}

local LOCK_SECONDS <const> = 30
local CHUNK <const>, LINE_MAX <const> = 64 * 1024, 64 * 1024
local FIRST_PAUSE <const>, LONGEST_PAUSE <const> = 0.005, 0.2

---@class moonwire.file_read_options
---@field max? integer bytes, up to 1 GiB; default 1 MiB. A larger file is "too_large"

---@class moonwire.file_append_options
---@field permissions? string of a new file, three octal digits; default "666" less the umask
---@field sync? boolean whether the bytes are on the disk when the call returns; default false

---@class moonwire.file_write_options
--- Three octal digits; default: those of the file that is replaced, or else "666" less the umask.
---@field permissions? string
---@field only_new? boolean whether a file that is there already is left alone: "exists"; default false
---@field sync? boolean whether the content is on the disk when the call returns; default true

---@class moonwire.file_open_options
---@field permissions? string of a new file, three octal digits; default "666" less the umask
---@field status? boolean a second result: what file:stat tells of it; default false

---@class moonwire.file_stat_options
---@field follow? boolean whether a link at the end is followed; default true

---@class moonwire.file_status
---@field kind "file"|"folder"|"link"|"fifo"|"socket"|"device"
---@field size integer bytes
---@field modified number seconds since 1970
---@field permissions string three octal digits
---@field user integer
---@field group integer
---@field id integer the same for all names of one file

---@class moonwire.file_list_options
---@field max? integer names; default 10000. A folder with more is "too_large"

---@class moonwire.file_entry
---@field name string
---@field kind "file"|"folder"|"link"|"fifo"|"socket"|"device"

---@class moonwire.file_make_folder_options
---@field permissions? string three octal digits, less the umask; default "777"
--- Whether folders on the way are made, and one that is there already will do; default false.
---@field parents? boolean
---@field sync? boolean whether what was made is on the disk when the call returns; default false

---@class moonwire.file_rename_options
---@field replace? boolean whether a file of that name is replaced, else it is "exists"; default true
---@field sync? boolean whether the new name is on the disk when the call returns; default false

---@class moonwire.file_remove_options
---@field sync? boolean whether the file is gone from the disk when the call returns; default false

---@class moonwire.file_lock_options
---@field exclusive? boolean default true; false: others may have the lock too, if they share it
---@field timeout? number|false seconds to wait for it; default 30. 0: try once; false: no limit

---@class moonwire.file_root_options
--- Whether symbolic links that stay below the folder are followed; default true. Others never are.
---@field links? boolean

--- A folder as the root of all names given to its methods: what leads out of it,
--- by "..", by an absolute path or by a link, is refused by the kernel. Does not
--- wait, so that a module may have one at its top level.
---@param path string
---@param options? moonwire.file_root_options
---@return moonwire.folder?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid" (no folder), "descriptors"
file.root = core.file.root

--- Reads a whole file.
---@param name string
---@param options? moonwire.file_read_options
---@return string? data
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "too_large"
file.read = core.file.read

--- Writes a whole file: it has the old content or the new one at any time, also after a crash.
---@param name string
---@param data string
---@param options? moonwire.file_write_options
---@return true?
---@return string? err
---@return moonwire.code? code "full", "denied", "not_found", "invalid", "exists"
file.write = core.file.write

--- Appends to a file, which is made when there is none.
---@param name string
---@param data string
---@param options? moonwire.file_append_options
---@return true?
---@return string? err
---@return moonwire.code? code "full", "denied", "not_found", "invalid"
file.append = core.file.append

--- Opens a file.
---@param name string
---@param mode? "read"|"write"|"append"|"update" default "read"
---@param options? moonwire.file_open_options
---@return moonwire.file?
---@return string|moonwire.file_status? err
---@return moonwire.code? code "not_found", "denied", "invalid", "descriptors"
file.open = core.file.open

--- What is known of a file or folder.
---@param name string
---@param options? moonwire.file_stat_options
---@return moonwire.file_status?
---@return string? err
---@return moonwire.code? code "not_found", "denied"
file.stat = core.file.stat

--- The names in a folder, sorted by their bytes.
---@param name? string default: the folder itself
---@param options? moonwire.file_list_options
---@return moonwire.file_entry[]?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "too_large"
file.list = core.file.list

--- Makes a folder.
---@param name string
---@param options? moonwire.file_make_folder_options
---@return true?
---@return string? err
---@return moonwire.code? code "exists", "not_found", "denied", "full"
file.make_folder = core.file.make_folder

--- Removes a file, a link, or a folder that is empty.
---@param name string
---@param options? moonwire.file_remove_options
---@return true?
---@return string? err
---@return moonwire.code? code "not_found", "exists" (something is in the folder), "denied"
file.remove = core.file.remove

--- Gives another name to a file or folder.
---@param from string
---@param to string
---@param options? moonwire.file_rename_options
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

-- A function that raises in the name of the public function which calls the caller, for its options table.
local function expect_table(options, position, name)
  local function refuse(problem)
    error(("bad argument #%d to '%s' (%s)"):format(position, name, problem), 4)
  end
  if options ~= nil and type(options) ~= "table" then
    error(("bad argument #%d to '%s' (table expected, got %s)"):format(position, name, type(options)), 4)
  end
  return refuse
end

local function read_lock_options(options, position, name)
  local refuse = expect_table(options, position, name)
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
---@param options? moonwire.file_lock_options
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

-- Refuses what is no file or no folder, for methods that are written here, in the words of the others.
local function expect(methods, value, name)
  local ok, message = pcall(methods.is_open, value)
  if not ok then
    error((message:gsub("'%?'", "'" .. name .. "'")), 3)
  end
end

-- The methods that are not written in C are described beside those that are, in lua/meta/file.lua.
core.file.folder_methods.lock = function(self, name, options)
  expect(core.file.folder_methods, self, "lock")
  if type(name) ~= "string" then
    check.refuse(1, "lock", "string expected, got " .. type(name))
  end
  local exclusive, seconds = read_lock_options(options, 2, "lock")
  return lock_file(function() return self:open(name, "append") end, exclusive, seconds)
end

core.file.file_methods.lock = function(self, options)
  expect(core.file.file_methods, self, "lock")
  local exclusive, seconds = read_lock_options(options, 1, "lock")
  return acquire(self, exclusive, seconds)
end

local function read_line_limit(options, position, name)
  local refuse = expect_table(options, position, name)
  for key in pairs(options or {}) do
    if key ~= "max" then
      refuse(("unknown option '%s' (known: max)"):format(tostring(key)))
    end
  end
  local max = options and options.max or LINE_MAX
  if math.type(max) ~= "integer" or max < 1 then
    refuse(("option 'max': an integer above 0 expected, got %s"):format(tostring(max)))
  end
  return max
end

-- Raises faults; "too_large" for a line that is longer than `max`.
local function iterate_lines(opened, max)
  local data, from = "", 1
  return function()
    local last
    repeat
      local ending = data:find("\n", from, true)
      local line = data:sub(from, ending and ending - 1):gsub("\r$", "")
      if #line > max then
        error(core.fault("too_large", "too_large"), 0)
      elseif ending then
        from = ending + 1
        return line
      end
      local more, err, code = opened:read(CHUNK)
      if not more and code ~= "eof" then
        error(core.fault(code, err), 0)
      end
      last = not more and data:sub(from)
      data, from = more and data:sub(from) .. more or "", 1
    until last
    return last ~= "" and last or nil
  end
end

core.file.file_methods.lines = function(self, options)
  expect(core.file.file_methods, self, "lines")
  local max = read_line_limit(options, 1, "lines")
  local ok, message = pcall(self.chunks, self) -- refuses what cannot be read, such as a file opened to write
  return ok and iterate_lines(self, max) or error(message, 2)
end

local function next_event(watch)
  local event, err, code = watch:next()
  if event or code == "closed" or code == "eof" then
    return event
  end
  error(core.fault(code, err), 0)
end

core.file.watch_methods.events = function(self)
  return next_event, self
end

return file
