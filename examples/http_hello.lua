-- examples/http_hello.lua — the least web server: greets everybody by the name in the query.
--
--   build/moonwire run examples/http_hello.lua --listen tcp://127.0.0.1:7010
-- In another terminal:
--   curl -s 'http://127.0.0.1:7010/?name=Ann'
local http = require "moonwire.http"

return http.service(function(request, response)
  local values, err, code = request:query_values()
  if not values then
    return response:refuse(err, code)
  end
  response:send(("Hello, %s!\n"):format(values.name or "World"))
end)
