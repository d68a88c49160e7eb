--- Values as they are shown at the prompt: as they would be written in Lua where
--- that can be, cut where they are deep or long. No metamethod is called but
--- __tostring. Not for scripts.
local show = {}

local DEPTH <const> = 4 -- tables within tables
local ENTRIES <const> = 100 -- of one table
local TOTAL <const> = 1000 -- entries of all tables of a value
local TEXT <const> = 1000 -- bytes of one string
local WIDTH <const> = 78 -- columns of a table on one line

local ESCAPES <const> = {
  ["\a"] = "\\a", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
  ["\v"] = "\\v", ["\\"] = "\\\\", ["\""] = "\\\"",
}

local RESERVED <const> = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then "
  .. "true until while"):gmatch("%a+") do
  RESERVED[word] = true
end

local function escape(byte)
  return ESCAPES[byte] or ("\\x%02x"):format(byte:byte())
end

-- UTF-8 passes.
local function quote(text)
  local cut = #text > TEXT and text:sub(1, TEXT) or text
  local bytes = utf8.len(cut) and '[%c"\\\127]' or '[%c"\\\127-\255]'
  local quoted = '"' .. cut:gsub(bytes, escape) .. '"'
  return #text > TEXT and ("%s… (%d bytes)"):format(quoted, #text) or quoted
end

local function is_name(key)
  return type(key) == "string" and key:find("^[%a_][%w_]*$") ~= nil and not RESERVED[key]
end

-- Numbers by size, then names by letter, then the rest.
local function comes_before(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a == kind_b and (kind_a == "number" or kind_a == "string") then
    return a < b
  elseif kind_a == kind_b then
    return false
  end
  return kind_a == "number" or kind_b ~= "number" and kind_a == "string"
end

-- The keys besides 1..count, so many of them that it is known whether there are too many.
local function other_keys(value, count)
  local keys = {}
  for key in next, value do
    if not (math.type(key) == "integer" and key >= 1 and key <= count) then
      keys[#keys + 1] = key
      if #keys > 10 * ENTRIES then
        break
      end
    end
  end
  table.sort(keys, comes_before)
  return keys
end

local to_text

local function key_text(state, key)
  if is_name(key) then
    return key
  end
  return "[" .. to_text(state, key, DEPTH) .. "]"
end

-- The entries of a table as texts.
local function entries(state, value, depth)
  local found, count = {}, rawlen(value)
  local keys = other_keys(value, count)
  local function add(key, prefix)
    if #found >= ENTRIES or state.left <= 0 then
      return false
    end
    state.left = state.left - 1
    found[#found + 1] = (prefix or "") .. to_text(state, rawget(value, key), depth + 1)
    return true
  end
  for i = 1, count do
    if not add(i) then
      break
    end
  end
  for _, key in ipairs(keys) do
    if not add(key, key_text(state, key) .. " = ") then
      break
    end
  end
  local rest = count + #keys - #found
  if rest > 0 then
    found[#found + 1] = ("… %d more"):format(rest)
  end
  return found
end

local function table_text(state, value, depth)
  if next(value) == nil then
    return "{}"
  elseif state.open[value] or depth >= DEPTH then
    return state.open[value] and "{…} (itself)" or "{…}"
  end
  state.open[value] = true
  local found = entries(state, value, depth)
  state.open[value] = nil
  local line = "{ " .. table.concat(found, ", ") .. " }"
  if #line + 2 * depth <= WIDTH and not line:find("\n", 1, true) then
    return line
  end
  local margin = ("  "):rep(depth)
  return ("{\n%s  %s,\n%s}"):format(margin, table.concat(found, ",\n  " .. margin), margin)
end

local function own_text(value)
  local ok, text = pcall(tostring, value)
  local reason = type(text) == "string" and text or "?"
  return ok and text or ("%s whose __tostring fails: %s"):format(type(value), reason)
end

local function has_own_text(value)
  local metatable = debug.getmetatable(value)
  return type(metatable) == "table" and rawget(metatable, "__tostring") ~= nil
end

function to_text(state, value, depth)
  local kind = type(value)
  if kind == "string" then
    return quote(value)
  elseif kind == "table" and not has_own_text(value) then
    return table_text(state, value, depth)
  end
  return own_text(value)
end

--- A value as text.
---@param value any
---@return string
function show.value(value)
  return to_text({ open = {}, left = TOTAL }, value, 0)
end

--- Several values: on one line when each of them is.
---@param ... any
---@return string
function show.values(...)
  local texts, separator = {}, "\t"
  for i = 1, select("#", ...) do
    texts[i] = show.value((select(i, ...)))
    separator = texts[i]:find("\n", 1, true) and "\n" or separator
  end
  return table.concat(texts, separator)
end

show.reserved = RESERVED

return show
