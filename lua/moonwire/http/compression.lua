--- Bodies in fewer bytes: responses are compressed for clients that take it, requests that are compressed are
--- read as if they were not. Two middlewares.
---
---     app:use(http.compress()):use(compression.requests())
local check = require "moonwire.check"
local compress = require "moonwire.compress"
local core = require "moonwire.core"
local decoding = require "moonwire.http.decoding"
local encoding = require "moonwire.http.encoding"
local file = require "moonwire.file"
local mime = require "moonwire.http.mime"

local compression = {}

---@class moonwire.http.compression_options
---@field level? integer 1 (fast) to 9 (small); default 5
---@field min? integer bytes that a body has at least, if its length is known; default 1024
---@field codings? ("br"|"gzip"|"deflate")[] the one that is liked best first; default { "br", "gzip" }
--- Whether a body of this type is compressed; default: text, JSON, XML and their kin, but not
--- "text/event-stream".
---@field compressible? fun(kind: string): boolean
--- Whether the client can read what was written at once, which costs some bytes each time; default true.
--- With false only flush and finish see to that.
---@field flush? boolean

---@class moonwire.http.decompression_options
---@field max? integer bytes that a body may have when it is decompressed; default 10 MiB

local KNOWN <const> = {
  level = "integer", min = "integer", codings = "table", compressible = "function", flush = "boolean",
}
local REQUEST_KNOWN <const> = { max = "integer" }
local MIN_DEFAULT <const> = 1024
local CODINGS_DEFAULT <const> = { "br", "gzip" }
local KINDS <const> = { br = "brotli", gzip = "gzip", deflate = "deflate" }
local DEFAULT_TYPE <const> = "text/plain" -- what the server says where nobody has
local BODILESS <const> = { [204] = true, [205] = true, [206] = true, [304] = true }

--- What is known of a response that may be compressed. `coding`: the one that the client likes best.
---@class moonwire.http.compressing
---@field settings moonwire.http.compression_options
---@field coding? string
---@field is_head boolean
---@field inner table<string, function> the methods that are shadowed
---@field encoder? moonwire.encoder once it streams
---@field decided? boolean
local states = setmetatable({}, { __mode = "k" })

local function is_compressible(state, kind)
  local own = state.settings.compressible
  if own then
    return own(kind)
  end
  return mime.is_compressible(kind) and not kind:find("^text/event%-stream")
end

-- Whether this response may be sent in a coding at all; `size` of its body, if that is known.
local function is_fit(state, response, size)
  local control = response:header "Cache-Control"
  return not BODILESS[response:status()]
    and (not size or size >= (state.settings.min or MIN_DEFAULT))
    and not response:header "Content-Encoding" and not response:header "Content-Range"
    and not (control and control:lower():find("no-transform", 1, true))
    and is_compressible(state, response:header "Content-Type" or DEFAULT_TYPE)
end

-- The coding for this response; nil: none. Says to caches what decides it.
local function decide(state, response, size)
  state.decided = true
  if not is_fit(state, response, size) then
    return nil
  end
  encoding.vary(response, "Accept-Encoding")
  return state.coding
end

-- The head of a response that is in a coding. Its tag names the same content, but not the same bytes.
local function set_head(response, coding)
  local tag = response:header "ETag"
  if tag and tag:sub(1, 1) == '"' then
    response:header("ETag", "W/" .. tag)
  end
  response:header("Content-Encoding", coding):header("Content-Length", nil):header("Accept-Ranges", nil)
  response:header("Repr-Digest", nil)
end

local Shadow = {} -- methods that stand before those of a response

-- A response to HEAD has the head of the one to GET; how long its body would be nobody has computed.
local function send_head(state, response, coding)
  set_head(response, coding)
  state.inner.write(response, "")
  return state.inner.finish(response)
end

function Shadow.send(response, body)
  local state = states[response]
  if type(body) ~= "string" or state.decided then
    return state.inner.send(response, body)
  end
  local coding = decide(state, response, #body)
  if coding and state.is_head then
    return send_head(state, response, coding)
  end
  local bytes = coding and compress.encode(KINDS[coding], body, { level = state.settings.level })
  if not bytes or #bytes >= #body then
    return state.inner.send(response, body)
  end
  set_head(response, coding)
  return state.inner.send(response, bytes)
end

-- The encoder of a response that streams, made with its first byte; nil: it goes out as it is.
local function encoder_of(state, response)
  if not state.decided then
    local coding = decide(state, response, tonumber(response:header "Content-Length"))
    if coding then
      set_head(response, coding)
      state.encoder = not state.is_head and compress.encoder(KINDS[coding], { level = state.settings.level })
    end
  end
  return state.encoder
end

-- Hands on what an encoder gave, or why it gave nothing.
local function pass_on(state, response, bytes, err, code)
  if not bytes then
    return nil, err, code
  end
  return state.inner.write(response, bytes)
end

function Shadow.write(response, ...)
  local state = states[response]
  local encoder = encoder_of(state, response)
  if not encoder then
    return state.inner.write(response, ...)
  end
  return pass_on(state, response, encoder:add(table.concat { ... }, state.settings.flush ~= false))
end

function Shadow.flush(response)
  local state = states[response]
  local encoder = encoder_of(state, response)
  if encoder then
    local ok, err, code = pass_on(state, response, encoder:add("", true))
    if not ok then
      return nil, err, code
    end
  end
  return state.inner.flush(response)
end

function Shadow.finish(response, trailers)
  local state = states[response]
  local encoder = state.encoder
  if encoder then
    state.encoder = nil
    local ok, err, code = pass_on(state, response, encoder:finish())
    if not ok then
      return nil, err, code
    end
  end
  return state.inner.finish(response, trailers)
end

-- The bytes of an open file through the encoder.
local function stream_file(state, response, source, offset, length)
  local place = source:position()
  source:seek(offset)
  while length > 0 do
    local data, err, code = source:read(math.min(length, 65536))
    local ok = data
    if data then
      ok, err, code = pass_on(state, response, state.encoder:add(data))
    end
    if not ok then
      return nil, err, code
    end
    length = length - #data
  end
  source:seek(place)
  return Shadow.finish(response)
end

local function send_opened(state, response, source, offset, length)
  local size, err, code = source:size()
  if not size then
    return nil, err, code
  end
  offset = offset or 0
  length = math.max(0, math.min(length or size, size - offset))
  local coding = decide(state, response, length)
  if not coding then
    return state.inner.send_file(response, source, offset, length)
  elseif state.is_head then
    return send_head(state, response, coding)
  end
  set_head(response, coding)
  state.encoder = compress.encoder(KINDS[coding], { level = state.settings.level })
  return stream_file(state, response, source, offset, length)
end

-- Files that Lua's own library has opened go out as they are.
function Shadow.send_file(response, source, offset, length)
  local state = states[response]
  if state.decided or io.type(source) then
    return state.inner.send_file(response, source, offset, length)
  elseif type(source) ~= "string" then
    return send_opened(state, response, source, offset, length)
  end
  local opened <close>, err, code = file.open(source)
  if not opened then
    return nil, err, code
  end
  return send_opened(state, response, opened, offset, length)
end

-- Other middleware may have shadowed them before us.
local function shadow(response, state)
  local own = {}
  for name, method in pairs(Shadow) do
    own[name] = method
  end
  states[response] = state
  state.inner = core.http.override(response, own)
  setmetatable(own, { __index = state.inner })
end

local function read_codings(names)
  for _, name in ipairs(names or {}) do
    if not KINDS[name] then
      error(("bad argument #1 to 'new' (option 'codings': no coding '%s')"):format(tostring(name)), 3)
    end
  end
  return names or CODINGS_DEFAULT
end

--- Middleware that compresses responses: with the coding that the client asks for, where the type is one that
--- shrinks. What is in a coding already, a part of something, or "no-transform" stays as it is.
---@param options? moonwire.http.compression_options
---@return moonwire.http.middleware
function compression.new(options)
  check.options(options, KNOWN, 1, "new")
  local settings = options or {}
  local available = read_codings(settings.codings)
  return function(next)
    return function(request, response, ctx)
      local state = { settings = settings, is_head = request.method == "HEAD" }
      state.coding = encoding.choose(request:header "Accept-Encoding", available)
      shadow(response, state)
      next(request, response, ctx)
      if state.encoder then
        response:finish()
      end
    end
  end
end

--- Middleware that decompresses the bodies of requests while they are read: gzip, deflate and br. Others are
--- answered with 415.
---@param options? moonwire.http.decompression_options
---@return moonwire.http.middleware
function compression.requests(options)
  check.options(options, REQUEST_KNOWN, 1, "requests")
  local most = options and options.max
  return function(next)
    return function(request, response, ctx)
      local coding = request:header "Content-Encoding"
      if coding and not decoding.shadow(request, coding, most) then
        response:status(415):header("Accept-Encoding", "br, gzip, deflate")
        return response:send "Unsupported Media Type\n"
      end
      return next(request, response, ctx)
    end
  end
end

return compression
