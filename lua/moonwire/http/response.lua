--- The methods of responses that are written in Lua. Not for scripts.
local response = {}

return response
