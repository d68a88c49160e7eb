--- Patterns of names, as `mget` sends them: * ? [a-z] [!a-z]. Time is that of name and pattern multiplied, at
--- most. Not for scripts.
local glob = {}

--- Whether a text has any of their signs.
---@param text string
---@return boolean
function glob.is_pattern(text)
  return text:find("[*?%[]") ~= nil
end

-- Whether a byte is in the set that begins at `from`, and where the pattern goes on; nil: it is no set.
local function match_set(pattern, from, byte)
  local negated, body, behind = pattern:match("^%[([!^]?)(%]?[^%]]*)%]()", from)
  if not body then
    return nil
  end
  local at, found = 1, false
  while at <= #body do
    local low, high = body:byte(at), body:byte(at)
    if body:sub(at + 1, at + 1) == "-" and at + 2 <= #body then
      high, at = body:byte(at + 2), at + 2
    end
    found = found or (byte >= low and byte <= high)
    at = at + 1
  end
  return found == (negated == ""), behind
end

-- Whether the sign at `from` takes the byte, and where the next one is.
local function match_one(pattern, from, byte)
  local sign = pattern:sub(from, from)
  if sign == "?" then
    return true, from + 1
  elseif sign == "[" then
    local is_in, behind = match_set(pattern, from, byte)
    if behind then
      return is_in, behind
    end
  end
  return sign:byte() == byte, from + 1
end

--- Whether a name fits a pattern. Only the last star is ever tried again: so it stays fast.
---@param pattern string
---@param name string
---@return boolean
function glob.matches(pattern, name)
  local p, n, star, mark = 1, 1, nil, nil
  while n <= #name do
    local fits, behind
    if pattern:sub(p, p) == "*" then
      star, mark = p, n
      p = p + 1
    else
      if p <= #pattern then
        fits, behind = match_one(pattern, p, name:byte(n))
      end
      if fits then
        p, n = behind, n + 1
      elseif star then
        mark = mark + 1
        p, n = star + 1, mark
      else
        return false
      end
    end
  end
  return not pattern:find("[^*]", p)
end

return glob
