--- Headers of the parts of a form: Content-Disposition and its kin, read as
--- browsers and others write them, and written as browsers do. Not for scripts.
local media = require "moonwire.http.media"

local disposition = {}

local FIELD <const> = "^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*$"
local FILENAME_MOST <const> = 255 -- bytes: what file systems take
local UNQUOTED <const> = { ["%22"] = '"', ["%0D"] = "\r", ["%0A"] = "\n", ["%0d"] = "\r", ["%0a"] = "\n" }
local QUOTED <const> = { ['"'] = "%22", ["\r"] = "%0D", ["\n"] = "%0A" }

-- The text of a quoted string from byte `at`, where its first quote stands, and the byte behind it. Others
-- than browsers write \" for a quote; a backslash before anything else is itself, as in paths of old
-- browsers.
local function take_quoted(text, at)
  local parts, from = {}, at + 1
  while true do
    local mark = text:find('["\\]', from)
    if not mark then
      return nil
    end
    parts[#parts + 1] = text:sub(from, mark - 1)
    if text:sub(mark, mark) == '"' then
      return table.concat(parts), mark + 1
    end
    local escaped = text:match('^["\\]', mark + 1)
    parts[#parts + 1] = escaped or "\\"
    from = mark + 1 + (escaped and 1 or 0)
  end
end

-- The parameters of a Content-Disposition; nil when it is none, or has one twice.
local function parse_parameters(text)
  local parameters, at = {}, text:match("^[Ff][Oo][Rr][Mm]%-[Dd][Aa][Tt][Aa][ \t]*()")
  while at and at <= #text do
    local name, from = text:match("^;[ \t]*([%w*_-]+)=()", at)
    local value
    if name and text:sub(from, from) == '"' then
      value, at = take_quoted(text, from)
    elseif name then
      value, at = text:match("^([^;\" \t]*)()", from)
    end
    if not value or parameters[name:lower()] then
      return nil
    end
    parameters[name:lower()] = value:gsub("%%[20][2DAda]", UNQUOTED)
    at = text:match("^[ \t]*()", at)
  end
  return at and parameters
end

-- What a file may be called: no folders, no control bytes, nothing that a folder has already.
local function safe_filename(text)
  local name = text:gsub("^.*[/\\]", ""):gsub("[%c\127]", ""):sub(1, FILENAME_MOST)
  if #text > FILENAME_MOST and not utf8.len(name) then
    name = name:gsub("[\xC2-\xF4][\x80-\xBF]*$", "") -- a character that was cut
  end
  return (name == "." or name == "..") and "" or name
end

local function parse_fields(text)
  local fields = {}
  for line in text:gsub("\r\n[ \t]+", " "):gmatch("(.-)\r\n") do
    local name, value = line:match(FIELD)
    if not name or value:find("[%z\r\n]") then
      return nil
    end
    name = name:lower()
    if name == "content-disposition" and fields[name] then
      return nil
    end
    fields[name] = fields[name] and fields[name] .. ", " .. value or value
  end
  return fields
end

---@class moonwire.http.part_head
---@field name string
---@field filename? string
---@field type string
---@field headers table<string, string>

--- Reads the header of a part.
---@param text string lines with their ends
---@return moonwire.http.part_head? head nil: it is none of a form
function disposition.parse_header(text)
  local fields = parse_fields(text)
  local parameters = fields and parse_parameters(fields["content-disposition"] or "")
  if not parameters or not parameters.name then
    return nil
  end
  return {
    name = parameters.name, filename = parameters.filename and safe_filename(parameters.filename),
    type = media.type_of(fields["content-type"]) or "text/plain", headers = fields,
  }
end

local function quote(text)
  return '"' .. text:gsub('["\r\n]', QUOTED) .. '"'
end

--- Writes the header of a part.
---@param field moonwire.http.multipart_field
---@return string lines with their ends
function disposition.write_header(field)
  local text = "Content-Disposition: form-data; name=" .. quote(field.name)
  if field.filename then
    text = text .. "; filename=" .. quote(field.filename)
  end
  local kind = field.type or field.filename and "application/octet-stream"
  return kind and ("%s\r\nContent-Type: %s\r\n"):format(text, kind) or text .. "\r\n"
end

return disposition
