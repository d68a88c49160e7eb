--- Commands that agree on a data connection (RFC 959 §4.1.2, RFC 2428). Not for scripts.
local data = require "moonwire.ftp.data"

---@type table<string, moonwire.ftp.command>
local commands = {}

local function octets(host)
  local a, b, c, d = host:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return a and ("%d,%d,%d,%d"):format(a, b, c, d)
end

local ONLY_EXTENDED <const> = "EPSV ALL was said"

commands.PASV = { needs_login = true, run = function(self)
  if self.state.extended_only then
    return 503, ONLY_EXTENDED
  end
  local port, host = data.listen(self)
  if not port then
    return 425, "No port for a data connection"
  end
  local shown = octets(self.options.public_address or host)
  if not shown then
    data.forget(self)
    return 425, "Use EPSV"
  end
  return 227, ("Entering Passive Mode (%s,%d,%d)"):format(shown, port >> 8, port & 255)
end }

commands.EPSV = { needs_login = true, run = function(self, protocol)
  local host = data.split(self.conn:local_address() or "")
  local own = host and (host:find(":", 1, true) and "2" or "1")
  if protocol:upper() == "ALL" then
    self.state.extended_only = true
    return 200, "EPSV alone from now on"
  elseif protocol ~= "" and protocol ~= own then
    return 522, ("Network protocol not supported, use (%s)"):format(own or "")
  end
  local port = data.listen(self)
  if not port then
    return 425, "No port for a data connection"
  end
  return 229, ("Entering Extended Passive Mode (|||%d|)"):format(port)
end }

-- To other hosts, and to the ports of services, nobody is sent (RFC 2577 §3).
local function note(self, host, port)
  if data.note(self, host, port) then
    return 200, "It will be used"
  end
  return 504, "Only to a port of your own"
end

commands.PORT = { needs_login = true, argument = "required", run = function(self, argument)
  if self.state.extended_only then
    return 503, ONLY_EXTENDED
  end
  local numbers = { argument:match("^(%d%d?%d?),(%d%d?%d?),(%d%d?%d?),(%d%d?%d?),(%d%d?%d?),(%d%d?%d?)$") }
  for i = 1, 6 do
    numbers[i] = math.tointeger(tonumber(numbers[i]))
    if not numbers[i] or numbers[i] > 255 then
      return 501, "h1,h2,h3,h4,p1,p2 expected"
    end
  end
  return note(self, ("%d.%d.%d.%d"):format(table.unpack(numbers, 1, 4)), numbers[5] << 8 | numbers[6])
end }

-- The host as it would stand in an address: "::1" may be written in many ways.
local function is_peer(self, host)
  local peer = data.split(self.conn:peer_address())
  return peer and host:lower() == peer
end

commands.EPRT = { needs_login = true, argument = "required", run = function(self, argument)
  if self.state.extended_only then
    return 503, ONLY_EXTENDED
  end
  local mark, protocol, host, port = argument:match("^(%p)(%d+)%1([%x.:]+)%1(%d%d?%d?%d?%d?)%1$")
  if not mark then
    return 501, "|protocol|address|port| expected"
  elseif protocol ~= "1" and protocol ~= "2" then
    return 522, "Network protocol not supported, use (1,2)"
  elseif not is_peer(self, host) then
    return note(self, "", 0)
  end
  return note(self, host:lower(), math.tointeger(tonumber(port)))
end }

return commands
