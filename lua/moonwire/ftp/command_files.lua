--- Commands on files and folders that need no data connection (RFC 959 §4.1.3, RFC 3659). Not for scripts.
local failure = require "moonwire.ftp.failure"
local line = require "moonwire.ftp.line"
local listing = require "moonwire.ftp.listing"
local path = require "moonwire.ftp.path"

---@type table<string, moonwire.ftp.command>
local commands = {}

local NO_FOLLOW <const> = { follow = false }

-- The absolute path that an argument means.
local function resolve(self, argument)
  return path.resolve(self.state.folder, line.decode_name(argument))
end

local function stat(self, absolute, options)
  return self.account.root:stat(path.below(absolute), options)
end

-- The answer to a file operation.
local function answer(ok, code, good, text)
  if ok then
    return good, text
  end
  return failure.of_file(code)
end

local function change_folder(self, absolute)
  local _, _, code = self.account.root:list(path.below(absolute), { max = self.options.names_most })
  if code and code ~= "too_large" then
    return failure.of_file(code)
  end
  self.state.folder = absolute
  return 250, "The folder is " .. line.quote(absolute)
end

commands.CWD = { needs_login = true, argument = "required", run = function(self, argument)
  return change_folder(self, resolve(self, argument))
end }

commands.CDUP = { needs_login = true, run = function(self)
  return change_folder(self, resolve(self, ".."))
end }

commands.PWD = { needs_login = true, run = function(self)
  return 257, line.quote(self.state.folder) .. " is the folder"
end }

commands.MKD = { needs_login = true, writes = true, argument = "required", run = function(self, argument)
  local absolute = resolve(self, argument)
  local ok, _, code = self.account.root:make_folder(path.below(absolute))
  return answer(ok, code, 257, line.quote(absolute) .. " was made")
end }

commands.RMD = { needs_login = true, writes = true, argument = "required", run = function(self, argument)
  local absolute = resolve(self, argument)
  local found, _, code = stat(self, absolute, NO_FOLLOW)
  if not found then
    return failure.of_file(code)
  elseif found.kind ~= "folder" or absolute == "/" then
    return failure.of_file("invalid")
  end
  local ok
  ok, _, code = self.account.root:remove(path.below(absolute))
  return answer(ok, code, 250, "It is removed")
end }

-- Bytes of a file that others may know by another name are counted on.
local function give_back(self, found)
  local quota = self.account.quota
  if quota and found and found.kind == "file" then
    quota:give(found.size)
  end
end

commands.DELE = { needs_login = true, writes = true, argument = "required", run = function(self, argument)
  local absolute = resolve(self, argument)
  local found, _, code = stat(self, absolute, NO_FOLLOW)
  if not found then
    return failure.of_file(code)
  elseif found.kind == "folder" then
    return failure.of_file("invalid")
  end
  local ok
  ok, _, code = self.account.root:remove(path.below(absolute))
  if ok then
    give_back(self, found)
  end
  return answer(ok, code, 250, "It is removed")
end }

commands.RNFR = { needs_login = true, writes = true, argument = "required", run = function(self, argument)
  local absolute = resolve(self, argument)
  local found, _, code = stat(self, absolute, NO_FOLLOW)
  if not found then
    return failure.of_file(code)
  elseif absolute == "/" then
    return failure.of_file("denied")
  end
  self.state.rename_from = absolute
  return 350, "RNTO comes next"
end }

commands.RNTO = { needs_login = true, writes = true, argument = "required", run = function(self, argument)
  local from, to = self.state.rename_from, resolve(self, argument)
  if not from then
    return 503, "RNFR first"
  end
  local replaced = from ~= to and stat(self, to, NO_FOLLOW) or nil
  local ok, _, code = self.account.root:rename(path.below(from), path.below(to))
  if ok then
    give_back(self, replaced)
  end
  return answer(ok, code, 250, "It is renamed")
end }

-- What is told of a regular file; anything else has neither size nor text.
local function tell_file(self, argument, tell)
  local found, _, code = stat(self, resolve(self, argument))
  if not found then
    return failure.of_file(code)
  elseif found.kind ~= "file" then
    return failure.of_file("invalid")
  end
  return 213, tell(found)
end

-- As text a file would have to be read to be measured (RFC 3659 §4).
commands.SIZE = { needs_login = true, argument = "required", run = function(self, argument)
  if self.state.type == "A" then
    return 550, "TYPE I first: lines of text have another size"
  end
  return tell_file(self, argument, function(found) return tostring(found.size) end)
end }

commands.MDTM = { needs_login = true, argument = "required", run = function(self, argument)
  return tell_file(self, argument, function(found) return listing.time(found.modified) end)
end }

commands.REST = { needs_login = true, argument = "required", run = function(self, argument)
  local offset = argument:find("^%d+$") and math.tointeger(tonumber(argument))
  if not offset then
    return 501, "A number of bytes expected"
  elseif self.state.type == "A" and offset > 0 then
    return 504, "TYPE I first: lines of text have other offsets"
  end
  self.state.offset = offset
  return 350, ("The next transfer begins at %d"):format(offset)
end }

commands.MLST = { needs_login = true, run = function(self, argument)
  local absolute = resolve(self, argument)
  local found, _, code = stat(self, absolute)
  if not found then
    return failure.of_file(code)
  end
  local facts = listing.facts(absolute, found, self.state.facts, self.account.may_write)
  return 250, "Facts:", { (facts:gsub("\255", "\255\255")) }
end }

commands.XCWD, commands.XCUP, commands.XPWD = commands.CWD, commands.CDUP, commands.PWD
commands.XMKD, commands.XRMD = commands.MKD, commands.RMD

return commands
