--- What faults of files and of data connections are answered with. Not for scripts.
local failure = {}

local FILES <const> = {
  not_found = { 550, "No such file or folder" },
  denied = { 550, "Permission denied" },
  invalid = { 550, "Not a file or folder for that" },
  exists = { 550, "Something is there already" },
  too_large = { 552, "Too much" },
  full = { 452, "No space left" },
  descriptors = { 450, "Too many open files, try again" },
  memory = { 450, "Try again" },
}

--- Of a file.
---@param code moonwire.code
---@return integer reply
---@return string text
function failure.of_file(code)
  local known = FILES[code]
  if known then
    return known[1], known[2]
  end
  return 451, "The disk failed"
end

--- Of a data connection that was not opened.
---@param code moonwire.code
---@return integer reply
---@return string text
function failure.of_opening(code)
  if code == "protocol" or code == "tls" or code == "certificate" then
    return 522, "No TLS on the data connection, or not with the session of this one"
  end
  return 425, "No data connection: " .. code
end

--- Of one that ended too early.
---@param code moonwire.code
---@return integer reply
---@return string text
function failure.of_data(code)
  return 426, "The transfer ended: " .. code
end

return failure
