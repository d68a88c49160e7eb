--- Data connections: passive and active, in clear and in TLS, and only with the peer of the control
--- connection (RFC 2577). Not for scripts.
local core = require "moonwire.core"
local log = require "moonwire.log"
local net = require "moonwire.net"

local data = {}

local TRIES_MOST <const> = 100 -- ports of a range
local BACKLOG <const> = 8
local LEAST_PORT <const> = 1024 -- below are services that a client may not have us speak to

--- The host and the port of an address; IPv4 in IPv6 is IPv4. Nil: it has none, as of a Unix socket.
---@param address string
---@return string? host
---@return integer? port
function data.split(address)
  local host, port = address:match("^%[([%x:.]+)[^%]]*%]:(%d+)$")
  if not host then
    host, port = address:match("^([%d.]+):(%d+)$")
  end
  if host then
    return host:match("^::ffff:(%d+%.%d+%.%d+%.%d+)$") or host, math.tointeger(tonumber(port))
  end
end

---@param host string numeric
---@param port integer
---@return string address
function data.join(host, port)
  return (host:find(":", 1, true) and "tcp://[%s]:%d" or "tcp://%s:%d"):format(host, port)
end

--- Forgets what the next data connection would have been.
---@param session moonwire.ftp.session
function data.forget(session)
  if session.passive then
    session.passive:close()
  end
  session.passive, session.active = nil, nil
end

local function ports_of(range)
  if not range then
    return 0, 0
  end
  local first, last = range[1], range[2]
  return first, last, math.random(0, last - first)
end

-- Ports are tried from a random one on: the next one is not to be guessed (RFC 2577 §8).
local function listen(session, host)
  local first, last, start = ports_of(session.options.passive_ports)
  local count = last - first + 1
  local listener, err, code
  for i = 1, math.min(count, TRIES_MOST) do
    local port = first + ((start or 0) + i) % count
    listener, err, code = net.listen(data.join(host, port), { backlog = BACKLOG })
    if listener or code ~= "in_use" then
      break
    end
  end
  return listener, err, code
end

--- Listens for the next data connection, on the address that the client has reached us by.
---@param session moonwire.ftp.session
---@return integer? port
---@return string? err also the host, when it went well
function data.listen(session)
  data.forget(session)
  local address = session.conn:local_address()
  local host = address and data.split(address)
  if not host then
    return nil, "no address to listen on"
  end
  local listener, err = listen(session, host)
  if not listener then
    log.warn("no passive port", { err = err })
    return nil, err
  end
  session.passive = listener
  local _, port = data.split(listener:local_address())
  return port, host
end

--- Notes where the client wants to be connected to.
---@param session moonwire.ftp.session
---@param host string
---@param port integer
---@return boolean may false: it is another host than the client's, or a port of a service
function data.note(session, host, port)
  data.forget(session)
  local peer = data.split(session.conn:peer_address())
  if not session.options.active or host ~= peer or port < LEAST_PORT or port > 65535 then
    return false
  end
  session.active = { host = host, port = port }
  return true
end

-- Who is not the client is sent away, and not waited for any longer than for the client.
local function accept(session, listener)
  local peer = data.split(session.conn:peer_address())
  local due = core.now() + session.options.connect_timeout
  while true do
    local stream, err, code = listener:accept(math.max(due - core.now(), 0))
    if not stream or data.split(stream:peer_address()) == peer then
      return stream, err, code
    end
    log.warn("data connection of somebody else", { peer = stream:peer_address() })
    stream:abort()
  end
end

local function connect(session, active)
  local host = data.split(session.conn:local_address())
  return net.connect(data.join(active.host, active.port), {
    timeout = session.options.connect_timeout,
    local_address = host and data.join(host, 0):gsub("^tcp://", "") or nil,
  })
end

-- The certificate is that of the control connection; a session that goes on from that one proves who has
-- it. A client that only sends may close without having read what is new of the session, and its kernel then
-- takes back the end of the file: it gets nothing new, where it can do without.
local function protect(session, stream, is_upload)
  local tickets = not is_upload or session.options.require_session_reuse == true
  local ok, err, code = stream:start_tls(session.conn, { tickets = tickets })
  if not ok or not session.options.require_session_reuse then
    return ok, err, code
  end
  local found = stream:tls()
  if found.resumed and found.lineage == session.conn:tls().lineage then
    return stream
  end
  log.warn("data connection without the session of the control connection", { resumed = found.resumed })
  stream:abort()
  return nil, "the TLS session is not that of the control connection", "protocol"
end

--- Opens the data connection that was agreed on; it belongs to the running task. Each is for one transfer.
---@param session moonwire.ftp.session
---@param is_upload boolean whether only the client sends
---@return moonwire.stream? stream
---@return string? err
---@return moonwire.code? code
function data.open(session, is_upload)
  local listener <close>, active = session.passive, session.active
  session.passive, session.active = nil, nil
  local stream, err, code
  if listener then
    stream, err, code = accept(session, listener)
  else
    stream, err, code = connect(session, active)
  end
  if not stream then
    return nil, err, code
  end
  local patience = session.options.stall_timeout
  stream:configure { read_timeout = patience, write_timeout = patience }
  if session.state.protection == "P" then
    return protect(session, stream, is_upload)
  end
  return stream
end

--- Whether one was agreed on.
---@param session moonwire.ftp.session
---@return boolean
function data.is_agreed(session)
  return session.passive ~= nil or session.active ~= nil
end

return data
