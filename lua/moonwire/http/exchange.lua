--- One request and its answer on a connection that is there. Not for scripts.
local core = require "moonwire.core"
local task = require "moonwire.task"

local exchange = {}

local PIECE <const> = 65536 -- bytes that are queued at a time
local CONTINUE_SECONDS <const> = 1 -- until a body leaves although the server has not asked for it

---@class moonwire.http.upload
---@field task? moonwire.task
---@field done boolean
---@field failure? any what the iterator raised, or a fault

-- --- sending

-- The pieces of a body one after the other: of a string, a file, a function.
local function pieces_of(body)
  if body.kind == "string" then
    local at = 1
    return function()
      local piece = body.data:sub(at, at + PIECE - 1)
      at = at + PIECE
      return piece ~= "" and piece or nil
    end
  elseif body.kind == "file" then
    local left = body.size
    return function()
      if left == 0 then
        return nil
      end
      local piece, err, code = body.file:read(math.min(left, PIECE))
      if not piece then
        error(core.fault(code, err), 0)
      end
      left = left - #piece
      return piece
    end
  end
  return body.next
end

local function send_pieces(stream, body)
  local sent, chunked = 0, body.size == nil
  for piece in pieces_of(body) do
    if type(piece) ~= "string" then
      error(("the iterator of a body gave a %s"):format(type(piece)), 0)
    end
    sent = sent + #piece
    if body.size and sent > body.size then
      error(("a body of more than the %d bytes that were announced"):format(body.size), 0)
    end
    local ok, err, code = true, nil, nil
    if chunked and piece ~= "" then
      ok, err, code = stream:write(("%x\r\n"):format(#piece), piece, "\r\n")
    elseif not chunked then
      ok, err, code = stream:write(piece)
    end
    if not ok then
      return nil, err, code
    end
  end
  if body.size and sent < body.size then
    error(("a body of less than the %d bytes that were announced"):format(body.size), 0)
  end
  return not chunked or stream:write("0\r\n\r\n")
end

-- What the iterator raises is the caller's: it is noted, and the connection cut, so that whoever reads wakes
-- up. The server may have answered and closed: then that answer tells more than the fault of the sending.
local function upload_in_task(state)
  local upload, stream = state.upload, state.stream
  local ok, sent, err, code = pcall(send_pieces, stream, state.body)
  upload.done = not upload.stopped
  if upload.stopped then -- luacheck: ignore 542
  elseif not ok then
    upload.failure = sent
    stream:abort()
  elseif not sent then
    upload.fault = { err, code }
  end
end

-- A short body leaves with the head in one call.
local function send(state)
  local body, stream = state.body, state.stream
  if not body or body.size == 0 then
    state.upload = { done = true }
    return stream:write(state.head)
  elseif body.kind == "string" and body.size <= PIECE and not state.awaits_continue then
    state.upload = { done = true }
    return stream:write(state.head, body.data)
  end
  state.upload = { done = false }
  return stream:write(state.head)
end

local function start_upload(state)
  local upload = state.upload
  if not upload.done and not upload.task then
    upload.task = task.spawn(upload_in_task, state)
  end
end

-- --- reading

-- Waits for the first byte of an answer, or for the time after which servers that know nothing of 100 are
-- served.
local function await_continue(state)
  state.awaits_continue = false
  local _, _, code = task.with_timeout(CONTINUE_SECONDS, state.stream.peek_some, state.stream, 1)
  return code ~= "timeout"
end

local function read_reply(state)
  local reply, err, code
  repeat
    reply, err, code = core.http.reply(state.stream, state.method, state.limits)
  until reply or code ~= "timeout" or state.upload.done -- the sending has a time limit of its own
  return reply, err, code
end

-- The answer that counts: interim ones are passed over.
local function read_final(state)
  while true do
    local reply, err, code = read_reply(state)
    if not reply then
      return nil, err, code
    end
    local status = reply:status()
    if status >= 200 or status == 101 then
      return reply
    end
    reply:leave()
    if state.on_interim then
      state.on_interim(status, reply)
    end
    start_upload(state)
  end
end

local function has_answer(stream)
  return stream:is_open() and stream:counters().received > 0
end

--- Sends a request and reads the head of its answer. `state` has `stream`, `method`, `head` (text), `body`
--- (of body.read), `awaits_continue`, `limits`, `on_interim`; `upload` is set. Raises what an iterator
--- raised.
---@param state table
---@return table? reply
---@return string? err
---@return moonwire.code? code
function exchange.run(state)
  local ok, err, code = send(state)
  if ok then
    if not state.awaits_continue or not await_continue(state) then
      start_upload(state)
    end
  elseif not has_answer(state.stream) then
    return nil, err, code
  end
  local reply
  reply, err, code = read_final(state)
  local upload = state.upload
  if upload.failure then
    local fault_code, message = core.is_fault(upload.failure)
    if not fault_code then
      error(upload.failure, 0)
    end
    return nil, message, fault_code
  end
  if not reply and upload.fault then
    return nil, upload.fault[1], upload.fault[2]
  end
  if reply and not upload.done and reply:status() >= 300 then
    exchange.stop(state)
  end
  return reply, err, code
end

--- Ends the sending, whose connection can be used no more then.
---@param state table
function exchange.stop(state)
  local upload = state.upload
  if not upload.done then
    upload.stopped = true
    if upload.task then
      upload.task:cancel()
    end
  end
end

return exchange
