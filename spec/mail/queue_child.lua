--- A queue of mail for specs, in a process that kills itself: FOLDER MESSAGES STEP. It takes messages,
--- says so, delivers all that there is, and dies right before the step of that number that changes the disk.
--- Each message is for ann, for bob under an alias, for a relay, and for somebody unknown. Who requires this
--- gets a function that delivers what such a process has left in a folder.
local core = require "moonwire.core"
local file = require "moonwire.file"
local mail_queue = require "moonwire.mail.queue"
local task = require "moonwire.task"

local steps, fatal = 0, 0

local function step()
  steps = steps + 1
  if steps == fatal then
    os.execute "kill -9 $PPID"
  end
end

local function count_steps(methods, names)
  for _, name in ipairs(names) do
    local method = methods[name]
    methods[name] = function(...)
      step()
      return method(...)
    end
  end
end

local function send(folder, envelope, read)
  local text = read()
  step()
  assert(file.append(folder .. "/relayed", text:match "Subject: (%w+)" .. "\n"))
  step()
  local results = {}
  for i in ipairs(envelope.recipients) do
    results[i] = { ok = true }
  end
  return results
end

local function open(folder)
  local routes = {
    ["ann@here"] = { { maildir = folder .. "/ann" } }, ["sue@here"] = { { maildir = folder .. "/sue" } },
    ["friend@here"] = { { address = "bob@here", maildir = folder .. "/bob" } },
    ["far@there"] = { { relay = "there" } },
  }
  return assert(mail_queue.open(folder .. "/queue", {
    hostname = "here",
    route = function(address) return routes[address] or {} end,
    send = function(_, envelope, read) return send(folder, envelope, read) end,
  }))
end

local function take(queue, subject)
  local sink = assert(queue:take {
    sender = "sue@here", recipients = {
      { address = "ann@here", notify = { "success" } }, "friend@here", "far@there", "nobody@here",
    },
  })
  assert(sink:write("Subject: " .. subject .. "\r\n\r\ntext\r\n"))
  assert(sink:commit())
  io.stdout:write("taken ", subject, "\n")
  io.stdout:flush()
end

-- Until nothing is left.
local function deliver(folder, queue)
  local running = task.spawn(queue.run, queue)
  repeat
    task.sleep(0.002)
    local left = 0
    for _, entry in ipairs(assert(file.list(folder .. "/queue/envelope"))) do
      left = left + (entry.name:find "^%." and 0 or 1) -- what a broken write has left is no promise
    end
  until left == 0
  running:cancel()
  running:join()
end

local folder, messages, number = ...
if not number then
  return function(path) deliver(path, open(path)) end
end

fatal = math.tointeger(tonumber(number))
count_steps(core.file.folder_methods, { "write", "rename", "remove" })
count_steps(core.file.file_methods, { "write", "sync" })
local queue = open(folder)
for i = 1, math.tointeger(tonumber(messages)) do
  take(queue, ("m%dx%d"):format(fatal, i))
end
deliver(folder, queue)
