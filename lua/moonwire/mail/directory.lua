--- Whose mail a server takes: domains, mailboxes and aliases, and where an address leads.
---
---     local ours = assert(mail_directory.read { domains = { "example.org" }, mailboxes = { "bob" } })
---     ours:find "bob@example.org" -- { { address = "bob@example.org", mailbox = "bob" } }
local address = require "moonwire.smtp.address"
local alabel = require "moonwire.mail.alabel"
local check = require "moonwire.check"
local mail_aliases = require "moonwire.mail.aliases"

local mail_directory = {}

local UTF8 <const> = { utf8 = true }
local POSTMASTER <const> = "postmaster"
local KNOWN <const> = { domains = "table", mailboxes = "table", aliases = "table", catch_all = "string" }

---@class moonwire.mail_directory_options
---@field domains string[] whose mail it is, the first for addresses that are made here; required
---@field mailboxes string[] names; "postmaster" is always one of them, unless it is an alias
---@field aliases? table<string, string|string[]> as of mail.aliases
---@field catch_all? string the mailbox or alias for what is for nobody

---@class moonwire.mail_target
---@field address string
---@field mailbox? string the name of one of ours; nil: the address is elsewhere

---@class moonwire.mail_directory
---@field private domains table<string|integer, string|true>
---@field private mailboxes table<string, true>
---@field private aliases moonwire.mail_aliases
---@field private rest string[] where leads what is for nobody
local Directory = { __name = "moonwire.mail_directory" }
Directory.__index = Directory

local function lower(text)
  return (text:gsub("%u", string.lower))
end

local function read_domains(list)
  local domains = {}
  for i, name in ipairs(list) do
    local is_domain = type(name) == "string" and address.is_domain(name, UTF8)
    local key = is_domain and alabel.of_domain(lower(name))
    if not key then
      return nil, ("'%s' is no domain"):format(tostring(name))
    end
    domains[i], domains[key] = lower(name), true
  end
  return domains
end

-- A mailbox may be the name of a folder.
local function read_mailboxes(list)
  local mailboxes = { [POSTMASTER] = true }
  for _, name in ipairs(list) do
    if type(name) ~= "string" or not name:find "^[%l%d\128-\255][%l%d._\128-\255-]*$" then
      return nil, ("'%s' is no name of a mailbox: small letters, digits, . _ and -"):format(tostring(name))
    end
    mailboxes[name] = true
  end
  return mailboxes
end

-- Aliases with addresses of ours as names, so that circles are found.
local function read_aliases(self, given)
  local named = {}
  for name, targets in next, given do
    local list = {}
    for i, target in ipairs(type(targets) == "table" and targets or { targets }) do
      list[i] = type(target) == "string" and self:name(target) or target
    end
    named[name] = list
  end
  local aliases, err = mail_aliases.read(named)
  for name in pairs(aliases and named or {}) do
    for _, target in ipairs(aliases:expand(name)) do
      if not target:find("@", 1, true) and not self.mailboxes[target] then
        return nil, ("alias '%s': there is no mailbox '%s'"):format(name, target)
      end
    end
  end
  return aliases, err
end

local function fill(self, options)
  local problem
  self.domains, problem = read_domains(options.domains)
  if self.domains then
    self.mailboxes, problem = read_mailboxes(options.mailboxes)
  end
  if self.mailboxes then
    self.aliases, problem = read_aliases(self, options.aliases or {})
  end
  local name = self.aliases and options.catch_all
  if name then
    self.rest = self.aliases:expand(name) or self.mailboxes[name] and { name }
    problem = ("catch_all: there is no mailbox or alias '%s'"):format(name)
  end
  return self.aliases and (self.rest or not name), problem
end

--- Reads it all.
---@param options moonwire.mail_directory_options
---@return moonwire.mail_directory?
---@return string? err
---@return moonwire.code? code "invalid"
function mail_directory.read(options)
  check.type(options, "table", 1, "read")
  check.options(options, KNOWN, 1, "read")
  if not options.domains or not options.domains[1] or not options.mailboxes then
    check.refuse(1, "read", "options 'domains' and 'mailboxes', lists of names, expected")
  end
  local self = setmetatable({}, Directory)
  local ok, problem = fill(self, options)
  if not ok then
    return nil, problem, "invalid"
  end
  return self
end

--- The name of an address of ours, in small letters; there need be nobody of that name.
---@param text string an address, or "Postmaster"
---@return string? name nil: it is not ours
function Directory:name(text)
  check.object(self, Directory, "name")
  check.type(text, "string", 1, "name")
  local mailbox = address.parse(text, UTF8)
  local domain = mailbox and alabel.of_domain(mailbox.domain)
  if mailbox and domain and self.domains[domain] then
    return lower(mailbox.local_part)
  end
  return lower(text) == POSTMASTER and POSTMASTER or nil
end

--- Where an address of ours leads.
---@param text string an address, or "Postmaster"
---@return moonwire.mail_target[]? targets an empty list: to nobody; nil: it is not ours
function Directory:find(text)
  check.object(self, Directory, "find")
  check.type(text, "string", 1, "find")
  local name = self:name(text)
  if not name then
    return nil
  end
  local names = self.aliases:expand(name) or self.mailboxes[name] and { name } or self.rest or {}
  local targets = {}
  for i, target in ipairs(names) do
    local is_ours = not target:find("@", 1, true)
    targets[i] = {
      address = is_ours and target .. "@" .. self.domains[1] or target, mailbox = is_ours and target or nil,
    }
  end
  return targets
end

--- Whether an address leads to a mailbox.
---@param mailbox string
---@param text string
---@return boolean
function Directory:leads_to(mailbox, text)
  check.object(self, Directory, "leads_to")
  check.type(mailbox, "string", 1, "leads_to")
  check.type(text, "string", 2, "leads_to")
  for _, target in ipairs(self:find(text) or {}) do
    if target.mailbox == mailbox then
      return true
    end
  end
  return false
end

return mail_directory
