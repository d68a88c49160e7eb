--- Who may come in: networks that are allowed and denied, from tables and from files, which are read again
--- when they change.
local check = require "moonwire.check"
local file = require "moonwire.file"
local ipset = require "moonwire.ipset"
local log = require "moonwire.log"
local task = require "moonwire.task"

local BYTES_MOST <const> = 16 * 1024 * 1024

---@class moonwire.gate_lists
---@field private networks moonwire.ipset network → "allow" or "deny"
---@field private options moonwire.gate_lists_options
local Lists = { __name = "moonwire.gate_lists" }
Lists.__index = Lists

-- Adds the networks of a file, one a line, with remarks behind it. nil, err, code.
local function add_file(all, path, verdict)
  local text, err, code = file.read(path, { max = BYTES_MOST })
  if not text then
    return nil, err, code
  end
  for line in text:gmatch "[^\n]+" do
    local network = line:match "^%s*([^%s#;]+)"
    if network then
      all[network] = verdict
    end
  end
  return true
end

-- All of them in one table: of a network that is in both lists "deny" holds. nil, err, code.
local function collect(options)
  local all = {}
  for _, verdict in ipairs { "allow", "deny" } do
    for _, network in ipairs(options[verdict] or {}) do
      all[network] = verdict
    end
    local path = options[verdict .. "_file"]
    if path then
      local ok, err, code = add_file(all, path, verdict)
      if not ok then
        return nil, err, code
      end
    end
  end
  return all
end

-- What is wrong changes nothing.
local function read_again(self, path)
  local all, err = collect(self.options)
  local ok, problem = false, err
  if all then
    ok, problem = pcall(self.networks.replace, self.networks, all)
  end
  log[ok and "info" or "warn"]("list read again", { path = path, reason = not ok and problem or nil })
end

local function follow(self, path, changes)
  while changes:next() do
    read_again(self, path)
  end
end

local function watch(self, path)
  local changes, err, code = file.watch(path)
  if not changes then
    return nil, err, code
  end
  task.spawn(follow, self, path, changes)
  return true
end

---@param options table checked
---@return moonwire.gate_lists?
---@return string? err
---@return moonwire.code? code
local function open(options)
  local all, err, code = collect(options)
  if not all then
    return nil, err, code
  end
  local ok, networks = pcall(ipset.of, all)
  if not ok then
    return nil, networks, "invalid"
  end
  local self = setmetatable({ networks = networks, options = options }, Lists)
  for _, path in pairs { options.allow_file, options.deny_file } do
    ok, err, code = watch(self, path)
    if not ok then
      return nil, err, code
    end
  end
  return self
end

--- Whether a client may come in: the most specific network decides; who is in none may, unless there is a
--- list of those that are allowed.
---@param client string its address, with a port or without
---@return boolean
function Lists:allow(client)
  check.object(self, Lists, "allow")
  check.type(client, "string", 1, "allow")
  local verdict = self.networks:find(client)
  if not verdict then
    return not (self.options.allow or self.options.allow_file)
  end
  return verdict == "allow"
end

return { open = open }
