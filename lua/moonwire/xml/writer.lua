--- Elements as XML. Not for scripts.
local writer = {}

local DEPTH_MOST <const> = 1000
local ESCAPES <const> = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
  ["\t"] = "&#9;", ["\n"] = "&#10;", ["\r"] = "&#13;",
}

local function refuse(path, problem)
  error({ problem = table.concat(path, "/") .. (path[1] and ": " or "") .. problem }, 0)
end

local function check_name(path, name)
  if type(name) ~= "string" or not name:find("^[%a_:\x80-\xff][%w_:.\x80-\xff-]*$") or not utf8.len(name) then
    refuse(path, ("%s is no name of XML"):format(type(name) == "string" and "'" .. name .. "'" or type(name)))
  end
  return name
end

local function escape(path, value, pattern)
  local text = math.type(value) and tostring(value) or value
  if type(text) ~= "string" then
    refuse(path, ("string, number or element expected, got %s"):format(type(text)))
  elseif not utf8.len(text) or text:find("[\0-\8\11\12\14-\31]") or text:find("\xEF\xBF[\xBE\xBF]") then
    refuse(path, "a text with characters that XML has not, or that is not UTF-8")
  end
  return (text:gsub(pattern, ESCAPES))
end

local function write_attributes(out, path, attributes)
  local names = {}
  if type(attributes) ~= "table" then
    refuse(path, ("attributes: table expected, got %s"):format(type(attributes)))
  end
  for name in pairs(attributes) do
    names[#names + 1] = check_name(path, name)
  end
  table.sort(names)
  for _, name in ipairs(names) do
    out[#out + 1] = (' %s="%s"'):format(name, escape(path, attributes[name], '[&<>"\t\n\r]'))
  end
end

local function write_element(out, path, element)
  local name = check_name(path, element.name)
  path[#path + 1] = name
  if #path > DEPTH_MOST then
    refuse({ path[1], "..." }, "nested too deeply, or an element within itself")
  end
  out[#out + 1] = "<" .. name
  write_attributes(out, path, element.attributes or {})
  if element[1] == nil then
    out[#out + 1] = "/>"
  else
    out[#out + 1] = ">"
    for _, child in ipairs(element) do
      if type(child) == "table" then
        write_element(out, path, child)
      else
        out[#out + 1] = escape(path, child, "[&<>\r]")
      end
    end
    out[#out + 1] = "</" .. name .. ">"
  end
  path[#path] = nil
end

--- Writes an element.
---@param element moonwire.xml_element
---@return string? text
---@return string? problem and where it is
function writer.write(element)
  local out = {}
  local ok, fault = pcall(write_element, out, {}, element)
  if ok then
    return table.concat(out)
  elseif type(fault) == "table" and fault.problem then
    return nil, fault.problem
  end
  error(fault, 0)
end

return writer
