-- examples/rpc_server.lua — calls from programs in any language, as docs/api/rpc.md has them: JSON in frames.
--
--   build/moonwire run examples/rpc_server.lua --listen tcp://127.0.0.1:7005
-- In another terminal:
--   python3 examples/rpc_client.py 127.0.0.1 7005 add '[2, 40]'
--   node examples/rpc_client.js 127.0.0.1 7005 add '[2, 40]'
local rpc = require "moonwire.rpc"
local task = require "moonwire.task"

local methods = {}

function methods.add(params)
  if type(params) ~= "table" or math.type(params[1]) == nil or math.type(params[2]) == nil then
    return nil, "two numbers expected", "invalid"
  end
  return params[1] + params[2]
end

function methods.same(params)
  return params
end

-- Others are answered meanwhile.
function methods.wait(seconds)
  task.sleep(math.min(tonumber(seconds) or 1, 10))
  return "done"
end

return rpc.handler(methods)
