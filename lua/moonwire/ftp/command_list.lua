--- Commands that list folders (RFC 959 §4.1.3, RFC 3659 §7). Not for scripts.
local failure = require "moonwire.ftp.failure"
local glob = require "moonwire.ftp.glob"
local line = require "moonwire.ftp.line"
local listing = require "moonwire.ftp.listing"
local path = require "moonwire.ftp.path"
local transfer = require "moonwire.ftp.transfer"

---@type table<string, moonwire.ftp.command>
local commands = {}

local NO_FOLLOW <const> = { follow = false }

local function long(_, name, stat)
  return listing.long(name, stat, os.time())
end

local function facts(self, name, stat)
  return listing.facts(name, stat, self.state.facts, self.account.may_write) .. "\r\n"
end

-- Lines of names in a folder. Each name costs one question to the disk, when it is its turn; one that has
-- gone by then is left out.
local function lines_of(self, folder, names, write)
  local root, index = self.account.root, 0
  return function()
    while true do
      index = index + 1
      local name = names[index]
      if not name then
        return nil
      end
      local stat = root:stat(path.below(path.join(folder, name)), NO_FOLLOW)
      if stat then
        return write(self, name, stat)
      end
    end
  end
end

-- Names alone; as they were asked for, behind their folder.
local function bare_lines(prefix, names)
  local index = 0
  return function()
    index = index + 1
    return names[index] and prefix .. line.encode_name(names[index]) .. "\r\n"
  end
end

local function names_in(self, folder, pattern)
  local entries, _, code = self.account.root:list(path.below(folder), { max = self.options.names_most })
  if not entries then
    return nil, code
  end
  local names = {}
  for _, entry in ipairs(entries) do
    local is_hidden = entry.name:sub(1, 1) == "." and (pattern or ""):sub(1, 1) ~= "."
    if not pattern or (glob.matches(pattern, entry.name) and not is_hidden) then
      names[#names + 1] = entry.name
    end
  end
  return names
end

-- What an argument names: the folder, names in it, and the argument's folder as it was written. Nil, code.
local function find(self, argument)
  local wanted = line.decode_name(argument)
  local absolute = path.resolve(self.state.folder, wanted)
  local stat, _, code = self.account.root:stat(path.below(absolute))
  local prefix = wanted:match("^(.*/)[^/]*$") or ""
  if stat and stat.kind == "folder" then
    local names
    names, code = names_in(self, absolute)
    prefix = (wanted == "" or wanted == ".") and "" or (wanted:gsub("/*$", "/"))
    return names and absolute, names or code, prefix
  elseif stat then
    local folder, name = path.split(absolute)
    return folder, { name }, prefix
  end
  local folder, pattern = path.split(absolute)
  if not glob.is_pattern(pattern) then
    return nil, code
  end
  local names
  names, code = names_in(self, folder, pattern)
  return names and folder, names or code, prefix
end

local function send(self, absolute, lines)
  self.conn:write(line.reply(150, "Here it comes"))
  transfer.list(self, absolute, lines)
end

-- Flags of `ls`, which some clients send.
local function without_flags(argument)
  return (argument:gsub("^%-%a+ ?", ""))
end

commands.LIST = { needs_login = true, data = true, run = function(self, argument)
  local folder, names = find(self, without_flags(argument))
  if not folder then
    return failure.of_file(names)
  end
  send(self, folder, lines_of(self, folder, names, long))
end }

commands.NLST = { needs_login = true, data = true, run = function(self, argument)
  local folder, names, prefix = find(self, without_flags(argument))
  if not folder then
    return failure.of_file(names)
  end
  send(self, folder, bare_lines(line.encode_name(prefix), names))
end }

commands.MLSD = { needs_login = true, data = true, run = function(self, argument)
  local absolute = path.resolve(self.state.folder, line.decode_name(argument))
  local names, code = names_in(self, absolute)
  if not names then
    local reply, text = failure.of_file(code)
    return code == "invalid" and 501 or reply, text
  end
  send(self, absolute, lines_of(self, absolute, names, facts))
end }

local function status(self)
  local lines = { "Client " .. self.conn:peer_address(), "Type " .. self.state.type,
    "Data connections " .. (self.state.protection == "P" and "protected" or "clear") }
  if self.account then
    lines[#lines + 1] = "Logged in as " .. self.account.name
  end
  if self.transfer then
    lines[#lines + 1] = ("%s: %d bytes so far"):format(self.transfer.kind, self.transfer.bytes)
  end
  return 211, "Status:", lines
end

local STATUS_NAMES_MOST <const> = 1000

commands.STAT = { run = function(self, argument)
  if argument == "" then
    return status(self)
  elseif not self.account then
    return 530, "Log in first"
  end
  local folder, names = find(self, without_flags(argument))
  if not folder then
    return failure.of_file(names)
  elseif #names > STATUS_NAMES_MOST then
    return 552, "Too many; use LIST"
  end
  local lines = {}
  for text in lines_of(self, folder, names, long) do
    lines[#lines + 1] = text:gsub("\r\n$", ""):gsub("\255", "\255\255")
  end
  return 213, "Status:", lines
end }

return commands
