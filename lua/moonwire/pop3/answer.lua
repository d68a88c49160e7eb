--- What a server of POP3 says. Not for scripts.
local log = require "moonwire.log"

local answer = {}

--- Says something. A client that does not read ends the session.
---@param self moonwire.pop3.dialogue
---@param ... string|integer
---@return true?
function answer.say(self, ...)
  local is_sent = self.conn:write(...)
  self.is_over = self.is_over or not is_sent
  return is_sent
end

--- Says yes.
---@param self moonwire.pop3.dialogue
---@param words? string
---@return true?
function answer.ok(self, words)
  return answer.say(self, "+OK", words and " " or "", words or "", "\r\n")
end

--- Says no, which counts as a mistake of the client.
---@param self moonwire.pop3.dialogue
---@param words string
function answer.refuse(self, words)
  self.errors = self.errors + 1
  answer.say(self, "-ERR ", words, "\r\n")
end

--- Answers for what the disk has refused, or what cannot be told now.
---@param self moonwire.pop3.dialogue
---@param what string
---@param err any
function answer.fail(self, what, err)
  log.warn(what .. " failed", { user = self.session.user, peer = self.session.peer, err = err })
  answer.refuse(self, "[SYS/TEMP] " .. what .. " failed, try again later")
end

return answer
