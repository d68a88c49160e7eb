--- Bodies of answers that become files, and go on where they were broken off. Not for scripts.
local file = require "moonwire.file"
local settings = require "moonwire.http.settings"

local download = {}

---@class moonwire.http.downloaded
---@field bytes integer of the whole file
---@field resumed integer bytes that were there from an earlier attempt

--- Writes the rest of a body to a file that is open.
---@param answer moonwire.http.answer
---@param opened moonwire.file
---@return integer? bytes
---@return string? err
---@return moonwire.code? code
function download.write(answer, opened)
  local bytes = 0
  while true do
    local data, err, code = answer:read_some()
    if code == "eof" then
      return bytes
    elseif not data then
      return nil, err, code
    end
    local ok
    ok, err, code = opened:write(data)
    if not ok then
      answer:close()
      return nil, err, code
    end
    bytes = bytes + #data
  end
end

-- What tells one version of a resource from the next: a strong tag, or a date.
local function validator_of(answer)
  local tag = answer:header("etag")
  if tag and tag:sub(1, 2) ~= "W/" then
    return tag
  end
  return answer:header("last-modified")
end

-- What an earlier download has left: how much, and of which version.
local function left_of(path)
  local validator = file.read(path .. ".part.of", { max = 1024 })
  local status = validator and file.stat(path .. ".part")
  if status and status.size > 0 then
    return status.size, validator
  end
  return 0
end

-- An answer whose body goes to `at` bytes of the file; 0: it is the whole.
local function ask(client, address, options, at, validator)
  local headers = settings.merge(options and options.headers, { ["Accept-Encoding"] = "identity",
    Range = at > 0 and ("bytes=%d-"):format(at) or nil, ["If-Range"] = at > 0 and validator or nil })
  local own = { headers = headers, stream = true, compression = false, body_max = false }
  local answer, err, code = client:get(address, settings.merge(options, own))
  if not answer then
    return nil, err, code
  end
  local from = (answer:header("content-range") or ""):match("^bytes (%d+)%-")
  if answer.status == 206 and tonumber(from) == at then
    return answer, at
  elseif answer.status == 200 then
    return answer, 0
  end
  answer:close()
  if answer.status == 416 and at > 0 then
    return ask(client, address, options, 0)
  end
  return nil, ("get %s: %d %s"):format(answer.url, answer.status, answer.reason),
    answer.status == 404 and "not_found" or "invalid"
end

local function receive(answer, path, at)
  local opened, err, code = file.open(path .. ".part", at > 0 and "append" or "write")
  if not opened then
    answer:close()
    return nil, err, code
  end
  local bytes
  bytes, err, code = download.write(answer, opened)
  local ok = bytes and opened:sync()
  opened:close()
  if bytes and not ok then
    return nil, "the file cannot be written", "system"
  end
  return bytes, err, code
end

--- Downloads to `path`. What is there of an earlier attempt, beside it in path.part, is not asked for again
--- when the server still has the same version.
---@param client moonwire.http.client
---@param address string
---@param path string
---@param options? table
---@return moonwire.http.downloaded? done
---@return string? err
---@return moonwire.code? code
function download.to_file(client, address, path, options)
  local answer, at, code = ask(client, address, options, left_of(path))
  if not answer then
    return nil, at, code
  end
  local validator = validator_of(answer)
  if at == 0 then
    file.remove(path .. ".part.of")
    if validator then
      file.write(path .. ".part.of", validator)
    end
  end
  local bytes, err
  bytes, err, code = receive(answer, path, at)
  if not bytes then
    return nil, err, code
  end
  local ok
  ok, err, code = file.rename(path .. ".part", path)
  file.remove(path .. ".part.of")
  if not ok then
    return nil, err, code
  end
  return { bytes = at + bytes, resumed = at }
end

return download
