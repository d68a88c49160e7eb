--- One IRC client: what it is told, and from its first line to its registration. Not for scripts.
local chat = require "moonwire.chat"
local line = require "moonwire.irc.line"
local message = require "moonwire.irc.message"
local numeric = require "moonwire.irc.numeric"

local ECHO_MOST <const> = 100 -- bytes of what a client said, in an answer
local ROW_MOST <const> = 400 -- bytes of names in a line

---@class moonwire.irc_session
---@field conn moonwire.stream
---@field door moonwire.irc_door
---@field hall moonwire.hall
---@field member? moonwire.member once it is registered
---@field nick? string that it has asked for, before
---@field user? string
---@field real? string
---@field password? string
---@field caps table<string, boolean>
---@field negotiates? boolean between CAP LS and CAP END
---@field flood moonwire.flood
---@field quit? string its last words; it ends
---@field deadline number of the registration
---@field private out string[]|false what is said during a command
local Session = {}
Session.__index = Session

---@param door moonwire.irc_door
---@param conn moonwire.stream
---@return moonwire.irc_session
function Session.new(door, conn)
  return setmetatable({
    conn = conn, door = door, hall = door.hall, caps = {}, out = false,
    flood = chat.flood { rate = door.settings.flood_rate, burst = door.settings.flood_burst },
  }, Session)
end

-- Without waiting. False: the peer reads too slowly, or is gone.
local function put(session, bytes)
  local out = session.out
  if out then
    out[#out + 1] = bytes
    return true
  end
  return session.conn:try_write(bytes) and true or false
end

--- As much of a text as so many bytes hold, in whole characters.
---@param text string
---@param most integer
---@return string
function Session.cut(text, most)
  return line.split(text, most)[1]
end

--- Runs a command; what it says leaves at its end, in one piece.
---@param command fun(session: moonwire.irc_session, params: string[])
---@param params string[]
function Session:act(command, params)
  self.out = {}
  command(self, params)
  local bytes = table.concat(self.out)
  self.out = false
  if bytes ~= "" and not put(self, bytes) then
    self.quit = self.quit or "reads too slowly"
  end
end

--- Says something as the server.
function Session:say(command, ...)
  local source = command ~= "ERROR" and self.door.settings.name or nil
  put(self, assert(message.format { source = source, command = command, params = { ... } }) .. "\r\n")
end

-- A word of a client, so that it can stand in a line.
local function echo(word)
  word = line.split(word, ECHO_MOST)[1]
  return word:find "^[^ :][^ ]*$" and word or "*"
end

--- Answers with a number. The last word may be a text; those before it are made to fit.
---@param name string of moonwire.irc.numeric
---@param ... string
function Session:reply(name, ...)
  local code = numeric[name]
  local params = table.pack(self.member and self.member.nick or self.nick or "*", ...)
  for i = 1, code[2] and params.n or params.n - 1 do
    params[i] = echo(params[i])
  end
  params[#params + 1] = code[2]
  self:say(code[1], table.unpack(params))
end

--- The same answer with many last words: those before them are composed once.
---@param name string
---@param rows string[] that can stand in a line as they are
---@param ... string
function Session:reply_rows(name, rows, ...)
  local params = table.pack(self.member.nick, ...)
  params[#params + 1] = "x"
  local line_of_x = assert(message.format {
    source = self.door.settings.name, command = numeric[name][1], params = params,
  })
  local head = line_of_x:sub(1, -2)
  for _, row in ipairs(rows) do
    put(self, head .. (row:find(" ", 1, true) and ":" or "") .. row .. "\r\n")
  end
end

--- Tells that a command lacks something.
function Session:lacks(command)
  self:reply("need_more_params", command)
end

--- Whether the command has so many words; tells if not.
---@return boolean
function Session:has(command, params, count)
  if #params < count then
    self:lacks(command)
  end
  return #params >= count
end

--- Rows of words, in as many answers as they need.
---@param words string[]
---@param tell fun(row: string)
function Session.rows(words, tell)
  local row = ""
  for _, word in ipairs(words) do
    if #row + #word + 1 > ROW_MOST then
      tell(row)
      row = ""
    end
    row = row == "" and word or row .. " " .. word
  end
  if row ~= "" then
    tell(row)
  end
end

--- The connection, for the hall.
---@return moonwire.chat_reader
function Session:reader()
  local conn, caps = self.conn, self.caps
  local try_write = conn.try_write
  return {
    -- Most of what the server does for a large room is this.
    deliver = function(event)
      local has_time = caps["server-time"]
      local bytes = event.cache[has_time and "irc_time" or "irc"] or line.of(event, has_time)
      local out = self.out
      if out then
        out[#out + 1] = bytes
        return true
      end
      return try_write(conn, bytes) and true or false
    end,
    drop = function(reason)
      self.quit = self.quit or reason
      self.conn:abort()
    end,
  }
end

--- Tells of an event.
---@param event table
function Session:deliver(event)
  put(self, line.of(event, self.caps["server-time"]))
end

--- Gives back to the client what it has said, if it wants that.
function Session:echo(event)
  if self.caps["echo-message"] then
    self:deliver(event)
  end
end

--- What a reload needs of it: plain data.
---@param held string[] lines that were read and not done
---@return table
function Session:state(held)
  return {
    door = "irc", nick = self.nick, user = self.user, real = self.real, password = self.password,
    caps = self.caps, negotiates = self.negotiates, held = held,
    member = self.member and self.member:snapshot(),
  }
end

local KEPT <const> = { "nick", "user", "real", "password", "caps", "negotiates" }

--- The session of a state, which a reload has brought.
---@param door moonwire.irc_door
---@param conn moonwire.stream
---@param state table
---@return moonwire.irc_session? session
---@return string? err
function Session.restore(door, conn, state)
  local self = Session.new(door, conn)
  for _, key in ipairs(KEPT) do
    self[key] = state[key]
  end
  if state.member then
    local err
    self.member, err = self.hall:attach(state.member, self:reader())
    if not self.member then
      return nil, err
    end
  end
  return self
end

return Session
