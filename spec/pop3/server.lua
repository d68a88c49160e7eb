--- A server of POP3 with Maildirs below a folder, in this process. "ann" has the password "secret word", and
--- "ill" cannot be asked for.
local maildir = require "moonwire.maildir"
local net = require "moonwire.net"
local pop3 = require "moonwire.pop3"

local server = {}

local DEFAULTS <const> = { clear_passwords = true, failure_delay = 0 }

--- Serves until the listener is closed.
---@param place spec.folder
---@param options? moonwire.pop3.options besides DEFAULTS
---@param listening? table options of net.serve
---@return moonwire.listener
---@return string address
function server.start(place, options, listening)
  local all = {}
  for _, more in ipairs { DEFAULTS, options or {} } do
    for name, value in pairs(more) do
      all[name] = value
    end
  end
  local service = pop3.service({ on_login = function(_, name, password)
    if name == "ill" then
      return nil, "the users cannot be read"
    end
    return name == "ann" and password == "secret word" and place.path .. "/ann"
  end }, all)
  local listener = assert(net.serve("tcp://127.0.0.1:0", service.connect, listening))
  return listener, "tcp://" .. listener:local_address()
end

--- The mailbox of ann.
---@param place spec.folder
---@return moonwire.maildir
function server.box(place)
  return assert(maildir.open(place.path .. "/ann", { create = true }))
end

return server
