-- What a queue tells the senders of its messages (RFC 3461, RFC 3464).
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local mail_queue = require "moonwire.mail.queue"
local post = require "spec.services.post"
local task = require "moonwire.task"

local TEXT <const> = "Subject: hello\r\n\r\n.text \u{FC}\r\n"

describe("a queue of mail tells senders", function()
  local place, running, sent

  before_each(function()
    place, sent = folder.new(), {}
  end)

  after_each(function()
    running:cancel()
    place:remove()
  end)

  local function route(address)
    local name, domain = address:match "^(.+)@(%w+)$"
    if domain == "there" then
      return { { relay = "there" } }
    end
    return name ~= "nobody" and { { maildir = place.path .. "/" .. name } } or {}
  end

  -- Takes a message for recipients and delivers it as far as that goes.
  local function run(envelope, answers, options)
    local all = {
      hostname = "mx.here", route = route, retry_first = 1, send = function(_, given, read)
        local results = {}
        for i, recipient in ipairs(given.recipients) do
          results[i] = answers[recipient.address] or { ok = true }
          sent[recipient.address] = { read(), given.smtputf8 }
        end
        return results
      end,
    }
    for name, value in pairs(options or {}) do
      all[name] = value
    end
    local queue = assert(mail_queue.open(place.path .. "/queue", all))
    running = task.spawn(queue.run, queue)
    envelope.sender = envelope.sender or "sue@here"
    local sink = assert(queue:take(envelope))
    assert(sink:write(TEXT))
    assert(sink:commit())
    return queue
  end

  local function await_empty(queue)
    condition.wait_until(function() return queue:count() == 0 end, 20)
  end

  local function expect(text, ...)
    for _, part in ipairs { ... } do
      assert.is_not_nil(text:find(part, 1, true), part .. " in\n" .. text)
    end
  end

  it("what was delivered or handed on, when they want to know", function()
    await_empty(run({
      envid = "my+id", recipients = {
        { address = "ann@here", notify = { "success" }, orcpt = "rfc822;Ann@there" },
        { address = "bob@there", notify = { "success", "failure" } },
        { address = "told@there", notify = { "success" } }, { address = "eve@there", notify = { "failure" } },
        "carl@here",
      },
    }, {
      ["bob@there"] = { ok = true, reason = "250 2.6.0 taken" },
      ["told@there"] = { ok = true, passed = true },
      ["eve@there"] = { ok = true },
    }))
    local reports = post.texts(place, "sue")
    assert.equal(1, #reports)
    expect(reports[1], "Subject: Mail was handed on\n",
      "\n\nOriginal-Envelope-Id: my+id\nReporting-MTA: dns;mx.here\n",
      "\n\nOriginal-Recipient: rfc822;Ann@there\nFinal-Recipient: rfc822;ann@here\nAction: delivered\n"
        .. "Status: 2.0.0\n",
      "\n\nFinal-Recipient: rfc822;bob@there\nAction: relayed\nStatus: 2.6.0\n"
        .. "Diagnostic-Code: smtp; 250 2.6.0 taken\n",
      "Content-Type: text/rfc822-headers\n", "\n\nSubject: hello\n--report-")
    for _, name in ipairs { "told", "eve", "carl", "text" } do
      assert.is_nil(reports[1]:find("[;<]" .. name))
    end
  end)

  it("of failures as they want it", function()
    local no = { permanent = true, reason = "550 5.7.1 no" }
    await_empty(run({
      ret = "full", body = "8bitmime", recipients = {
        { address = "silent@there", notify = { "never" } },
        { address = "good@there", notify = { "success" } },
        { address = "loud@there", notify = { "failure" } },
      },
    }, { ["silent@there"] = no, ["good@there"] = no, ["loud@there"] = no }))
    local reports = post.texts(place, "sue")
    assert.equal(1, #reports)
    expect(reports[1], "Subject: Undelivered mail returned to sender\n", "<loud@there>: 550 5.7.1 no\n",
      "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n"
        .. "Subject: hello\n\n.text \u{FC}\n--report-")
    assert.is_nil(reports[1]:find "silent@")
    assert.is_nil(reports[1]:find "good@")
  end)

  it("once that it takes long, unless they do not want to know", function()
    local tries, later = 0, { reason = "450 4.2.1 later" }
    local queue = run({
      recipients = { "slow@there", { address = "quiet@there", notify = { "failure" } } },
    }, {}, { delay_notice = 0, send = function()
      tries = tries + 1
      return { later, later }
    end })
    condition.wait_until(function() return tries >= 3 end, 20)
    condition.wait_until(function() return #post.texts(place, "sue") > 0 end, 20)
    running:cancel()
    running:join()
    local reports = post.texts(place, "sue")
    assert.equal(1, #reports)
    expect(reports[1], "Subject: Delayed mail", "Action: delayed\nStatus: 4.2.1\n", "\nWill-Retry-Until: ")
    assert.is_nil(reports[1]:find "quiet")
    assert.equal(1, queue:count())
  end)

  it("of addresses beyond ASCII", function()
    local no = { permanent = true, reason = "550 5.1.1 no" }
    local queue = run({ sender = "j\u{F6}@there", smtputf8 = true, recipients = { "h\u{E4}@there" } },
      { ["h\u{E4}@there"] = no })
    await_empty(queue)
    local text, smtputf8 = table.unpack(sent["j\u{F6}@there"])
    assert.is_true(smtputf8)
    expect((text:gsub("\r", "")), "To: <j\u{F6}@there>\n", "report-type=global-delivery-status;",
      "Content-Type: message/global-delivery-status\n", "Final-Recipient: utf-8;h\u{E4}@there\n",
      "Content-Type: message/global-headers\n")
  end)

  it("nothing of reports", function()
    await_empty(run({ sender = "", recipients = { { address = "ann@here", notify = { "success" } } } }, {}))
    assert.equal(1, #post.texts(place, "ann"))
    assert.equal(0, #post.texts(place, "sue"))
  end)
end)
