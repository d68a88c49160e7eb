--- A message on its way from a client into the sink of a policy: its header is looked at, its size counted,
--- and what is wrong with it kept until its end. Not for scripts.
local reply = require "moonwire.smtp.reply"

---@class moonwire.smtp.intake
---@field sink moonwire.smtp.sink? nil once it was committed or aborted
---@field problem moonwire.smtp.reply? why the message is refused; its bytes are dropped then
---@field size integer bytes that came
---@field limits moonwire.smtp.intake_limits
---@field header string[]? pieces of the header until its end
---@field header_size integer
---@field ends_with_cr boolean? of the chunk before, when there are chunks
---@field tail string the last bytes of the header as far as it came: its end may be cut
---@field ask fun(what: string, fn: function, ...): any, any calls what is the policy's, and judges
---@field fields fun(header: string): string what stands before the message, for its header
local intake = {}

---@class moonwire.smtp.intake_limits
---@field size_max integer
---@field hops_max integer "Received" fields
---@field header_max integer bytes

local END <const> = "\r\n\r\n"

--- Begins a message.
---@param sink moonwire.smtp.sink
---@param limits moonwire.smtp.intake_limits
---@param ask fun(what: string, fn: function, ...): any, any the value, or nil and a reply
---@param fields fun(header: string): string
---@return moonwire.smtp.intake
function intake.new(sink, limits, ask, fields)
  return setmetatable({
    sink = sink, size = 0, limits = limits, header = {}, header_size = 0, tail = "\r\n", ask = ask,
    fields = fields,
  }, intake)
end

--- Gives the message up: what still comes of it is dropped. The first problem stays.
---@param problem moonwire.smtp.reply
function intake:fail(problem)
  self.problem = self.problem or problem
  self:abort()
end

local function forget(sink)
  sink:abort()
  return true
end

--- Lets the sink forget the message.
function intake:abort()
  local sink = self.sink
  self.sink, self.header = nil, nil
  if sink and sink.abort then
    self.ask("abort", forget, sink)
  end
end

intake.__index = intake

local function pass_on(self, bytes)
  if bytes == "" or not self.sink then
    return
  end
  local ok, problem = self.ask("write", self.sink.write, self.sink, bytes)
  if not ok then
    self:fail(problem)
  end
end

local function count_hops(header)
  local hops = 0
  for _ in ("\n" .. header):gmatch("\n[Rr][Ee][Cc][Ee][Ii][Vv][Ee][Dd][ \t]*:") do
    hops = hops + 1
  end
  return hops
end

-- Size: of the header, where more than that has come.
local function finish_header(self, size)
  local text = table.concat(self.header)
  local header = text:sub(1, size)
  self.header = nil
  if size > self.limits.header_max then
    return self:fail(reply.new(552, "5.3.4", "the header is too large"))
  elseif count_hops(header) > self.limits.hops_max then
    return self:fail(reply.new(554, "5.4.6", "too many hops: the message goes in circles"))
  end
  pass_on(self, self.fields(header))
  pass_on(self, text)
end

-- The header is kept until it is whole.
local function take_header(self, bytes)
  local seen = self.tail .. bytes
  local _, at = seen:find(END, 1, true)
  table.insert(self.header, bytes)
  if at then
    return finish_header(self, self.header_size + at - #self.tail)
  end
  self.header_size, self.tail = self.header_size + #bytes, seen:sub(-#END + 1)
  if self.header_size > self.limits.header_max then
    finish_header(self, self.header_size)
  end
end

--- Takes some bytes of the message, waiting for the sink.
---@param bytes string
function intake:write(bytes)
  self.size = self.size + #bytes
  if self.problem or bytes == "" then
    return
  elseif self.size > self.limits.size_max then
    self:fail(reply.new(552, "5.3.4", ("messages of %d bytes at most"):format(self.limits.size_max)))
  elseif self.header then
    take_header(self, bytes)
  else
    pass_on(self, bytes)
  end
end

--- Ends the message.
---@return string|true|nil done the text for the client, or true; nil: refused
---@return moonwire.smtp.reply? problem
function intake:finish()
  if self.header and not self.problem then
    finish_header(self, self.header_size)
  end
  local sink = self.sink
  if self.problem or not sink then
    return nil, self.problem
  end
  self.sink = nil
  local ok, text = self.ask("commit", sink.commit, sink)
  if not ok then
    return nil, text
  end
  return type(text) == "string" and text or true
end

return intake
