--- A client of FTP, from ftp.connect.
local check = require "moonwire.check"
local client_data = require "moonwire.ftp.client_data"
local entries = require "moonwire.ftp.entries"
local net = require "moonwire.net"

local client = {}

local LINE_BYTES <const> = 4096
local LINES_MOST <const> = 1000 -- of a reply
local CHUNK <const> = 65536 -- bytes
local MAX_DEFAULT <const> = 1048576 -- bytes of a file in memory
local LIST_BYTES <const> = 64 * 1024 * 1024

-- What a refusal means; all others are "protocol".
local CODES <const> = {
  [421] = "closed", [425] = "unreachable", [426] = "reset", [430] = "denied", [452] = "full",
  [500] = "unsupported", [501] = "invalid", [502] = "unsupported", [504] = "unsupported",
  [530] = "denied", [532] = "denied", [534] = "denied", [550] = "not_found", [552] = "full", [553] = "denied",
}

--- A connection to a server of FTP. It closes with the task that opened it. One transfer goes on at a time.
---@class moonwire.ftp_client
---@field private conn moonwire.stream
---@field private options table
---@field private tls? table options of data connections
---@field private extended? boolean whether MLSD is known
local Client = { __name = "moonwire.ftp_client" }
Client.__index = Client

-- A whole reply: the number and the text of its last line, and all lines.
local function read_reply(self)
  local line, err, code = self.conn:read_line(LINE_BYTES)
  if not line then
    return nil, err, code
  end
  local number, more = line:match("^(%d%d%d)([- ]?)")
  if not number then
    return nil, "ftp: no reply: " .. ("%q"):format(line:sub(1, 80)), "protocol"
  end
  local lines = { line }
  while more == "-" do
    line, err, code = self.conn:read_line(LINE_BYTES)
    if not line or #lines >= LINES_MOST then
      return nil, err or "ftp: the reply is too long", code or "too_large"
    end
    lines[#lines + 1] = line
    more = line:sub(1, 4) == number .. " " and " " or "-"
  end
  return tonumber(number), line:sub(5), lines
end

local function refusal(self, text, reply, answer)
  return nil, ("ftp %s %s: %d %s"):format(text:match("^%S+"), self.conn:peer_address(), reply, answer),
    CODES[reply] or "protocol"
end

---@private
function Client:exchange(text)
  if text:find("[\r\n%z]") then
    return nil, "ftp: CR, LF or NUL in a name", "invalid"
  end
  local ok, err, code = self.conn:write(text:gsub("\255", "\255\255"), "\r\n")
  if not ok then
    return nil, err, code
  end
  return read_reply(self)
end

---@private
function Client:demand(text, wanted)
  local reply, answer, rest = self:exchange(text)
  if not reply then
    return nil, answer, rest
  elseif reply ~= wanted and reply // 100 ~= wanted then
    return refusal(self, text, reply, answer)
  end
  return reply, answer, rest
end

-- Makes a transfer begin: the stream that it goes over.
local function begin(self, text, offset)
  local way, err, code = client_data.agree(self)
  if not way then
    return nil, err, code
  end
  local ok = true
  if offset and offset > 0 then
    ok, err, code = self:demand(("REST %d"):format(offset), 350)
  end
  if ok then
    ok, err, code = self:demand(text, 1)
  end
  if not ok then
    way:close()
    return nil, err, code
  end
  return client_data.open(self, way)
end

-- The last word of the server on a transfer.
local function finish(self, stream, text)
  stream:close()
  local reply, answer, rest = read_reply(self)
  if not reply then
    return nil, answer, rest
  elseif reply // 100 ~= 2 then
    return refusal(self, text, reply, answer)
  end
  return true
end

-- Breaks a transfer off that we cannot go on with, and returns why.
local function give_up(self, stream, err, code)
  stream:abort()
  read_reply(self)
  return nil, err, code
end

local function read_list(self, text)
  local stream, err, code = begin(self, text)
  if not stream then
    return nil, err, code
  end
  local all
  all, err, code = stream:read_all(LIST_BYTES)
  if not all then
    return give_up(self, stream, err, code)
  end
  local ok
  ok, err, code = finish(self, stream, text)
  return ok and all, err, code
end

--- What is in a folder: a list of tables with `name`, `kind` ("file", "folder", "link", "other"), and as far
--- as the server tells them `size` in bytes and `modified` in seconds since 1970.
---@param name? string default: the current folder
---@return table[]? list
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "closed", "timeout", "too_large"
function Client:list(name)
  local suffix = name and " " .. name or ""
  local text, err, code
  if self.extended ~= false then
    text, err, code = read_list(self, "MLSD" .. suffix)
    self.extended = code ~= "unsupported"
  end
  if not text and code == "unsupported" or not self.extended then
    text, err, code = read_list(self, "LIST" .. suffix)
  end
  if not text then
    return nil, err, code
  end
  local list, parse = {}, self.extended and entries.of_facts or entries.of_long
  for line in text:gmatch("([^\n]*)\n") do
    list[#list + 1] = parse((line:gsub("\r$", "")))
  end
  return list
end

-- Passes a file's bytes on to a function.
local function receive(self, name, offset, take)
  local text = "RETR " .. name
  local stream, err, code = begin(self, text, offset)
  if not stream then
    return nil, err, code
  end
  local chunk
  while true do
    chunk, err, code = stream:read_some(CHUNK)
    if code == "eof" then
      return finish(self, stream, text)
    elseif chunk then
      chunk, err, code = take(chunk)
    end
    if not chunk then
      return give_up(self, stream, err, code)
    end
  end
end

---@class moonwire.ftp_get_options
---@field offset? integer bytes to skip; default 0
---@field max? integer bytes at most; default 1048576; of download: no limit

local GET_KNOWN <const> = { offset = "number", max = "integer" }

--- The content of a file.
---@param name string
---@param options? moonwire.ftp_get_options
---@return string? content
---@return string? err
---@return moonwire.code? code "not_found", "too_large", "denied", "invalid", "closed", "timeout"
function Client:get(name, options)
  check.type(name, "string", 1, "get")
  check.options(options, GET_KNOWN, 2, "get")
  local max = options and options.max or MAX_DEFAULT
  local parts, size = {}, 0
  local ok, err, code = receive(self, name, options and options.offset, function(chunk)
    size = size + #chunk
    if size > max then
      return nil, "too_large", "too_large"
    end
    parts[#parts + 1] = chunk
    return true
  end)
  return ok and table.concat(parts), err, code
end

--- Writes a file into one that is open here, at its position.
---@param name string
---@param file moonwire.file
---@param options? moonwire.ftp_get_options
---@return integer? bytes
---@return string? err
---@return moonwire.code? code "not_found", "too_large", "full", "denied", "invalid", "closed", "timeout"
function Client:download(name, file, options)
  check.type(name, "string", 1, "download")
  check.options(options, GET_KNOWN, 3, "download")
  local max, size = options and options.max or math.huge, 0
  local ok, err, code = receive(self, name, options and options.offset, function(chunk)
    size = size + #chunk
    if size > max then
      return nil, "too_large", "too_large"
    end
    return file:write(chunk)
  end)
  return ok and size, err, code
end

-- Tickets of TLS come on a connection on which we only send: closed with these unread, it would end in a
-- reset, and the server may lose what it has not read yet.
local function end_data(stream)
  local ok, err, code = stream:flush()
  if ok then
    ok, err, code = stream:shutdown_write()
    stream:read_all(CHUNK)
  end
  return ok, err, code
end

---@class moonwire.ftp_put_options
---@field offset? integer where the server's file goes on; default 0
---@field append? boolean add to the server's file; default false

local PUT_KNOWN <const> = { offset = "number", append = "boolean" }

--- Stores bytes, or a file that is open here from its beginning (from `offset` on, when that is given).
---@param name string
---@param source string|moonwire.file
---@param options? moonwire.ftp_put_options
---@return boolean? ok
---@return string? err
---@return moonwire.code? code "denied", "full", "not_found", "invalid", "closed", "timeout"
function Client:put(name, source, options)
  check.type(name, "string", 1, "put")
  check.options(options, PUT_KNOWN, 3, "put")
  local offset = options and options.offset or 0
  local text = (options and options.append and "APPE " or "STOR ") .. name
  local stream, err, code = begin(self, text, offset)
  if not stream then
    return nil, err, code
  end
  local ok
  if type(source) == "string" then
    ok, err, code = stream:write(source)
  else
    ok, err, code = stream:send_file(source, offset)
  end
  if ok then
    ok, err, code = end_data(stream)
  end
  if not ok then
    local _, answer, why = finish(self, stream, text)
    return nil, answer or err, why or code
  end
  return finish(self, stream, text)
end

local function simple(self, text, wanted)
  local reply, answer, code = self:demand(text, wanted)
  if not reply then
    return nil, answer, code
  end
  return true
end

--- Changes the current folder.
---@param name string
---@return boolean? ok
---@return string? err
---@return moonwire.code? code "not_found", "invalid", "closed", "timeout"
function Client:change_folder(name)
  return simple(self, "CWD " .. name, 2)
end

--- The current folder.
---@return string? name
---@return string? err
---@return moonwire.code? code "closed", "timeout", "protocol"
function Client:folder()
  local reply, text, code = self:demand("PWD", 257)
  if not reply then
    return nil, text, code
  end
  local name = text:match('^"(.*)"')
  if not name then
    return nil, "ftp: no name in the answer", "protocol"
  end
  return (name:gsub('""', '"'))
end

--- Makes a folder.
---@param name string
---@return boolean? ok
---@return string? err
---@return moonwire.code? code "not_found" (or it exists), "denied", "invalid", "closed", "timeout"
function Client:make_folder(name)
  return simple(self, "MKD " .. name, 2)
end

--- Removes a folder that is empty.
---@param name string
---@return boolean? ok
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "closed", "timeout"
function Client:remove_folder(name)
  return simple(self, "RMD " .. name, 2)
end

--- Removes a file.
---@param name string
---@return boolean? ok
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "closed", "timeout"
function Client:remove(name)
  return simple(self, "DELE " .. name, 2)
end

--- Gives a file or folder another name.
---@param from string
---@param to string
---@return boolean? ok
---@return string? err
---@return moonwire.code? code "not_found", "denied", "invalid", "closed", "timeout"
function Client:rename(from, to)
  local ok, err, code = simple(self, "RNFR " .. from, 3)
  if not ok then
    return nil, err, code
  end
  return simple(self, "RNTO " .. to, 2)
end

--- The size of a file in bytes.
---@param name string
---@return integer? size
---@return string? err
---@return moonwire.code? code "not_found", "unsupported", "invalid", "closed", "timeout"
function Client:size(name)
  local reply, text, code = self:demand("SIZE " .. name, 213)
  if not reply then
    return nil, text, code
  end
  return math.tointeger(tonumber(text))
end

--- When a file was changed, in seconds since 1970.
---@param name string
---@return integer? seconds
---@return string? err
---@return moonwire.code? code "not_found", "unsupported", "invalid", "closed", "timeout"
function Client:modified(name)
  local reply, text, code = self:demand("MDTM " .. name, 213)
  if not reply then
    return nil, text, code
  end
  return entries.seconds_of(text)
end

--- Says goodbye and closes the connection. May be called again.
function Client:close()
  if self.conn:is_open() then
    self.conn:try_write("QUIT\r\n")
    self.conn:close()
  end
end

Client.__close = Client.close

client.methods = Client

local function log_in(self)
  local text = "USER " .. self.options.user
  local reply, answer, code = self:exchange(text)
  if reply == 331 then
    text = "PASS " .. self.options.password
    reply, answer, code = self:exchange(text)
  end
  if not reply then
    return nil, answer, code
  elseif reply // 100 ~= 2 then
    return refusal(self, text, reply, answer)
  end
  return self:demand("TYPE I", 2)
end

local function secure(self)
  local ok, err, code = self:demand("AUTH TLS", 234)
  if not ok then
    return nil, err, code
  end
  return self.conn:start_tls(self.tls)
end

local function protect(self)
  local ok, err, code = self:demand("PBSZ 0", 2)
  if not ok then
    return nil, err, code
  end
  return self:demand("PROT P", 2)
end

-- Data connections go to an address; the certificate is the host's.
local function with_name(tls, address)
  local copy = { role = "client", name = address:match("://%[?(.-)%]?:%d+$") }
  for key, value in pairs(tls) do
    copy[key] = value
  end
  return copy
end

local function introduce(self, implicit)
  local ok, err, code = read_reply(self)
  if ok and ok // 100 ~= 2 then
    return refusal(self, "connect", ok, err)
  end
  if ok and self.tls and not implicit then
    ok, err, code = secure(self)
  end
  if ok then
    ok, err, code = log_in(self)
  end
  if ok and self.tls then
    ok, err, code = protect(self)
  end
  return ok, err, code
end

---@private
function client.connect(address, options)
  local implicit = address:find("^tls:") ~= nil
  local conn, err, code = check.try(net.connect, address, {
    timeout = options.timeout, read_timeout = options.timeout, tls = implicit and (options.tls or {}) or nil,
  })
  if not conn then
    return conn, err, code
  end
  local self = setmetatable({ conn = conn, options = options }, Client)
  self.tls = (options.tls or implicit) and with_name(options.tls or {}, address) or nil
  local ok
  ok, err, code = introduce(self, implicit)
  if not ok then
    conn:close()
    return nil, err, code
  end
  return self
end

return client
