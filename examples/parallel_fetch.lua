-- examples/parallel_fetch.lua — asks for several URLs at once, and tells what came as it comes.
--
--   build/moonwire run examples/parallel_fetch.lua -- http://www.debian.org/ https://www.lua.org/
-- Without the Internet, with a web server in another terminal:
--   python3 -m http.server 8000 --bind 127.0.0.1
--   build/moonwire run examples/parallel_fetch.lua -- http://127.0.0.1:8000/ http://127.0.0.1:9/
local http = require "moonwire.http.client"
local task = require "moonwire.task"
local timer = require "moonwire.timer"

local function fetch(url)
  local begun = timer.now()
  local answer, err = http.get(url, { timeout = 10 })
  if answer then
    io.write(("%s: %d, %d bytes in %.3f s\n"):format(url, answer.status, #answer.body, timer.now() - begun))
  else
    io.write(("%s: %s\n"):format(url, err))
  end
end

local group <close> = task.group()
for _, url in ipairs { ... } do
  group:spawn(fetch, url)
end
group:wait()
