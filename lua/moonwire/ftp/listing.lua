--- Lines about files: LIST as `ls -l` writes them, MLSD and MLST with facts (RFC 3659 §7). Not for scripts.
local line = require "moonwire.ftp.line"

local listing = {}

local HALF_YEAR <const> = 182 * 86400 -- seconds
local KINDS <const> = { folder = "d", link = "l", fifo = "p", socket = "s", device = "c", file = "-" }
local TYPES <const> = { folder = "dir", link = "OS.unix=symlink", fifo = "OS.unix=fifo",
  socket = "OS.unix=socket", device = "OS.unix=device", file = "file" }
local BITS <const> = { "--x", "-w-", "-wx", "r--", "r-x", "rw-", "rwx", [0] = "---" }

--- Facts in the order they are sent.
listing.FACTS = { "type", "size", "modify", "perm", "unique", "UNIX.mode" }

--- A time as YYYYMMDDHHMMSS, UTC.
---@param seconds number since 1970
---@return string
function listing.time(seconds)
  return os.date("!%Y%m%d%H%M%S", math.floor(seconds))
end

local function permissions(stat)
  return (stat.permissions:sub(-3):gsub("%d", function(digit) return BITS[tonumber(digit)] end))
end

local function age(modified, now)
  local is_near = modified <= now + 86400 and now - modified < HALF_YEAR
  return os.date(is_near and "!%b %d %H:%M" or "!%b %d  %Y", math.floor(modified))
end

--- A line of LIST.
---@param name string
---@param stat table as of file.stat
---@param now number seconds since 1970
---@return string
function listing.long(name, stat, now)
  return ("%s%s %3d %-8s %-8s %12d %s %s\r\n"):format(KINDS[stat.kind] or "-", permissions(stat), 1,
    stat.user, stat.group, stat.size, age(stat.modified, now), line.encode_name(name))
end

-- What may be done with it (RFC 3659 §7.5.5).
local function perm(stat, may_write)
  if stat.kind == "folder" then
    return may_write and "cdeflmp" or "el"
  elseif stat.kind == "file" then
    return may_write and "adfrw" or "r"
  end
  return may_write and "df" or ""
end

--- The facts of a file, those that are wanted: "type=file;size=12; name".
---@param name string
---@param stat table as of file.stat
---@param wanted table<string, boolean>
---@param may_write boolean
---@return string
function listing.facts(name, stat, wanted, may_write)
  local values = {
    type = TYPES[stat.kind], size = stat.kind == "file" and stat.size or nil,
    modify = listing.time(stat.modified),
    perm = perm(stat, may_write), unique = stat.id, ["UNIX.mode"] = "0" .. stat.permissions,
  }
  local parts = {}
  for _, fact in ipairs(listing.FACTS) do
    if wanted[fact] and values[fact] then
      parts[#parts + 1] = ("%s=%s;"):format(fact, values[fact])
    end
  end
  return table.concat(parts) .. " " .. line.encode_name(name)
end

return listing
