--- Patterns of paths, such as "/users/:id<integer>/files/*path", taken apart. Not for scripts.
local codec = require "moonwire.codec"

local pattern = {}

-- A segment: text that is compared, or a parameter of a kind; `is_rest`: of all that is left.
---@class moonwire.http.segment
---@field text? string
---@field name? string
---@field kind? string
---@field is_rest? boolean

local NAME <const> = "[%a_][%w_]*"

local function parse_segment(text, is_last)
  local mark = text:sub(1, 1)
  if mark == "*" then
    local name = text:match("^%*(" .. NAME .. ")$")
    if not name then
      return nil, ("'%s': a name expected behind the asterisk"):format(text)
    elseif not is_last then
      return nil, ("'%s' takes all that is left: nothing can stand behind it"):format(text)
    end
    return { name = name, is_rest = true }
  elseif mark == ":" then
    local name, kind = text:match("^:(" .. NAME .. ")$"), nil
    if not name then
      name, kind = text:match("^:(" .. NAME .. ")<(" .. NAME .. ")>$")
    end
    return name and { name = name, kind = kind }, ("'%s': ':name' or ':name<kind>' expected"):format(text)
  end
  return { text = text }
end

--- Takes a pattern apart.
---@param text string
---@return moonwire.http.segment[]? segments
---@return string? problem
function pattern.parse(text)
  if text:sub(1, 1) ~= "/" then
    return nil, ("the pattern '%s' does not begin with a slash"):format(text)
  elseif text:find("//", 1, true) or text:find("[%c?#%%]") or (text .. "/"):find("/%.%.?/") then
    return nil, ("the pattern '%s': no path of a request looks like this"):format(text)
  end
  local segments, names = {}, {}
  for from, word in text:gmatch("/()([^/]*)") do
    local segment, problem = parse_segment(word, from + #word > #text)
    if not segment then
      return nil, problem
    elseif segment.name and names[segment.name] then
      return nil, ("the pattern '%s' has two parameters '%s'"):format(text, segment.name)
    end
    names[segment.name or ""] = true
    segments[#segments + 1] = segment
  end
  return segments
end

--- Whether a pattern is the one path that it matches.
---@param segments moonwire.http.segment[]
---@return boolean
function pattern.is_static(segments)
  for _, segment in ipairs(segments) do
    if segment.name then
      return false
    end
  end
  return true
end

-- The text of a parameter in a path, or what is wrong with it: it would not come back as it is.
local function write_value(segment, value)
  if value == nil then
    return nil, ("parameter '%s' is missing"):format(segment.name)
  end
  value = tostring(value)
  if not segment.is_rest and (value == "" or value:find("/", 1, true)) then
    return nil, ("parameter '%s': '%s' is no segment of a path"):format(segment.name, value)
  elseif ("/" .. value .. "/"):find("/%.%.?/") or value:find("//", 1, true) or value:find("^/") then
    return nil, ("parameter '%s': '%s' cannot stand in a path"):format(segment.name, value)
  end
  return (value:gsub("[^/]+", codec.url_encode))
end

-- Segments of the pattern itself: what RFC 3986 lets a path have stays as it is written.
local function write_text(text)
  return (text:gsub("[^%w%-._~!$&'()*+,;=:@]", codec.url_encode))
end

--- The path that a pattern stands for.
---@param segments moonwire.http.segment[]
---@param values table<string, any> of its parameters
---@return string? path with percent encoding
---@return string? problem
function pattern.write(segments, values)
  local words = {}
  for i, segment in ipairs(segments) do
    local word, problem
    if segment.name then
      word, problem = write_value(segment, values[segment.name])
      if not word then
        return nil, problem
      end
    end
    words[i] = word or write_text(segment.text)
  end
  return "/" .. table.concat(words, "/")
end

return pattern
