--- Files from clients: PUT and DELETE below a folder. A file has its name when it is whole; what came of one
--- whose sender has left stays, and a PUT with Content-Range goes on with it (RFC 9110 §14.5).
---
---     app:put("/*path", receiver.new(folder))
local check = require "moonwire.check"
local file_quota = require "moonwire.quota"
local incoming = require "moonwire.http.incoming"
local receiving = require "moonwire.http.receiving"

---@class moonwire.http.receiver
local receiver = {}

---@class moonwire.http.receiver_options
---@field max? integer|false bytes of a file; default false: no limit
---@field replace? boolean whether a file that is there may be replaced; default true
---@field remove? boolean whether DELETE may remove files and empty folders; default true
---@field parents? boolean whether folders on the way to a file are made; default true
---@field dot_files? boolean whether names may begin with a dot; default false
---@field sync? boolean whether a file is on the disk when it is answered for; default true
---@field quota? moonwire.quota of receiver.quota
--- Called when a file is whole: name, size, digest (32 bytes, when it was asked for), is_new, is_removed.
---@field on_change? fun(request: moonwire.http.request, change: table)

local KNOWN <const> = {
  max = "any", replace = "boolean", remove = "boolean", parents = "boolean", dot_files = "boolean",
  sync = "boolean", quota = "any", on_change = "function",
}
local PATIENCE <const> = 5 -- seconds that an upload has to end which is dropped
local SEGMENTS_MOST <const> = 64

-- The name below the folder, without the slash that a folder has at its end; nil, status: not that one.
local function name_of(self, request)
  local parameters = request.parameters
  local path = (parameters and parameters.path or request.path):gsub("^/+", "")
  local count = 0
  for segment in path:gmatch "[^/]+" do
    count = count + 1
    if incoming.is_hidden(segment) or segment:sub(1, 1) == "." and not self.settings.dot_files then
      return nil, 403
    end
  end
  if count == 0 or count > SEGMENTS_MOST then
    return nil, count == 0 and 405 or 400
  end
  return path:gsub("/+$", ""), path:sub(-1) == "/"
end

-- What is known before the body: nil when it may come, else the status.
local function judge_head(self, request, name, span)
  local max = self.settings.max or math.maxinteger
  local there = receiving.status_of(self, name)
  if span == false then
    return 400
  elseif there and (self.settings.replace == false or there.kind ~= "file" and there.kind ~= "link") then
    return 409
  elseif not receiving.is_expected(request, there) then
    return 412
  elseif (span and span.total or request.length or 0) > max then
    return 413
  end
end

local function make_parents(self, name)
  local parent = name:match "^(.*)/[^/]*$"
  if not parent or self.settings.parents == false then
    return true
  end
  return self.folder:make_folder(parent, { parents = true })
end

local function make_folder(self, response, name)
  local ok, err, code = make_parents(self, name)
  if ok then
    ok, err, code = self.folder:make_folder(name)
  end
  if not ok then
    return receiving.refuse(response, err, code)
  end
  return response:status(201):send()
end

local function put(self, request, response, name, is_folder)
  if is_folder then
    return make_folder(self, response, name)
  end
  local span = receiving.span_of(request)
  local status = judge_head(self, request, name, span)
  if status then
    return receiving.answer(response, status)
  end
  local max = self.settings.max
  request:limit_body(max and max - (span and span.first or 0) or false)
  local ok, err, code = make_parents(self, name)
  if not ok then
    return receiving.refuse(response, err, code)
  end
  return receiving.put(self, request, response, name, span)
end

-- --- the other methods

local function delete(self, request, response, name)
  local status = receiving.status_of(self, name)
  if self.settings.remove == false then
    return receiving.answer(response, 405)
  elseif not status then
    return receiving.answer(response, 404)
  elseif status.kind == "file" and not receiving.is_expected(request, status) then
    return receiving.answer(response, 412)
  end
  local ok, err, code = self.folder:remove(name, { sync = self.settings.sync ~= false })
  if not ok then
    return receiving.refuse(response, err, code)
  end
  receiving.give_back(self, status.kind == "file" and status.size or 0)
  receiving.tell(self, request, { name = name, size = status.size, is_removed = true })
  return response:status(204):send()
end

-- An upload that has stopped: how much there is, or an end of it.
local function answer_upload(self, request, response, name)
  local method, hidden = request.method, incoming.name_of(name)
  local status = self.folder:stat(hidden, { follow = false })
  response:header("Cache-Control", "no-store")
  if not status then
    return receiving.answer(response, 404)
  elseif method == "HEAD" or method == "GET" then
    receiving.tell_offset(response, status.size)
    return response:status(204):send()
  end
  receiving.take_over(self, name)
  local part <close>, err, code = incoming.open(self.folder, name, PATIENCE)
  if not part then
    return receiving.refuse(response, err, code)
  end
  receiving.give_back(self, part.size)
  part:drop()
  return response:status(204):send()
end

local function handle(self, request, response)
  local name, more = name_of(self, request)
  local method = request.method
  if not name then
    return receiving.answer(response, more)
  elseif request.query == "upload" and (method == "HEAD" or method == "GET" or method == "DELETE") then
    return answer_upload(self, request, response, name)
  elseif method == "PUT" then
    return put(self, request, response, name, more)
  elseif method == "DELETE" then
    return delete(self, request, response, name)
  end
  response:header("Allow", "DELETE, PUT")
  return receiving.answer(response, 405)
end

--- A handler that takes files in, by the path of the request, or by what a router has left of it in the
--- parameter `path`: PUT and DELETE, and with the query "upload" HEAD and DELETE of what came so far.
---@param folder moonwire.folder of file.root; kept as long as the handler
---@param options? moonwire.http.receiver_options
---@return moonwire.http.handler
function receiver.new(folder, options)
  check.folder(folder, 1, "new")
  check.options(options, KNOWN, 2, "new")
  options = options or {}
  if options.max and math.type(options.max) ~= "integer" then
    check.refuse(2, "new", "option 'max': an integer or false expected")
  elseif options.quota ~= nil and not file_quota.is_one(options.quota) then
    check.refuse(2, "new", "option 'quota': one of receiver.quota expected")
  end
  local self = { folder = folder, settings = options, active = {} }
  return function(request, response)
    return handle(self, request, response)
  end
end

--- How many bytes may lie below a folder. Counts what lies there already, which waits; from then on handlers
--- count that have it as their option.
---@param folder moonwire.folder
---@param limit integer bytes
---@param options? moonwire.quota_options
---@return moonwire.quota? quota
---@return string? err
---@return moonwire.code? code "too_large" (a million names, 64 folders in each other), "not_found", "denied"
function receiver.quota(folder, limit, options)
  check.folder(folder, 1, "quota")
  check.count(limit, 2, "quota")
  return file_quota.new(folder, limit, options)
end

--- Removes what came of files whose senders have not gone on for long. Waits.
---@param folder moonwire.folder
---@param seconds number since something was added
---@param quota? moonwire.quota of the folder
---@return integer bytes that were freed
function receiver.sweep(folder, seconds, quota)
  check.folder(folder, 1, "sweep")
  check.seconds(seconds, 2, "sweep")
  if quota ~= nil and not file_quota.is_one(quota) then
    check.refuse(3, "sweep", "one of receiver.quota expected")
  end
  local bytes = incoming.sweep(folder, os.time() - seconds)
  if quota then
    quota:give(bytes)
  end
  return bytes
end

return receiver
