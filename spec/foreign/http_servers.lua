--- nginx and HAProxy for specs, started on loopback with a config of the spec's.
local condition = require "spec.support.condition"
local net = require "moonwire.net"
local process = require "spec.support.process"

local http_servers = {}

local NGINX <const> = [[
daemon off;
master_process off;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {}
http {
  access_log off;
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
  server {
    {servers}
  }
}]]

local HAPROXY <const> = [[
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  http-reuse always
  server one {behind}]]

--- A port that nobody listens on.
---@return integer
function http_servers.free_port()
  local listener <close> = assert(net.listen("tcp://127.0.0.1:0"))
  return math.tointeger(tonumber(listener:local_address():match(":(%d+)$")))
end

local function start(name, port, command)
  local child = process.start(command)
  condition.wait_until(function()
    local conn <close> = net.connect("tcp://127.0.0.1:" .. port)
    return conn
  end, 10, function()
    return name .. " does not listen: " .. child:output() .. child:errors()
  end)
  return child
end

--- Starts nginx with directives of one server; {port} in them is its port.
---@param here spec.folder
---@param directives string
---@return spec.process
---@return integer port
function http_servers.nginx(here, directives)
  local port = http_servers.free_port()
  local values = { place = here.path, port = port, servers = directives:gsub("{port}", port) }
  values.servers = values.servers:gsub("{place}", here.path)
  local config = here:write("nginx" .. port .. ".conf", (NGINX:gsub("{(%a+)}", values)))
  return start("nginx", port, { "nginx", "-p", here.path, "-c", config }), port
end

--- Starts HAProxy before a server.
---@param here spec.folder
---@param behind string "127.0.0.1:8080"
---@return spec.process
---@return integer port
function http_servers.haproxy(here, behind)
  local port = http_servers.free_port()
  local config = here:write("haproxy" .. port .. ".cfg",
    (HAPROXY:gsub("{(%a+)}", { port = port, behind = behind })) .. "\n")
  return start("haproxy", port, { "haproxy", "-db", "-f", config }), port
end

return http_servers
