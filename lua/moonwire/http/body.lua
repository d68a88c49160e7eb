--- What a script gives as the body of a request. Not for scripts.
local codec = require "moonwire.codec"
local json = require "moonwire.json"

local body = {}

local function is_file(value)
  return type(value) == "userdata" and tostring(value):find("^moonwire%.file") ~= nil
end

local function read_body(value, size)
  if value == nil then
    return nil
  elseif type(value) == "string" then
    return { kind = "string", data = value, size = #value }
  elseif type(value) == "function" then
    return { kind = "iterator", next = value, size = size }
  elseif is_file(value) then
    return { kind = "file", file = value, at = value:position(), size = value:size() - value:position() }
  end
  return nil, ("option 'body': a string, an iterator or a file expected, got %s"):format(type(value))
end

--- Reads the options body, form, json and length.
---@param options table
---@return table? body with kind, size (nil: unknown) and data, next or file
---@return string? type Content-Type
---@return string? problem
function body.read(options)
  local has_body, has_form, has_json = options.body ~= nil, options.form ~= nil, options.json ~= nil
  if has_body and has_form or has_body and has_json or has_form and has_json then
    return nil, nil, "only one of the options body, form and json can be given"
  end
  if options.form then
    return read_body(codec.form_encode(options.form)), "application/x-www-form-urlencoded"
  elseif options.json ~= nil then
    return read_body(json.encode(options.json)), "application/json"
  end
  local result, problem = read_body(options.body, options.length)
  return result, nil, problem
end

--- Goes back to its beginning, to be sent once more. False: it cannot.
---@param given? table
---@return boolean
function body.rewind(given)
  if given and given.kind == "file" then
    given.file:seek(given.at)
  end
  return not given or given.kind ~= "iterator"
end

return body
