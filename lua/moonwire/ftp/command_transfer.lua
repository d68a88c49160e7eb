--- Commands that transfer files (RFC 959 §4.1.3, RFC 3659 §5). Not for scripts.
local crypto = require "moonwire.crypto"
local codec = require "moonwire.codec"
local failure = require "moonwire.ftp.failure"
local line = require "moonwire.ftp.line"
local path = require "moonwire.ftp.path"
local transfer = require "moonwire.ftp.transfer"

---@type table<string, moonwire.ftp.command>
local commands = {}

local STATUS <const> = { status = true }
local UNIQUE_TRIES <const> = 8

local function resolve(self, argument)
  return path.resolve(self.state.folder, line.decode_name(argument))
end

-- The reply that precedes what the data connection is opened for.
local function announce(self, text)
  return self.conn:write(line.reply(150, text))
end

local function type_name(self)
  return self.state.type == "A" and "ASCII" or "BINARY"
end

commands.RETR = { needs_login = true, argument = "required", data = true, run = function(self, argument)
  local absolute, offset = resolve(self, argument), self.state.offset
  local file, found, code = self.account.root:open(path.below(absolute), "read", STATUS)
  if not file then
    return failure.of_file(code)
  elseif offset > found.size then
    file:close()
    return 554, "There is nothing from there on"
  end
  -- Clients read the size of the whole here, for want of SIZE.
  announce(self, ("Opening %s mode data connection (%d bytes)"):format(type_name(self), found.size))
  transfer.download(self, absolute, file, offset)
end }

local function give(self, bytes)
  local quota = self.account.quota
  if quota then
    quota:give(bytes)
  end
end

-- Cuts the file where the upload begins. Nil, code: it is shorter.
local function cut(self, file, size, offset)
  if offset > size then
    return nil, 554, "There is nothing from there on"
  end
  local ok, _, code = file:truncate(offset)
  if not ok then
    return nil, failure.of_file(code)
  end
  give(self, size - offset)
  file:seek(offset)
  return true
end

local function receive(self, absolute, mode, offset)
  local file, found, code = self.account.root:open(path.below(absolute), mode, STATUS)
  if not file then
    return failure.of_file(code)
  end
  if mode == "update" then
    local ok, reply, text = cut(self, file, found.size, offset)
    if not ok then
      file:close()
      return reply, text
    end
  end
  announce(self, ("Opening %s mode data connection"):format(type_name(self)))
  transfer.upload(self, absolute, file)
end

commands.STOR = { needs_login = true, writes = true, argument = "required", data = true,
  run = function(self, argument)
    return receive(self, resolve(self, argument), "update", self.state.offset)
  end }

commands.APPE = { needs_login = true, writes = true, argument = "required", data = true,
  run = function(self, argument)
    return receive(self, resolve(self, argument), "append")
  end }

-- A name that nothing has yet: the one that was asked for, or that and a few letters more.
local function make_unique(self, wanted)
  local name, code = wanted, nil
  for _ = 1, UNIQUE_TRIES do
    local ok
    ok, _, code = self.account.root:write(path.below(name), "", { only_new = true, sync = false })
    if ok then
      return name
    elseif code ~= "exists" then
      return nil, code
    end
    name = wanted .. "." .. codec.hex_encode(crypto.random_bytes(4))
  end
  return nil, code
end

commands.STOU = { needs_login = true, writes = true, data = true, run = function(self, argument)
  local absolute, code = make_unique(self, resolve(self, argument == "" and "file" or argument))
  if not absolute then
    return failure.of_file(code)
  end
  local file, _, problem = self.account.root:open(path.below(absolute), "update")
  if not file then
    return failure.of_file(problem)
  end
  local _, name = path.split(absolute)
  announce(self, "FILE: " .. line.encode_name(name)) -- in these words: RFC 1123 §4.1.2.9
  transfer.upload(self, absolute, file)
end }

return commands
