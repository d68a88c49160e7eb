---@meta
-- luacheck: ignore 212 241

--- A folder, from file.root: names given to its methods lead to what is below it,
--- or nowhere. It stays the same folder when it is renamed. It closes with the task
--- that made it; `keep` changes that.
---@class moonwire.folder
local folder = {}

--- A folder below this one, as a root of its own.
---@param name string
---@return moonwire.folder?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid" (no folder), "closed"
function folder:folder(name) end

--- Reads a whole file.
---@param name string
---@param options? moonwire.file_read_options
---@return string? data
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "too_large", "closed"
function folder:read(name, options) end

--- Writes a whole file: it has the old content or the new one at any time, also after a crash.
---@param name string
---@param data string
---@param options? moonwire.file_write_options
---@return true?
---@return string? err
---@return moonwire.code? code "full", "denied", "not_found", "invalid", "exists", "closed"
function folder:write(name, data, options) end

--- Appends to a file, which is made when there is none.
---@param name string
---@param data string
---@param options? moonwire.file_append_options
---@return true?
---@return string? err
---@return moonwire.code? code "full", "denied", "not_found", "invalid", "closed"
function folder:append(name, data, options) end

--- Opens a file.
---@param name string
---@param mode? "read"|"write"|"append"|"update" default "read"
---@param options? moonwire.file_open_options
---@return moonwire.file?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "descriptors", "closed"
function folder:open(name, mode, options) end

--- What is known of a file or folder.
---@param name string
---@param options? moonwire.file_stat_options
---@return moonwire.file_status?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "closed"
function folder:stat(name, options) end

--- The names in a folder, sorted by their bytes.
---@param name? string default: the folder itself
---@param options? moonwire.file_list_options
---@return moonwire.file_entry[]?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "too_large", "closed"
function folder:list(name, options) end

--- Makes a folder.
---@param name string
---@param options? moonwire.file_make_folder_options
---@return true?
---@return string? err
---@return moonwire.code? code "exists", "not_found", "denied", "full", "closed"
function folder:make_folder(name, options) end

--- Removes a file, a link, or a folder that is empty.
---@param name string
---@param options? moonwire.file_remove_options
---@return true?
---@return string? err
---@return moonwire.code? code "not_found", "exists" (something is in the folder), "denied", "closed"
function folder:remove(name, options) end

--- Gives another name to a file or folder.
---@param from string
---@param to string
---@param options? moonwire.file_rename_options
---@return true?
---@return string? err
---@return moonwire.code? code "not_found", "exists", "denied", "invalid", "closed"
function folder:rename(from, to, options) end

--- Watches a folder, or one name in it.
---@param name string
---@return moonwire.watch?
---@return string? err
---@return moonwire.code? code "not_found", "denied", "descriptors", "closed"
function folder:watch(name) end

--- Locks a file, which is made when there is none, until what it returns is closed.
---@param name string
---@param options? moonwire.file_lock_options
---@return moonwire.file?
---@return string? err
---@return moonwire.code? code "timeout", "denied", "not_found", "invalid", "closed"
function folder:lock(name, options) end

--- Lets it outlive the task that made it: it is the service's now.
---@return moonwire.folder self
function folder:keep() end

--- Whether it has not been closed.
---@return boolean
function folder:is_open() end

--- Closes it; files that were opened in it stay open. May be called again.
function folder:close() end

--- An open file. One operation at a time: for a second one it is "busy". It closes
--- with the task that opened it; `keep` changes that.
---@class moonwire.file
local file = {}

--- Reads the next bytes: as many as asked for, fewer at the end of the file.
---@param n integer up to 1 GiB
---@return string? data
---@return string? err
---@return moonwire.code? code "eof" (no byte is left), "busy", "closed", "system"
function file:read(n) end

--- Iterates over what is left, in pieces. Raises faults.
---@param options? moonwire.iteration_options max: of a piece, default 65536
---@return fun(file: moonwire.file): string?
---@return moonwire.file
function file:chunks(options) end

--- Iterates over lines, without LF or CRLF; the last one need not end in any.
--- It reads ahead: the position is somewhere behind the line. Raises faults.
---@param options? moonwire.iteration_options max: bytes of a line, default 65536; a longer one is "too_large"
---@return fun(): string?
function file:lines(options) end

--- Writes at the position, or at the end of a file opened to "append". When not
--- all can be written the file is as long as it was.
---@param ... string|number
---@return true?
---@return string? err
---@return moonwire.code? code "full", "busy", "closed", "system"
function file:write(...) end

--- Sets the position of the next byte to read or write.
---@param position integer from the beginning
---@return integer position
function file:seek(position) end

--- The position of the next byte to read or write.
---@return integer
function file:position() end

--- The size of the file.
---@return integer? bytes
---@return string? err
---@return moonwire.code? code "busy", "closed"
function file:size() end

--- What is known of the file, also when its name is another's by now.
---@return moonwire.file_status?
---@return string? err
---@return moonwire.code? code "busy", "closed"
function file:stat() end

--- Makes the file shorter, or longer with zero bytes.
---@param size integer
---@return true?
---@return string? err
---@return moonwire.code? code "full", "busy", "closed"
function file:truncate(size) end

--- Waits until all that was written is on the disk.
---@return true?
---@return string? err
---@return moonwire.code? code "system", "full", "busy", "closed"
function file:sync() end

--- Locks the file, until it is unlocked or closed. The lock is that of flock(2):
--- it keeps out who asks for it too, here or in another process, and nobody else.
---@param options? moonwire.file_lock_options
---@return true?
---@return string? err
---@return moonwire.code? code "timeout", "closed"
function file:lock(options) end

--- Gives the lock up.
---@return true?
---@return string? err
---@return moonwire.code? code "busy", "closed"
function file:unlock() end

--- Lets it outlive the task that opened it: it is the service's now.
---@return moonwire.file self
function file:keep() end

--- Whether it has not been closed.
---@return boolean
function file:is_open() end

--- Closes it. An operation under way is finished. May be called again.
function file:close() end

--- What happens in a folder, or to one name. It closes with the task that opened
--- it; `keep` changes that.
---@class moonwire.watch
local watch = {}

---@class moonwire.watch_event
---@field kind "created"|"changed"|"removed"|"renamed"|"overflow"
---@field name? string
---@field from? string of "renamed": the name before

--- Waits for the next event. What nobody has taken yet waits in the kernel.
---@param seconds? number how long at most; default: for ever
---@return moonwire.watch_event?
---@return string? err
---@return moonwire.code? code "timeout", "eof" (the folder is gone), "busy" (another task waits), "closed"
function watch:next(seconds) end

--- Iterates over events; ends when the folder is gone or the watch is closed.
---@return fun(watch: moonwire.watch): moonwire.watch_event?
---@return moonwire.watch
function watch:events() end

--- Lets it outlive the task that opened it: it is the service's now.
---@return moonwire.watch self
function watch:keep() end

--- Whether it has not been closed.
---@return boolean
function watch:is_open() end

--- Stops watching. May be called again.
function watch:close() end
