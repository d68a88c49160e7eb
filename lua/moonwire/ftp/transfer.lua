--- What passes over data connections: files, both ways, and lists. A transfer is a task of its own, so that
--- the control connection is heard meanwhile; it returns the reply. Not for scripts.
local core = require "moonwire.core"
local data = require "moonwire.ftp.data"
local failure = require "moonwire.ftp.failure"
local task = require "moonwire.task"

local transfer = {}

local CHUNK <const> = 65536 -- bytes

---@class moonwire.ftp.transfer
---@field kind "download"|"upload"|"list"
---@field path string absolute
---@field bytes integer over the data connection so far
---@field task moonwire.task
---@field seconds? number
---@field reply? integer

-- Lines of text have CRLF on the way (RFC 959 §3.1.1.1).
local function send_text(self, stream, file)
  local last = ""
  for chunk in file:chunks { max = CHUNK } do
    local text = (last .. chunk):gsub("\r?\n", "\r\n")
    last = ""
    if text:sub(-1) == "\r" then
      text, last = text:sub(1, -2), "\r"
    end
    local ok, err, code = stream:write(text)
    if not ok then
      return nil, err, code
    end
    self.bytes = self.bytes + #text
  end
  return stream:write(last)
end

local function send_bytes(self, stream, file, offset)
  local sent, err, code = stream:send_file(file, offset)
  self.bytes = self.bytes + (sent or 0)
  return sent, err, code
end

-- Puts a chunk into the file, and into the account's quota.
local function store(session, file, chunk)
  local quota = session.account.quota
  if quota and not quota:take(#chunk) then
    return 552, "Over quota"
  end
  local ok, _, code = file:write(chunk)
  if not ok then
    if quota then
      quota:give(#chunk)
    end
    return failure.of_file(code)
  end
end

-- The chunk with LF for CRLF, and what of it may be the first half of one.
local function to_lines(text)
  local last = ""
  if text:sub(-1) == "\r" then
    text, last = text:sub(1, -2), "\r"
  end
  return text:gsub("\r\n", "\n"), last
end

local function receive(self, session, stream, file)
  local is_text, last = session.state.type == "A", ""
  while true do
    local chunk, _, code = stream:read_some(CHUNK)
    if code == "eof" then
      return store(session, file, last)
    elseif not chunk then
      return failure.of_data(code)
    end
    self.bytes = self.bytes + #chunk
    if is_text then
      chunk, last = to_lines(last .. chunk)
    end
    local reply, text = store(session, file, chunk)
    if reply then
      return reply, text
    end
  end
end

-- Waits until the client has it, as far as the kernel knows.
local function finish(stream)
  local ok, err, code = stream:flush()
  if not ok then
    return nil, err, code
  end
  stream:close()
  return true
end

local function send(stream, produce)
  local ok, _, code = produce(stream)
  if ok then
    ok, _, code = finish(stream)
  end
  if not ok then
    return failure.of_data(code)
  end
end

-- Opens the data connection, does the work and says how it went.
local function perform(session, is_upload, work)
  local stream <close>, _, code = data.open(session, is_upload)
  if not stream then
    return failure.of_opening(code)
  end
  local reply, text = work(stream)
  if reply then
    stream:abort()
    return reply, text
  end
  return 226, "Done"
end

local function run(self, session, work, cleanup)
  local begin = core.now()
  local held <close> = setmetatable({}, { __close = function() -- luacheck: ignore 211
    self.seconds = core.now() - begin
    cleanup()
  end })
  local reply, text = perform(session, self.kind == "upload", work)
  self.reply = reply
  return reply, text
end

local function start(session, kind, path, work, cleanup)
  local self = { kind = kind, path = path, bytes = 0 }
  session.transfer = self
  self.task = task.spawn(run, self, session, function(stream) return work(self, stream) end, cleanup)
end

--- Sends a file from an offset on; closes it.
---@param session moonwire.ftp.session
---@param path string absolute
---@param file moonwire.file
---@param offset integer
function transfer.download(session, path, file, offset)
  start(session, "download", path, function(self, stream)
    return send(stream, function()
      if session.state.type == "A" then
        file:seek(offset)
        return send_text(self, stream, file)
      end
      return send_bytes(self, stream, file, offset)
    end)
  end, function() file:close() end)
end

--- Receives a file, whose position is set; closes it.
---@param session moonwire.ftp.session
---@param path string absolute
---@param file moonwire.file
function transfer.upload(session, path, file)
  start(session, "upload", path, function(self, stream)
    return receive(self, session, stream, file)
  end, function() file:close() end)
end

--- Sends lines.
---@param session moonwire.ftp.session
---@param path string absolute
---@param lines fun(): string? an iterator
function transfer.list(session, path, lines)
  start(session, "list", path, function(self, stream)
    return send(stream, function()
      for line in lines do
        local ok, err, code = stream:write(line)
        if not ok then
          return nil, err, code
        end
        self.bytes = self.bytes + #line
      end
      return true
    end)
  end, function() end)
end

return transfer
