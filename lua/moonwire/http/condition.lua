--- Requests that are made on a condition (RFC 9110 §13). Not for scripts.
local core = require "moonwire.core"

local condition = {}

-- Whether a list of entity tags has this one, which is a strong one. `weakly`: the weak form of it will do.
local function has_tag(list, tag, weakly)
  if list == tag or list == "*" then
    return true
  end
  for mark, opaque in list:gmatch('(W?/?)("[^"]*")') do
    if opaque == tag and (mark == "" or weakly and mark == "W/") then
      return true
    end
  end
  return false
end

local function moment_of(request, name)
  local text = request:header(name)
  return text and core.http.parse_date(text)
end

local function is_refused(request, tag, modified)
  local match = request:header "If-Match"
  if match then
    return not has_tag(match, tag, false)
  end
  local since = moment_of(request, "If-Unmodified-Since")
  return since ~= nil and modified > since
end

local function is_known(request, tag, modified)
  local match = request:header "If-None-Match"
  if match then
    return has_tag(match, tag, true)
  end
  local since = moment_of(request, "If-Modified-Since")
  return since ~= nil and modified <= since
end

--- What the conditions of a GET or HEAD lead to, in the order of §13.2.2.
---@param request moonwire.http.request
---@param tag string the strong entity tag of what would be sent, with its quotes
---@param modified integer when it changed last, in seconds since 1970
---@return integer? status 412: the condition fails; 304: the client has it; nil: send it
function condition.check(request, tag, modified)
  if is_refused(request, tag, modified) then
    return 412
  end
  return is_known(request, tag, modified) and 304 or nil
end

--- Whether a method may change what there is (§13.2).
---@param request moonwire.http.request
---@param tag? string its entity tag; nil: nothing is there
---@param modified? integer
---@return boolean
function condition.allows_change(request, tag, modified)
  if not tag then
    return request:header "If-Match" == nil
  end
  local match = request:header "If-None-Match"
  return not is_refused(request, tag, modified) and not (match and has_tag(match, tag, true))
end

--- Whether a part of it may be sent: If-Range names what there is, or is not there.
---@param request moonwire.http.request
---@param tag string
---@param date string when it changed last, as it is told
---@return boolean
function condition.allows_range(request, tag, date)
  local expected = request:header "If-Range"
  return expected == nil or expected == tag or expected == date
end

return condition
