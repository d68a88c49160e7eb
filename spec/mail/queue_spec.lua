-- A queue of mail: where messages go, what senders are told, and what is tried again.
local condition = require "spec.support.condition"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local json = require "moonwire.json"
local mail_queue = require "moonwire.mail.queue"
local maildir = require "moonwire.maildir"
local process = require "spec.support.process"
local task = require "moonwire.task"

local CLOSED <const> = { n = 3, nil, "closed", "closed" }
local TEXT <const> = "Subject: hello\r\nX-Long: a\r\n b\r\n\r\ntext\r\n.\r\n"

describe("a queue of mail", function()
  local place, sent, running

  before_each(function()
    place, sent = folder.new(), {}
  end)

  after_each(function()
    if running then
      running:cancel()
      running = nil
    end
    place:remove()
  end)

  local function route(address)
    local name, domain = address:match "^(%w+)@(%w+)$"
    if domain == "there" then
      return { { relay = "there" } }
    elseif name == "all" then
      return { { address = "ann@here", maildir = place.path .. "/ann" }, { relay = "list" } }
    elseif name == "ann" or name == "sue" then
      return { { maildir = place.path .. "/" .. name } }
    end
    return {}
  end

  local function open(options)
    local all = { hostname = "mx.here", route = route }
    for name, value in pairs(options or {}) do
      all[name] = value
    end
    return assert(mail_queue.open(place.path .. "/queue", all))
  end

  local function start(options)
    local queue = open(options)
    running = task.spawn(queue.run, queue)
    return queue
  end

  local function take(queue, recipients, sender)
    local sink <close> = assert(queue:take { sender = sender or "sue@here", recipients = recipients })
    for at = 1, #TEXT, 7 do
      assert(sink:write(TEXT:sub(at, at + 6)))
    end
    assert(sink:commit())
    return sink:id()
  end

  local function names(part)
    local found = {}
    for i, entry in ipairs(assert(file.list(place.path .. "/queue/" .. part))) do
      found[i] = entry.name
    end
    return found
  end

  local function await_empty(queue)
    condition.wait_until(function() return queue:count() == 0 end, 20)
    for _, part in ipairs { "tmp", "body", "envelope", "prepared" } do
      assert.are.same({}, names(part))
    end
  end

  local function texts(name)
    local box <close> = assert(maildir.open(place.path .. "/" .. name, { create = true }))
    local found = {}
    for i, message in ipairs(assert(box:list())) do
      local opened <close> = assert(box:read(message))
      found[i] = opened:read(100000)
    end
    return found
  end

  -- A function `send` that keeps what it gets and answers what the function says for each recipient.
  local function answering(answer)
    return function(relay, envelope, read)
      local text = ""
      for chunk in read do
        text = text .. chunk
      end
      local results, addresses = {}, {}
      for i, recipient in ipairs(envelope.recipients) do
        results[i], addresses[i] = answer(recipient.address), recipient.address
      end
      sent[#sent + 1] = { relay = relay, sender = envelope.sender, recipients = addresses, text = text }
      return results
    end
  end

  it("delivers to mailboxes and hands on to relays, by the aliases of an address", function()
    local queue = start { send = answering(function() return { ok = true } end) }
    local id = take(queue, { "all@here", "ann@here", "bob@there", "carl@there" })
    await_empty(queue)
    local delivered = "Return-Path: <sue@here>\nDelivered-To: ann@here\n" .. TEXT:gsub("\r\n", "\n")
    assert.are.same({ delivered, delivered }, texts "ann")
    assert.are.same({
      { relay = "list", sender = "sue@here", recipients = { "all@here" }, text = TEXT },
      { relay = "there", sender = "sue@here", recipients = { "bob@there", "carl@there" }, text = TEXT },
    }, sent)
    assert.matches("^%d+%.%x+$", id)
  end)

  it("hands on what the envelope says, and by which alias a message went", function()
    local seen = {}
    local queue = start {
      route = function(address)
        return { { address = address == "me@here" and "me@there" or nil, relay = "there" } }
      end,
      send = function(_, envelope, read)
        seen[#seen + 1] = { envelope, (read()) }
        envelope.id = nil
        return { { ok = true } }
      end,
    }
    local sink = assert(queue:take {
      sender = "sue@here", body = "8bitmime", smtputf8 = true, ret = "hdrs", envid = "x", recipients = {
        { address = "me@here", notify = { "failure" }, orcpt = "rfc822;me@here" }, "you@there",
      },
    })
    assert(sink:write(TEXT))
    assert(sink:commit())
    await_empty(queue)
    local function envelope_for(recipient)
      return {
        sender = "sue@here", recipients = { recipient }, size = #TEXT, body = "8bitmime", smtputf8 = true,
        ret = "hdrs", envid = "x",
      }
    end
    assert.are.same({
      { envelope_for { address = "me@there", notify = { "failure" }, orcpt = "rfc822;me@here" },
        "Delivered-To: me@here\r\n" },
      { envelope_for { address = "you@there" }, TEXT },
    }, seen)
  end)

  it("returns what was delivered to its recipient before, or where an alias sent it", function()
    local queue = start { route = function(address)
      return address == "all@here" and { { address = "all@there", relay = "there" } } or route(address)
    end }
    local header = "Received: x\r\ndelivered-to: ANN@here\r\nDelivered-To: all@here\r\n"
    local recipients = { "ann@here", "all@here", "sue@here" }
    local sink = assert(queue:take { sender = "sue@here", recipients = recipients })
    assert(sink:write(header .. TEXT))
    assert(sink:commit())
    await_empty(queue)
    assert.are.same({}, texts "ann")
    local mine = texts "sue"
    assert.are.equal(2, #mine)
    local _, count = table.concat(mine):gsub("Status: 5%.4%.6", "")
    assert.are.equal(2, count)
  end)

  it("tells the sender of what cannot be delivered, once", function()
    local queue = start { send = answering(function(address)
      return address == "bob@there" and { ok = true }
        or { permanent = true, reason = "550 5.7.1 no\r\nSubject: injected \xFF" }
    end) }
    take(queue, { "ann@here", "nobody@here", "bob@there", "carl@there" })
    await_empty(queue)
    assert.are.equal(1, #texts "ann")
    local reports = texts "sue"
    assert.are.equal(1, #reports)
    local text = reports[1]
    for _, part in ipairs {
      "Return-Path: <>\nDelivered-To: sue@here\n", "From: Mail Delivery System <MAILER-DAEMON@mx.here>\n",
      "To: <sue@here>\n", "Auto-Submitted: auto-replied\n", "Content-Type: multipart/report;",
      "Reporting-MTA: dns;mx.here\n", "Final-Recipient: rfc822;nobody@here\nAction: failed\nStatus: 5.1.1\n",
      "Final-Recipient: rfc822;carl@there\nAction: failed\nStatus: 5.7.1\n",
      "Diagnostic-Code: smtp; 550 5.7.1 no Subject: injected  \n",
      "\nSubject: hello\nX-Long: a\n b\n--report-",
    } do
      assert.is_not_nil(text:find(part, 1, true), part .. "\n" .. text)
    end
    assert.is_nil(text:find("bob@there", 1, true))
    assert.is_nil(text:find "\ntext\n")
    assert.is_nil(text:find "\r")
  end)

  it("tells nobody of a report that cannot be delivered, nor a sender whom nobody knows", function()
    local queue = start()
    take(queue, { "nobody@here" }, "")
    take(queue, { "nobody@here" }, "stranger@nowhere")
    await_empty(queue)
  end)

  it("tries again what has failed for now, and only that", function()
    local tries = 0
    local queue = start { retry_first = 0, send = function(_, envelope)
      tries = tries + 1
      if tries == 1 then
        return nil, "no such host"
      elseif tries == 2 then
        error "a mistake"
      elseif tries == 3 then
        return { { ok = true }, { reason = "451 later" } }
      end
      assert.are.same({ { address = "carl@there" } }, envelope.recipients)
      return { { ok = true } }
    end }
    take(queue, { "ann@here", "bob@there", "carl@there" })
    await_empty(queue)
    assert.are.equal(4, tries)
    assert.are.equal(1, #texts "ann")
    assert.are.equal(0, #texts "sue")
  end)

  it("gives up after a time, and says why", function()
    local queue = start { expire = 0, send = function() return nil, "no such host" end }
    take(queue, { "bob@there" })
    take(queue, { "carl@there" }, "") -- a report
    await_empty(queue)
    local reports = texts "sue"
    assert.are.equal(1, #reports)
    assert.is_not_nil(reports[1]:find("Status: 5.4.7", 1, true), reports[1])
    assert.is_not_nil(reports[1]:find("last: no such host", 1, true))
  end)

  it("keeps a message whose mailbox cannot be written, and does not try it before its time", function()
    local queue = start()
    place:write("ann", "no folder")
    take(queue, { "ann@here", "sue@here" })
    condition.wait_until(function() return #texts "sue" == 1 and next(queue.due) end, 20)
    assert.are.equal(1, queue:count())
    assert.are.equal(1, #names "envelope")
    running:cancel()
    local again = start()
    condition.wait_until(function() return next(again.due) end, 20)
    assert.are.equal(1, #texts "sue")
    assert.are.equal(1, #names "envelope")
  end)

  it("delivers again what was cleaned away long after a crash, and not what was read since", function()
    for hours, copies in pairs { [1] = 0, [37] = 1 } do
      local queue, path = open(), place.path .. "/ann"
      place:write("queue/body/1.ab", TEXT)
      place:write("queue/envelope/1.ab", json.encode {
        id = "1.ab", sender = "sue@here", taken = os.time(), tries = 0, next = 0,
        recipients = { { address = "ann@here", maildir = path, state = "done" } },
        moves = { { from = "tmp/1.ab.1", to = "new/1.ab.1,S=1,W=1", maildir = path, number = 1 } },
        moved = os.time() - hours * 3600,
      })
      running = task.spawn(queue.run, queue)
      condition.wait_until(function() return #names "envelope" == 0 end, 20)
      running:cancel()
      running:join()
      assert.are.same({ hours, copies }, { hours, #texts "ann" })
    end
  end)

  it("promises nothing before commit, and nothing of what was given up", function()
    local queue = start()
    local sink = assert(queue:take { sender = "sue@here", recipients = { "ann@here" } })
    assert(sink:write "text")
    assert.are.same({}, names "envelope")
    sink:abort()
    sink:abort()
    assert.are.same(CLOSED, table.pack(sink:write "x"))
    assert.are.same(CLOSED, table.pack(sink:commit()))
    await_empty(queue)
  end)

  it("refuses a message for which there is no room, and keeps nothing of it", function()
    assert(file.make_folder(place.path .. "/queue"))
    if process.run { "mount", "-t", "tmpfs", "-o", "size=128k", "none", place.path .. "/queue" } ~= 0 then
      return pending "needs the right to mount"
    end
    local queue = open()
    local sink = assert(queue:take { sender = "sue@here", recipients = { "ann@here" } })
    local code
    repeat
      local ok, _, problem = sink:write(("x"):rep(40000))
      code = problem
    until not ok
    sink:abort()
    local left = #names "tmp" + #names "body" + #names "envelope"
    queue.spool.root:close()
    assert.are.equal(0, (process.run { "umount", place.path .. "/queue" }))
    assert.are.equal("full", code)
    assert.are.equal(0, left)
  end)

  it("removes what crashes have left, and nothing that is promised", function()
    local queue = open()
    local spool = queue.spool
    local id = take(queue, { "ann@here" })
    place:write("queue/tmp/1.aa", "")
    place:write("queue/body/2.bb", "")
    place:write("queue/envelope/.moonwire-5", "")
    place:write("queue/prepared/3.cc", '{"parent":"9.ff"}')
    place:write("queue/prepared/3.cc.body", "")
    place:write("queue/prepared/4.dd", ('{"parent":"%s"}'):format(id))
    place:write("queue/body/4.dd", "")
    spool:clean()
    assert.are.same({ "1.aa" }, names "tmp") -- all young
    assert.are.equal(2, #names "envelope")
    assert.are.equal(3, #names "body")
    local age = ("find %s/queue -type f | xargs touch -d '2 hours ago'"):format(place.path)
    local status = process.run { "sh", "-c", age }
    assert.are.equal(0, status)
    spool:clean()
    spool:clean()
    assert.are.same({}, names "tmp")
    assert.are.same({ id, "4.dd" }, names "body")
    assert.are.same({ id }, names "envelope")
    assert.are.same({ "4.dd" }, names "prepared")
  end)

  it("refuses arguments that make no sense, and says so at the caller's line", function()
    local queue = open()
    for problem, call in pairs {
      ["bad argument #2 to 'open' (options 'route', a function, and 'hostname', a name, expected)"] =
        function() mail_queue.open(place.path, { route = route }) end,
      ["bad argument #2 to 'open' (unknown option 'retry'"] =
        function() mail_queue.open(place.path, { retry = 1 }) end,
      ["bad argument #2 to 'open' (option 'retry_last': seconds, not negative, expected"] =
        function() mail_queue.open(place.path, { route = route, hostname = "a", retry_last = -1 }) end,
      ["bad argument #1 to 'take' (field 'sender'"] = function() queue:take { recipients = { "a" } } end,
      ["bad argument #1 to 'take' (field 'recipients'"] =
        function() queue:take { sender = "", recipients = {} } end,
      ["bad argument #1 to 'take' (recipients[2]: an address expected)"] =
        function() queue:take { sender = "", recipients = { "a@here", "b@here>\r\nX: y" } } end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.is_not_nil(message:find(problem, 1, true), message)
      assert.matches("queue_spec", message)
    end
  end)
end)
