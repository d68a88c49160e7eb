-- The services of haproxy.cfg. A TCP service of HAProxy cannot ask for "what is there", only for a number of
-- bytes or a line. So this echo is told the size of the benchmark's messages, an easier job than the others'.
-- luacheck: read_globals core
local size = tonumber(os.getenv("SIZE"))

core.register_service("echo", "tcp", function(applet)
  local data = applet:receive(size)
  while data and data ~= "" do
    applet:send(data)
    data = applet:receive(size)
  end
end)

core.register_service("line", "tcp", function(applet)
  local line = applet:getline()
  while line and line ~= "" do
    applet:send(line)
    line = applet:getline()
  end
end)
