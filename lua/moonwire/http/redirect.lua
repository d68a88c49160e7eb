--- Where an answer sends a client to (RFC 9110 section 15.4). Not for scripts.
local body = require "moonwire.http.body"
local dial = require "moonwire.http.dial"
local url = require "moonwire.http.url"

local redirect = {}

local STATUSES <const> = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local SECRETS <const> = { "authorization", "cookie", "proxy-authorization" }
local OF_BODY <const> = { "content-type", "content-encoding", "content-language", "content-location" }

local function forget(fields, names)
  for _, name in ipairs(names) do
    fields[name] = nil
  end
end

-- A POST becomes a GET, as it does in browsers; 303 says so for all.
local function change_method(plan, status)
  local method = plan.method
  if status == 303 and method ~= "HEAD" or (status == 301 or status == 302) and method == "POST" then
    plan.method, plan.body = "GET", nil
    forget(plan.fields, OF_BODY)
  end
end

--- Changes a plan so that it asks where the answer says. False: it says nothing of the kind.
---@param plan table see moonwire.http.plan
---@param status integer
---@param location? string
---@return boolean? changed
---@return string? err
---@return moonwire.code? code "invalid", "denied"
function redirect.follow(plan, status, location)
  if not STATUSES[status] or not location or plan.redirects == 0 then
    return false
  end
  local from = plan.url
  local to, err, code = url.resolve(from, location)
  if not to then
    return nil, "redirect from " .. url.build(from) .. ": " .. err, code
  end
  if dial.is_secure(from.scheme) and not dial.is_secure(to.scheme) and not plan.insecure_redirects then
    return nil, ("redirect from %s to %s: not without TLS"):format(url.build(from), url.build(to)), "denied"
  end
  change_method(plan, status)
  if not body.rewind(plan.body) then
    return nil, ("redirect from %s: an iterator cannot be sent again"):format(url.build(from)), "invalid"
  end
  if url.origin(from) ~= url.origin(to) then
    forget(plan.fields, SECRETS)
    plan.fields.host, plan.address = nil, nil
  end
  to.fragment = to.fragment or from.fragment
  plan.url, plan.redirects, plan.hops = to, plan.redirects - 1, plan.hops + 1
  return true
end

return redirect
