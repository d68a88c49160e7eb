-- examples/counter.lua — counts lines, of each connection and of all; a reload loses neither number.
--
--   build/moonwire run examples/counter.lua --listen tcp://127.0.0.1:7010
-- In another terminal; type lines:
--   nc 127.0.0.1 7010
-- In a daemon, change the answer below and type `moonwire reload`: the connection and both numbers stay.
local total = 0

-- What stands in `state` is all that the new code learns of the conversation.
local function converse(conn, state)
  while true do
    conn:checkpoint(state) -- right before the wait: here a reload may move the connection
    local line = conn:read_line(1000)
    if not line then
      return
    end
    state.lines, total = state.lines + 1, total + 1
    conn:write(state.lines, " of ", total, ": ", line, "\n")
  end
end

return {
  connect = function(conn)
    converse(conn, { lines = 0 })
  end,
  resume = converse,
  handoff = function()
    return total
  end,
  adopt = function(before)
    total = before
  end,
}
