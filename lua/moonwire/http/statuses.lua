--- What a request is answered with when reading it failed with a code. Codes that
--- are not here are the server's own failures. Not for scripts.
local statuses <const> = {
  invalid = 400, eof = 400, denied = 403, not_found = 404, timeout = 408, exists = 409, too_large = 413,
  unsupported = 415, full = 507,
}

return statuses
