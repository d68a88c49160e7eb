--- Commands of access and of the session (RFC 959 §4.1.1, RFC 4217, RFC 2389). Not for scripts.
local data = require "moonwire.ftp.data"
local line = require "moonwire.ftp.line"
local listing = require "moonwire.ftp.listing"
local session = require "moonwire.ftp.session"
local task = require "moonwire.task"

local FAILURES_MOST <const> = 3
local NAME_BYTES <const> = 256

---@type table<string, moonwire.ftp.command>
local commands = {}

local function command(verb, run, options)
  options = options or {}
  options.run = run
  commands[verb] = options
end

-- A user that there is not is asked for a password as others are (RFC 2577 §6).
command("USER", function(self, name)
  if self.account then
    return 530, "You are logged in; begin anew with REIN"
  elseif self.options.tls == "required" and not self.conn:tls() then
    return 530, "AUTH TLS first"
  elseif #name > NAME_BYTES or name:find("%c") then
    return 501, "That is no name"
  end
  self.state.user = name
  return 331, "The password, please"
end, { argument = "required" })

-- Guessing costs time (RFC 2577 §5).
local function fail_login(self)
  self.state.user = nil
  self.state.failures = self.state.failures + 1
  task.sleep(self.options.failure_delay)
  if self.state.failures >= FAILURES_MOST then
    self.ends = true
    return 421, "Too many wrong passwords"
  end
  return 530, "Wrong name or password"
end

command("PASS", function(self, password)
  local name = self.state.user
  if self.account then
    return 202, "You are logged in"
  elseif not name then
    return 503, "USER first"
  end
  local account, err = self.options.login(name, password, self.conn)
  if err then
    return 421, err
  elseif not account then
    return fail_login(self)
  end
  self.account, self.state.name, self.state.failures = account, name, 0
  return 230, "Welcome"
end)

command("ACCT", function() return 202, "Not needed" end)

command("REIN", function(self)
  session.abort(self)
  session.leave(self)
  self.state = session.fresh_state(self.conn:tls() ~= nil)
  return 220, "Begin anew"
end)

command("QUIT", function(self)
  self.ends = true
  return 221, "Goodbye"
end)

-- Nothing that came in clear outlives the handshake (RFC 4217 §4, §5): no login, and nothing asked for.
command("AUTH", function(self, mechanism)
  mechanism = mechanism:upper()
  if self.options.tls == "off" then
    return 502, "There is no TLS here"
  elseif self.conn:tls() then
    return 503, "There is TLS already"
  elseif mechanism ~= "TLS" and mechanism ~= "TLS-C" then
    return 504, "TLS is all there is"
  end
  data.forget(self)
  session.leave(self)
  self.state = session.fresh_state(false)
  self.conn:write(line.reply(234, "Begin the handshake"))
  if not self.conn:start_tls() then
    self.ends = true
  end
end, { argument = "required" })

command("PBSZ", function(self)
  if not self.conn:tls() then
    return 503, "AUTH TLS first"
  end
  self.state.has_buffer_size = true
  return 200, "PBSZ=0"
end, { argument = "required" })

command("PROT", function(self, level)
  level = level:upper()
  if not self.conn:tls() or not self.state.has_buffer_size then
    return 503, "AUTH TLS and PBSZ first"
  elseif level == "S" or level == "E" then
    return 536, "C or P"
  elseif level ~= "C" and level ~= "P" then
    return 504, "C or P"
  elseif level == "C" and self.options.tls == "required" then
    return 534, "Data connections must be protected"
  end
  self.state.protection = level
  return 200, "Data connections are " .. (level == "P" and "protected" or "clear")
end, { argument = "required" })

command("CCC", function() return 534, "The control connection stays protected" end)

command("NOOP", function() return 200, "Yes" end)
command("SYST", function() return 215, "UNIX Type: L8" end)
command("ALLO", function() return 202, "Not needed" end)
command("CLNT", function() return 200, "Good" end)

command("FEAT", function(self)
  local features = { "EPRT", "EPSV", "MDTM", "MLST " }
  for _, fact in ipairs(listing.FACTS) do
    features[4] = features[4] .. fact .. (self.state.facts[fact] and "*;" or ";")
  end
  table.move({ "REST STREAM", "SIZE", "TVFS", "UTF8" }, 1, 4, 5, features)
  if self.options.tls ~= "off" then
    table.move({ "AUTH TLS", "PBSZ", "PROT" }, 1, 3, #features + 1, features)
  end
  return 211, "Features:", features
end)

local function choose_facts(self, list)
  local wanted, names = {}, {}
  for fact in list:gmatch("[^;]+") do
    wanted[fact:lower()] = true
  end
  self.state.facts = {}
  for _, fact in ipairs(listing.FACTS) do
    if wanted[fact:lower()] then
      self.state.facts[fact] = true
      names[#names + 1] = fact .. ";"
    end
  end
  return 200, "MLST OPTS " .. table.concat(names)
end

command("OPTS", function(self, argument)
  local what, rest = argument:match("^(%w+) ?(.*)$")
  what = what and what:upper()
  if what == "UTF8" then
    return 200, "Names are what they are"
  elseif what == "MLST" then
    return choose_facts(self, rest)
  end
  return 501, "There is nothing to set there"
end, { argument = "required" })

command("HELP", function(self)
  local verbs = {}
  for verb in pairs(self.commands) do
    verbs[#verbs + 1] = verb
  end
  table.sort(verbs)
  return 214, "Commands:", { table.concat(verbs, " ") }
end)

command("SITE", function(_, argument)
  if argument:upper():find("^HELP") then
    return 214, "There is nothing here"
  end
  return 504, "There is nothing here"
end)

command("TYPE", function(self, kind)
  kind = kind:upper()
  if kind == "A" or kind == "A N" then
    self.state.type = "A"
  elseif kind == "I" or kind == "L 8" then
    self.state.type = "I"
  else
    return 504, "A, I or L 8"
  end
  return 200, "Type is " .. self.state.type
end, { argument = "required" })

command("MODE", function(_, mode)
  if mode:upper() == "S" then
    return 200, "S it is"
  end
  return 504, "S is all there is"
end, { argument = "required" })

command("STRU", function(_, structure)
  if structure:upper() == "F" then
    return 200, "F it is"
  end
  return 504, "F is all there is"
end, { argument = "required" })

command("ABOR", function(self)
  if session.abort(self) then
    return 226, "Aborted"
  end
  return 225, "There was nothing to abort"
end)

return commands
