-- One corpus of right and wrong requests, sent to Moonwire and to other servers: Moonwire refuses all that is
-- wrong, and takes all that is right.
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local messages = require "spec.fixtures.http_messages"
local moonwire = require "spec.support.moonwire"
local net = require "moonwire.net"
local process = require "spec.support.process"
local task = require "moonwire.task"

local ANSWER_SECONDS <const>, AT_ONCE <const> = 2, 16

local SERVICE <const> = [[
local http = require "moonwire.http.server"
return http.service(function(request, response)
  local body, err, code = request:read_all()
  if not body then
    return response:refuse(err, code)
  end
  response:send("ok")
end)]]

-- What HAProxy stands before: takes whatever comes, and answers when it seems to be all.
local LENIENT <const> = [[
return {
  connect = function(conn)
    local head = conn:read_until("\r\n\r\n", 1024 * 1024)
    if head and head:lower():find("\ntransfer%-encoding:") then
      conn:read_until("\r\n\r\n", 1024 * 1024)
    end
    conn:write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
  end,
}]]

local NODE <const> = [[
require("http").createServer((request, response) => {
  request.on("data", () => {})
  request.on("end", () => response.end("ok"))
}).listen(process.argv[1], "127.0.0.1")]]

local APACHE <const> = [[
ServerRoot {place}
ServerName a
Listen 127.0.0.1:{port}
PidFile {place}/pid
ErrorLog {place}/error.log
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule alias_module {modules}/mod_alias.so
User nobody
Group nogroup
AliasMatch ^ {place}/page
<Directory />
  Require all granted
</Directory>]]

local HAPROXY <const> = [[
defaults
  mode http
  timeout connect 5s
  timeout client 1s
  timeout server 5s
  option http-buffer-request
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  server one 127.0.0.1:{behind}]]

local function free_port()
  local listener <close> = assert(net.listen("tcp://127.0.0.1:0"))
  return math.tointeger(tonumber(listener:local_address():match(":(%d+)$")))
end

local function fill(text, values)
  return (text:gsub("{(%a+)}", values))
end

local function wait_for(name, port, child)
  condition.wait_until(function()
    local conn <close> = net.connect("tcp://127.0.0.1:" .. port)
    return conn
  end, 10, function()
    return name .. " does not listen: " .. child:output() .. child:errors()
  end)
end

-- Whether an answer came that is a refusal; nothing and an early end are none that is taken either.
local function ask(port, bytes)
  local conn <close> = assert(net.connect("tcp://127.0.0.1:" .. port, { read_timeout = ANSWER_SECONDS }))
  conn:write(bytes)
  conn:flush()
  local status
  repeat
    local line, _, code = conn:read_line(8192)
    if not line then
      return code == "timeout" and "silent" or status and "refused" or "closed"
    end
    status = tonumber(line:match "^HTTP/1%.%d (%d%d%d)")
    if status == 100 then
      conn:read_line(8192)
    end
  until status and status ~= 100
  local taken = status < 400 or status == 403 or status == 404 or status == 405
  return taken and "taken" or "refused", status
end

-- What a server makes of each message, by its name.
local function judge(port)
  local verdicts, next_one = {}, 1
  local group = task.group()
  for _ = 1, AT_ONCE do
    group:spawn(function()
      while messages[next_one] do
        local message = messages[next_one]
        next_one = next_one + 1
        verdicts[message.name] = ask(port, message.bytes)
      end
    end)
  end
  assert(group:wait(120))
  return verdicts
end

local here, servers, ports, verdicts

local function start(name, port, command)
  servers[name] = process.start(command)
  wait_for(name, port, servers[name])
  ports[name] = port
end

local function start_apache()
  local port = free_port()
  local values = { place = here.path, port = port, modules = "/usr/lib/apache2/modules" }
  here:write("page", "ok")
  process.run { "chmod", "755", here.path }
  start("apache", port, { "apache2", "-X", "-f", here:write("apache.conf", fill(APACHE, values)) })
end

local function start_haproxy()
  local port = free_port()
  servers.behind = moonwire.serve(LENIENT)
  local config = fill(HAPROXY, { port = port, behind = servers.behind.port }) .. "\n"
  start("haproxy", port, { "haproxy", "-db", "-f", here:write("haproxy.cfg", config) })
end

setup(function()
  here, servers, ports, verdicts = folder.new(), {}, {}, {}
  servers.moonwire = moonwire.serve(SERVICE)
  ports.moonwire = servers.moonwire.port
  local port = free_port()
  start("node", port, { "node", "-e", NODE, port })
  start_apache()
  start_haproxy()
  for name, its_port in pairs(ports) do
    verdicts[name] = judge(its_port)
  end
end)

teardown(function()
  for _, server in pairs(servers) do
    server:stop()
  end
  here:remove()
end)

local function count(name, valid)
  local all, taken = 0, 0
  for _, message in ipairs(messages) do
    if message.valid == valid then
      all = all + 1
      taken = taken + (verdicts[name][message.name] == "taken" and 1 or 0)
    end
  end
  return all, taken, all - taken
end

-- The table of counts, and for one server what is not as it should be.
local function report(name)
  local lines = { "" }
  for other in pairs(ports) do
    local right, taken = count(other, true)
    local wrong, _, refused = count(other, false)
    lines[#lines + 1] = ("%-9s takes %d of %d valid messages, refuses %d of %d others")
      :format(other, taken, right, refused, wrong)
  end
  table.sort(lines)
  for _, message in ipairs(messages) do
    local verdict = verdicts[name][message.name]
    if message.valid ~= (verdict == "taken") then
      lines[#lines + 1] = ("%s: %s: %s"):format(name, verdict, message.name)
    end
  end
  return table.concat(lines, "\n")
end

describe("of requests that RFC 9112 does not allow, Moonwire", function()
  it("refuses all, with an answer", function()
    for _, message in ipairs(messages) do
      if not message.valid then
        assert.equal("refused", verdicts.moonwire[message.name], message.name .. report "moonwire")
      end
    end
  end)

  for _, other in ipairs { "apache", "node", "haproxy" } do
    it("refuses more than " .. other, function()
      local _, _, ours = count("moonwire", false)
      local _, _, theirs = count(other, false)
      assert.is_true(ours > theirs, report(other))
    end)
  end
end)

describe("of requests that it allows, Moonwire", function()
  it("takes all", function()
    for _, message in ipairs(messages) do
      if message.valid then
        assert.equal("taken", verdicts.moonwire[message.name], message.name .. report "moonwire")
      end
    end
  end)
end)
