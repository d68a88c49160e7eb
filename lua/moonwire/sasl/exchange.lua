--- The exchange of challenges and responses until a dialogue has its result, over whatever protocol carries
--- them. Not for scripts.
local exchange = {}

--- Takes a dialogue of the server's side to its end.
---@param dialogue moonwire.sasl_server
---@param response string? that came with the mechanism
---@param ask fun(challenge: string): string? sends a challenge, returns the response or nil; may wait
---@return "success"|false|nil what as of dialogue:step; false: there was no response
---@return string? text
---@return moonwire.code? code
function exchange.finish(dialogue, response, ask)
  local what, text, code = dialogue:step(response)
  while what == "challenge" do
    response = ask(text)
    if not response then
      return false
    end
    what, text, code = dialogue:step(response)
  end
  return what, text, code
end

return exchange
