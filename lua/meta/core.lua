---@meta moonwire.core
-- luacheck: ignore 212 241

--- What the modules in lua/moonwire are made of. Internal: it may change with any
--- version; scripts use the modules.
---@class moonwire.core
local core = {}

--- A value to raise for a failure of the world.
---@param code moonwire.code
---@param message string
---@return moonwire.fault
function core.fault(code, message) end

--- Tells faults from other values.
---@param value any
---@return moonwire.code? code nil: it is none
---@return string? message
function core.is_fault(value) end

--- Monotonic seconds as of this turn of the loop.
---@return number
function core.now() end

--- Seconds since 1970, of the clock that may be set.
---@return number
function core.wall() end

--- How many tasks, streams and timers are alive in this process.
---@return { tasks: integer, streams: integer, timers: integer }
function core.usage() end

--- How much memory the scripts of this service use.
---@return moonwire.memory_use
function core.memory() end

--- Tasks that wait for something that happens in Lua.
---@class moonwire.waiters
local waiters = {}

core.waiters = {}

---@param name string what task:waits_for tells of a task that waits here
---@return moonwire.waiters
function core.waiters.new(name) end

--- Waits until it is woken.
---@param seconds? number default: for ever
---@return any ... what wake was called with, or `nil, "timeout", "timeout"`
function waiters:wait(seconds) end

--- Wakes the task that has waited longest. The values are lost when it is
--- cancelled before it runs.
---@param ... any
---@return boolean woken whether somebody waited
function waiters:wake(...) end

--- Wakes all who wait.
---@param ... any
---@return integer count
function waiters:wake_all(...) end

--- How many wait.
---@return integer
function waiters:count() end

--- Whether nobody waits.
---@return boolean
function waiters:is_empty() end

--- Signals that are listened for.
---@class moonwire.signals
local signals = {}

core.signal = {}

--- Listens from now on. Belongs to the running task. Raises for what is no
--- signal that can be caught.
---@param name moonwire.signal_name
---@param ... moonwire.signal_name
---@return moonwire.signals
function core.signal.watch(name, ...) end

--- Waits for the next one.
---@param seconds? number default: for ever
---@return moonwire.signal_name? name
---@return string? err
---@return moonwire.code? code "timeout", "closed", "busy"
function signals:wait(seconds) end

--- Stops listening; what has arrived can still be taken.
function signals:close() end

core.task = {}

--- The modules task, net, dns and log say what theirs do.
---@param fn function
---@param ... any
---@return moonwire.task
function core.task.spawn(fn, ...) end

---@return moonwire.task
function core.task.current() end

---@param seconds number
---@return true
function core.task.sleep(seconds) end

---@return true
function core.task.yield() end

--- With a deadline the group is a scope: past it, waits of its owner raise "timeout".
---@param seconds? number until its deadline; default: none
---@return moonwire.group
function core.task.group(seconds) end

--- How many tasks are alive.
---@return integer
function core.task.count() end

--- Message handler for xpcall, where the error will be raised again: keeps the
--- traceback for the log.
---@param value any
---@return any value
function core.task.keep_traceback(value) end

core.net = {}

---@param address string
---@param options? moonwire.listen_options
---@return moonwire.listener?, string?, moonwire.code?
function core.net.listen(address, options) end

---@param address string
---@param handler fun(conn: moonwire.stream, context: any)
---@param options? moonwire.listen_options
---@param context? any second argument of the handler
---@return moonwire.listener?, string?, moonwire.code?
function core.net.serve(address, handler, options, context) end

---@param address string
---@param options? moonwire.connect_options
---@return moonwire.stream?, string?, moonwire.code?
function core.net.connect(address, options) end

---@param address string
---@param options? moonwire.datagram_options
---@return moonwire.datagram?, string?, moonwire.code?
function core.net.datagram(address, options) end

---@param address string
---@param options? moonwire.connect_datagram_options
---@return moonwire.datagram?, string?, moonwire.code?
function core.net.connect_datagram(address, options) end

---@param a moonwire.stream
---@param b moonwire.stream
---@param options? moonwire.relay_options
---@return integer?, integer|string, moonwire.code?
function core.net.relay(a, b, options) end

---@return moonwire.stream, moonwire.stream
function core.net.pair() end

--- Serves the one connection that the process was started for, as a listener would that it has come to. For
--- the main task of `moonwire run`, once.
---@param handler function of connections, or of requests when there is `http`
---@param options? moonwire.listen_options
---@param context any last argument of the handler
---@param secure boolean whether it begins with TLS
---@param http? moonwire.http.options
---@return true?, string?, moonwire.code?
function core.net.serve_standard(handler, options, context, secure, http) end

core.dns = {}

---@param name string
---@param options? moonwire.dns_addresses_options
---@return string[]?, string?, moonwire.code?
function core.dns.addresses(name, options) end

---@param name string
---@param type "A"|"AAAA"|"MX"|"TXT"|"SRV"|"PTR"
---@return moonwire.dns_record[]?, string?, moonwire.code?
function core.dns.records(name, type) end

---@param address string
---@return string[]?, string?, moonwire.code?
function core.dns.reverse(address) end

---@param options moonwire.dns_options
---@return true?, string?, moonwire.code?
function core.dns.configure(options) end

core.codec = {}

---@param data string
---@param options? table
---@return string?, string?, moonwire.code?, integer?
function core.codec.base64_encode(data, options) end

---@param data string
---@param options? table
---@return string?, string?, moonwire.code?, integer?
function core.codec.base64_decode(data, options) end

---@param data string
---@param options? table
---@return string?, string?, moonwire.code?, integer?
function core.codec.url_encode(data, options) end

---@param data string
---@param options? table
---@return string?, string?, moonwire.code?, integer?
function core.codec.url_decode(data, options) end

---@param data string
---@param options? table
---@return string?, string?, moonwire.code?, integer?
function core.codec.quoted_printable_encode(data, options) end

---@param data string
---@return string?, string?, moonwire.code?, integer?
function core.codec.base64url_encode(data) end

---@param data string
---@return string?, string?, moonwire.code?, integer?
function core.codec.base64url_decode(data) end

---@param data string
---@return string?, string?, moonwire.code?, integer?
function core.codec.hex_encode(data) end

---@param data string
---@return string?, string?, moonwire.code?, integer?
function core.codec.hex_decode(data) end

---@param data string
---@return string?, string?, moonwire.code?, integer?
function core.codec.quoted_printable_decode(data) end

core.json = { null = nil } ---@type any light userdata NULL, as lua-cjson has it

---@param text string
---@param options? moonwire.json_decode_options
---@return any, string?, moonwire.code?, integer?
function core.json.decode(text, options) end

---@param value any
---@param options? moonwire.json_encode_options
---@return string
function core.json.encode(value, options) end

---@param list table
---@return table
function core.json.array(list) end

core.crypto = {}

---@param name moonwire.digest_name
---@param data string
---@return string
function core.crypto.digest(name, data) end

---@param name moonwire.digest_name
---@return moonwire.digest
function core.crypto.new_digest(name) end

---@param name moonwire.digest_name
---@param key string
---@param data string
---@return string
function core.crypto.hmac(name, key, data) end

---@param name moonwire.digest_name
---@param key string
---@param length integer
---@param options? moonwire.hkdf_options
---@return string
function core.crypto.hkdf(name, key, length, options) end

---@param password string
---@param salt string
---@param options? moonwire.pbkdf2_options
---@return string?, string?, moonwire.code?
function core.crypto.pbkdf2(password, salt, options) end

---@param password string
---@param salt string
---@param options? moonwire.scrypt_options
---@return string?, string?, moonwire.code?
function core.crypto.scrypt(password, salt, options) end

---@param key string
---@param data string
---@param options? moonwire.seal_options
---@return string
function core.crypto.seal(key, data, options) end

---@param key string
---@param sealed string
---@param options? moonwire.seal_options
---@return string?, string?, moonwire.code?
function core.crypto.open(key, sealed, options) end

---@param count integer
---@return string
function core.crypto.random_bytes(count) end

---@param low integer
---@param high integer
---@return integer
function core.crypto.random_integer(low, high) end

---@param a string
---@param b string
---@return boolean
function core.crypto.equal(a, b) end

---@param kind "ed25519"|"rsa"|"ec"
---@param options? moonwire.generate_key_options
---@return moonwire.key?, string?, moonwire.code?
function core.crypto.generate_key(kind, options) end

---@param pem string
---@param options? moonwire.key_password_options
---@return moonwire.key?, string?, moonwire.code?
function core.crypto.read_key(pem, options) end
core.process = {}

---@param command moonwire.spawn_options|string[]
---@return moonwire.child?, string?, moonwire.code?
function core.process.spawn(command) end
core.file = {}

--- What the methods of folders say, for any path. The methods written in Lua are
--- added to the tables of those in C.
core.file.folder_methods, core.file.file_methods, core.file.watch_methods = {}, {}, {}

--- One try, which does not wait for others to give the lock up.
---@param file moonwire.file
---@param exclusive boolean
---@return true?, string?, moonwire.code? code "busy": another has it
function core.file.try_lock(file, exclusive) end

---@param path string
---@param options? moonwire.file_root_options
---@return moonwire.folder?, string?, moonwire.code?
function core.file.root(path, options) end

---@param name string
---@param options? moonwire.file_read_options
---@return string?, string?, moonwire.code?
function core.file.read(name, options) end

---@param name string
---@param data string
---@param options? moonwire.file_write_options
---@return true?, string?, moonwire.code?
function core.file.write(name, data, options) end

---@param name string
---@param data string
---@param options? moonwire.file_append_options
---@return true?, string?, moonwire.code?
function core.file.append(name, data, options) end

---@param name string
---@param mode? "read"|"write"|"append"|"update"
---@param options? moonwire.file_open_options
---@return moonwire.file?, string?, moonwire.code?
function core.file.open(name, mode, options) end

---@param name string
---@param options? moonwire.file_stat_options
---@return moonwire.file_status?, string?, moonwire.code?
function core.file.stat(name, options) end

---@param name? string
---@param options? moonwire.file_list_options
---@return moonwire.file_entry[]?, string?, moonwire.code?
function core.file.list(name, options) end

---@param name string
---@param options? moonwire.file_make_folder_options
---@return true?, string?, moonwire.code?
function core.file.make_folder(name, options) end

---@param name string
---@return true?, string?, moonwire.code?
function core.file.remove(name) end

---@param from string
---@param to string
---@param options? moonwire.file_rename_options
---@return true?, string?, moonwire.code?
function core.file.rename(from, to, options) end

---@param name string
---@return moonwire.watch?, string?, moonwire.code?
function core.file.watch(name) end

core.metrics = {}

---@param name string
---@param help string
---@param options? moonwire.metric_options
---@return moonwire.counter
function core.metrics.counter(name, help, options) end

---@param name string
---@param help string
---@param options? moonwire.metric_options
---@return moonwire.gauge
function core.metrics.gauge(name, help, options) end

---@param name string
---@param help string
---@param options? moonwire.histogram_options
---@return moonwire.histogram
function core.metrics.histogram(name, help, options) end

---@return string
function core.metrics.text() end

core.log = {}

---@param message string
---@param fields? table<string, any>
function core.log.debug(message, fields) end

---@param message string
---@param fields? table<string, any>
function core.log.info(message, fields) end

---@param message string
---@param fields? table<string, any>
function core.log.warn(message, fields) end

---@param message string
---@param fields? table<string, any>
function core.log.error(message, fields) end

---@param level moonwire.level
function core.log.set_level(level) end

---@return moonwire.level
function core.log.get_level() end

---@param level moonwire.level
---@return boolean
function core.log.is_enabled(level) end

--- Lines that are typed at a terminal.
---@class moonwire.editor
local editor = {}

core.editor = {}

--- Edits lines at the terminal until it is closed; what is printed and logged
--- meanwhile appears above the line. Belongs to the running task.
---@param path? string the file of the history; default: none
---@return moonwire.editor
function core.editor.open(path) end

--- Whether lines can be edited: standard input and output are a terminal.
---@return boolean
function core.editor.is_terminal() end

--- How many columns the terminal has.
---@return integer
function core.editor.columns() end

--- Waits for what is typed. After "complete" it goes on with the same line.
---@param prompt string
---@return "line"|"complete"|"interrupted"|"end"|nil event
---@return string? text the line, or what stands before the cursor
---@return moonwire.code? code "busy"
function editor:read(prompt) end

--- After "complete": adds a text at the cursor.
---@param text string
function editor:insert(text) end

--- Gives up the line that is being typed.
function editor:interrupt() end

--- Adds an entry to the history.
---@param text string
function editor:remember(text) end

--- Gives the terminal back as it was.
function editor:close() end

--- Standard input as it comes.
---@class moonwire.input
local input = {}

core.input = {}

--- Belongs to the running task.
---@return moonwire.input
function core.input.open() end

--- Waits for bytes; nothing at the end.
---@return string? bytes
---@return string? err
---@return moonwire.code? code "busy"
function input:read() end

--- Reads no more.
function input:close() end

--- The whole screen of the terminal.
---@class moonwire.terminal
local terminal = {}

core.terminal = {}

--- Takes the screen, to draw on it: keys come one by one by core.input and are not
--- shown. Belongs to the running task. What was there before comes back when it
--- is closed, and whatever ends the process.
---@return moonwire.terminal? terminal
---@return string? err
---@return moonwire.code? code "unavailable": standard input and output are no terminal
function core.terminal.open() end

--- How large the terminal is.
---@return integer columns
---@return integer rows
function core.terminal.size() end

--- Gives the screen back as it was.
function terminal:close() end

--- The main task of the process, which serves the script.
core.main = {}

--- Waits for the end of a listener, of the last child when none is left, or for being told to stop.
---@return boolean stopping
function core.main.wait() end

--- Whether listeners are open or children of the main task run.
---@return boolean
function core.main.is_busy() end

--- Whether connections are open, and how many have failed so far by an error of the script's.
---@return boolean open
---@return integer failed
function core.main.served() end

---@param status integer what the process ends with, 0 to 255
function core.main.exit(status) end

--- What the running task opens and spawns from now on belongs to the service and
--- outlives it; but for what it spawns into groups that it opens.
function core.main.lend() end

--- The running task belongs to the process itself, which ends without waiting for it.
function core.main.step_aside() end

---@param strict boolean whether assignments to undeclared globals raise; default true
function core.main.set_strict(strict) end

core.data = {}

--- Plain data as bytes, for another state or process. Raises for what is none, naming the way to it.
---@param value any
---@param name? string what the value is called then; default "value"
---@param level? integer whose line is blamed, as of error(); default 1, the caller
---@return string bytes
function core.data.encode(value, name, level) end

---@param bytes string
---@return any value nil for nil, too
---@return string? err
---@return moonwire.code? code "invalid"
function core.data.decode(bytes) end

--- What a sandboxed script is given; nil in other states. `globals` holds the
--- functions that it has instead of Lua's own.
---@type { globals: table<string, function> }?
core.sandbox = nil

return core
