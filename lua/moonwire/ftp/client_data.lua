--- Data connections of a client: EPSV, PASV, EPRT. Not for scripts.
local data = require "moonwire.ftp.data"
local net = require "moonwire.net"

local client_data = {}

-- Where the server listens. The host that PASV tells is not looked at: data come from the server alone.
local function ask_port(self)
  local reply, text, code = self:exchange("EPSV")
  if not reply then
    return nil, text, code
  elseif reply == 229 then
    return tonumber(text:match("%(|||(%d+)|%)"))
  end
  reply, text, code = self:demand("PASV", 227)
  if not reply then
    return nil, text, code
  end
  local high, low = text:match("%d+,%d+,%d+,%d+,(%d+),(%d+)")
  return high and tonumber(high) * 256 + tonumber(low)
end

local function listen(self)
  local host = data.split(self.conn:local_address())
  local listener, err, code = net.listen(data.join(host, 0))
  if not listener then
    return nil, err, code
  end
  local _, port = data.split(listener:local_address())
  local is_six = host:find(":", 1, true)
  local reply
  reply, err, code = self:demand(("EPRT |%d|%s|%d|"):format(is_six and 2 or 1, host, port), 200)
  if not reply then
    listener:close()
    return nil, err, code
  end
  return listener
end

local function connect(self)
  local port, err, code = ask_port(self)
  if not port or port < 1 or port > 65535 then
    return nil, err or "ftp: no port in the answer", code or "protocol"
  end
  local host = data.split(self.conn:peer_address())
  return net.connect(data.join(host, port), { timeout = self.options.timeout })
end

--- What a transfer will go over: a stream, or a listener that the server connects to.
---@param self moonwire.ftp_client
---@return any? way
---@return string? err
---@return moonwire.code? code
function client_data.agree(self)
  if self.options.active then
    return listen(self)
  end
  return connect(self)
end

-- Whoever is not the server is sent away.
local function accept(self, listener)
  local server = data.split(self.conn:peer_address())
  local stream, err, code
  repeat
    if stream then
      stream:abort()
    end
    stream, err, code = listener:accept(self.options.timeout)
  until not stream or data.split(stream:peer_address()) == server
  listener:close()
  return stream, err, code
end

--- The stream of a transfer that the server has begun.
---@param self moonwire.ftp_client
---@param way any of agree
---@return moonwire.stream? stream
---@return string? err
---@return moonwire.code? code
function client_data.open(self, way)
  local stream, err, code = way, nil, nil
  if self.options.active then
    stream, err, code = accept(self, way)
  end
  if not stream then
    return nil, err, code
  end
  stream:configure { read_timeout = self.options.timeout, write_timeout = self.options.timeout }
  if self.tls then
    return stream:start_tls(self.tls, self.conn) -- servers want the session of the control connection
  end
  return stream
end

return client_data
