--- The methods of requests that are written in Lua. Not for scripts.
local request = {}

return request
