-- examples/demo.lua — what `make run` starts: a web site, a chat room, and three of the other examples, in
-- one process.
--
--   build/moonwire run examples/demo.lua
--   build/moonwire run examples/demo.lua --set web=7105      another port; also chat, irc, line_echo, relay,
--                                                            udp_time
local codec = require "moonwire.codec"
local crypto = require "moonwire.crypto"
local file = require "moonwire.file"
local http = require "moonwire.http"
local line_echo = require "line_echo"
local net = require "moonwire.net"
local relay = require "relay"
local task = require "moonwire.task"
local udp_time = require "udp_time"

local PORTS <const> = { line_echo = 7001, irc = 7002, relay = 7003, udp_time = 7004, web = 7005, chat = 7006 }
local STEP <const>, TRIES <const> = 100, 10 -- to the next port, when one is taken that nobody has asked for

local USAGE <const> = [[
The demo runs, for this machine only. Open in a browser, twice:
  http://127.0.0.1:{web}/     a web site: a form to upload with, a board, requests as they come
  http://127.0.0.1:{chat}/     a chat room; programs for IRC enter it at port {irc}
Type in another terminal:
  nc 127.0.0.1 {line_echo}                    each line comes back
  nc 127.0.0.1 {relay}                    the same, through a port relay
  echo | nc -u -w 1 127.0.0.1 {udp_time}     the time
Ctrl-C ends it.]]

local ports -- name → the one that was asked for; once it is open, the one that it is

-- Opens what `open` makes of an address, and notes its port. A port of ours may be another one.
local function open(name, scheme, make)
  local asked = ports[name]
  local opened, err, code
  for try = 0, asked and 0 or TRIES - 1 do
    local port = asked or PORTS[name] + try * STEP
    opened, err, code = make(("%s://127.0.0.1:%d"):format(scheme, port))
    if opened then
      ports[name] = port
      return opened
    elseif code ~= "in_use" then
      break
    end
  end
  if code == "in_use" then
    local remedy = "another program has it; choose one: build/moonwire run examples/demo.lua --set %s=%d"
    err = ("%s (%s)"):format(err, remedy:format(name, PORTS[name] + STEP))
  end
  error(err, 0)
end

local function serve(name, handler)
  open(name, "tcp", function(address) return net.serve(address, handler) end)
end

-- A service's HTTP, with its options as of http.serve.
local function serve_http(name, service, ctx)
  local options = {}
  for key, value in pairs(service.options) do
    options[key] = key ~= "http" and value or nil
  end
  for key, value in pairs(service.options.http or {}) do
    options[key] = value
  end
  open(name, "tcp", function(address)
    return http.serve(address, function(request, response)
      return service.request(request, response, ctx)
    end, options)
  end)
end

local function answer_datagrams(name, handler)
  local socket = open(name, "udp", net.datagram)
  task.spawn(function()
    for data, peer in socket:datagrams() do
      handler(socket, data, peer)
    end
  end)
end

-- One of the services that come with Moonwire, which stand in the folder beside this one.
local function load_service(name, config)
  local folder = package.searchpath("demo", package.path):gsub("[^/]*$", "") .. "../scripts/"
  package.path = package.path .. ";" .. folder .. "?.lua"
  local service = assert(loadfile(folder .. name .. ".lua"))()
  local ctx = { name = name, config = config, generation = 1, worker = 1 }
  service.start(ctx)
  return service, ctx
end

local uploads = "/tmp/moonwire-demo-" .. codec.hex_encode(crypto.random_bytes(6))
local demo = {}

function demo.start(ctx)
  ports = ctx.config
  assert(file.make_folder(uploads, { permissions = "700" }))
  serve_http("web", load_service("web", { upload = uploads, board = true, status = true }))
  local chat, chat_ctx = load_service("chat", {})
  serve_http("chat", chat.doors.web, chat_ctx)
  serve("irc", function(conn) chat.connect(conn, chat_ctx) end)
  serve("line_echo", line_echo)
  local target = "tcp://127.0.0.1:" .. ports.line_echo
  serve("relay", function(conn)
    relay.connect(conn, { config = { target = target } })
  end)
  answer_datagrams("udp_time", udp_time.datagram)
  print((USAGE:gsub("{([%w_]+)}", ports)))
end

function demo.stop()
  for _, entry in ipairs(file.list(uploads)) do
    file.remove(uploads .. "/" .. entry.name)
  end
  file.remove(uploads)
end

return demo
