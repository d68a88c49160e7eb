--- The data of DATA as it comes: dots are taken away, and its end is CRLF.CRLF and nothing else (RFC
--- 5321 §4.5.2). A CR or LF that stands alone makes the message bad; it is never the end of a line.
--- Not for scripts.

---@class moonwire.smtp.dots
---@field pending string bytes that cannot be judged yet: "\r", ".", ".\r"
---@field is_start boolean whether the next byte is the first of a line
---@field is_bare boolean a CR or LF stood alone
---@field is_long boolean a line was too long
---@field line integer bytes of the line that has not ended
---@field line_max integer
local dots = {}
dots.__index = dots

local DOT <const>, CR <const> = 46, 13

--- Begins at the first line of the data.
---@param line_max integer bytes of a line, without its end
---@return moonwire.smtp.dots
function dots.new(line_max)
  return setmetatable({
    pending = "", is_start = true, is_bare = false, is_long = false, line = 0, line_max = line_max,
  }, dots)
end

-- What a dot at the start of a line is: "end", "wait" until more has come, or "dot", one to be taken away.
local function judge_dot(text, at)
  local two = text:sub(at + 1, at + 2)
  if two == "\r\n" then
    return "end"
  end
  return (two == "" or two == "\r") and "wait" or "dot"
end

local function count_line(self, bytes)
  self.line = self.line + bytes
  self.is_long = self.is_long or self.line > self.line_max
end

-- Goes on to the next start of a line. The byte behind it; nil: the text has no more.
local function next_line(self, text, at)
  local lf = text:find("\n", at, true)
  local cr = not self.is_bare and text:find("\r", at, true) -- once it is bad, nobody asks how often
  local is_end = lf and lf > at and text:byte(lf - 1) == CR
  if lf and not is_end or cr and cr ~= (lf or #text + 1) - 1 then
    self.is_bare = true
  end
  count_line(self, (lf and lf - 1 or #text + 1) - at)
  self.is_start = is_end or false
  if is_end then
    self.line = 0
  end
  return lf and lf + 1
end

-- How much of the text is whole, when the end was not in it.
local function hold_back(self, text)
  local has_cr = text:byte(-1) == CR
  self.pending = has_cr and "\r" or ""
  return #text - #self.pending
end

--- Takes bytes, as many as there are.
---@param chunk string
---@return string data what they are of the message
---@return integer? used bytes of the chunk up to the end of the data; nil: it has not come
function dots:feed(chunk)
  local text, parts, from, at = self.pending .. chunk, {}, 1, 1
  local before = #self.pending
  self.pending = ""
  while at and at <= #text do
    local kind = self.is_start and text:byte(at) == DOT and judge_dot(text, at)
    if kind == "end" then
      parts[#parts + 1] = text:sub(from, at - 1)
      return table.concat(parts), at + 2 - before
    elseif kind == "wait" then
      parts[#parts + 1] = text:sub(from, at - 1)
      self.pending = text:sub(at)
      return table.concat(parts)
    elseif kind == "dot" then
      parts[#parts + 1] = text:sub(from, at - 1)
      from, at = at + 1, at + 1
    end
    at = next_line(self, text, at)
  end
  parts[#parts + 1] = text:sub(from, hold_back(self, text))
  return table.concat(parts)
end

return dots
