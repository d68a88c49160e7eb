--- What an operator runs in a service: `moonwire eval`. Not for scripts.
local core = require "moonwire.core"
local json = require "moonwire.json"
local show = require "moonwire.repl.show"
local task = require "moonwire.task"

local operator = {}

local SECONDS <const> = 5 -- that the code may wait

-- What the code sees besides globals: the service's table and ctx.
local env = setmetatable({}, {
  __index = _G,
  __newindex = function(_, name, value) rawset(_G, name, value) end,
})

--- The service that this state runs.
---@param service moonwire.service
---@param ctx moonwire.ctx
function operator.look_at(service, ctx)
  rawset(env, "service", service)
  rawset(env, "ctx", ctx)
end

local function compile(code)
  local chunk = load("return " .. code, "=eval", "t", env)
  if chunk then
    return chunk
  end
  return assert(load(code, "=eval", "t", env))
end

local function run(code)
  return show.values(task.with_timeout(SECONDS, compile(code)))
end

--- Runs the code, and answers with what it returned.
---@param id integer of the request
---@param code string
function operator.evaluate(id, code)
  local ok, text = xpcall(run, tostring, code)
  core.service.answer(id, json.encode(ok and { result = text } or { error = text }))
end

return operator
