-- Peer: libuv through luv, with callbacks, which is how luv is used at its fastest.
-- luajit peers/luv.lua echo|line PORT
local uv = require "luv"

local function echo(socket)
  return function(_, data)
    if data then
      socket:write(data)
    else
      socket:close()
    end
  end
end

-- The lines of one read are answered together: luv hands a table to the kernel in one call.
local function line(socket)
  local rest = ""
  return function(_, data)
    if not data then
      return socket:close()
    end
    data = rest .. data
    local answers, from, newline = {}, 1, data:find("\n", 1, true)
    while newline do
      answers[#answers + 1] = data:sub(from, newline - 1)
      answers[#answers + 1] = "\n"
      from = newline + 1
      newline = data:find("\n", from, true)
    end
    rest = data:sub(from)
    if answers[1] then
      socket:write(answers)
    end
  end
end

local on_data = assert(({ echo = echo, line = line })[arg[1]], "the job is echo or line")
local listener = uv.new_tcp()
assert(listener:bind("127.0.0.1", tonumber(arg[2])))
assert(listener:listen(4096, function(fault)
  assert(not fault, fault)
  local socket = uv.new_tcp()
  listener:accept(socket)
  socket:nodelay(true)
  socket:read_start(on_data(socket))
end))
uv.run()
