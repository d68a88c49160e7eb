--- Replies as a client reads them. Not for scripts.
local answer = {}

local LINE_MOST <const>, LINES_MOST <const> = 2048, 128

---@class moonwire.smtp.answer
---@field code integer
---@field enhanced string?
---@field text string lines with "\n" between them, without codes

local function finish(code, lines)
  local enhanced = lines[1]:match("^([245]%.%d%d?%d?%.%d%d?%d?)%f[%z ]")
  if enhanced then
    for i, line in ipairs(lines) do
      lines[i] = line:sub(1, #enhanced) == enhanced and line:sub(#enhanced + 2) or line
    end
  end
  return { code = tonumber(code), enhanced = enhanced, text = table.concat(lines, "\n") }
end

--- Reads one.
---@param conn moonwire.stream
---@return moonwire.smtp.answer?
---@return string? err
---@return moonwire.code? code "protocol": it is none; and as of stream:read_line
function answer.read(conn)
  local lines, first = {}, nil
  while #lines < LINES_MOST do
    local line, err, why = conn:read_line(LINE_MOST)
    if not line then
      return nil, "read reply: " .. err, why
    end
    local code, more, text = line:match("^([2-5]%d%d)([ -]?)(.*)$")
    if not code or more == "" and text ~= "" or first and code ~= first then
      break
    end
    first = code
    lines[#lines + 1] = text:gsub("%c", "?")
    if more ~= "-" then
      return finish(code, lines)
    end
  end
  return nil, "read reply: that is no server of mail", "protocol"
end

--- Says a command and reads the reply.
---@param conn moonwire.stream
---@param ... string
---@return moonwire.smtp.answer?
---@return string? err
---@return moonwire.code? code
function answer.ask(conn, ...)
  local ok, err, code = conn:write(...)
  ok, err, code = ok and conn:write("\r\n"), err, code
  if not ok then
    return nil, "write command: " .. tostring(err), code
  end
  return answer.read(conn)
end

return answer
