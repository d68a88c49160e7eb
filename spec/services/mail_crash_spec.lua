-- scripts/mail.lua, killed at many moments: what it has answered 250 for is delivered exactly once, or
-- returned exactly once; what it has not is nowhere, or everywhere.
local condition = require "spec.support.condition"
local daemon = require "spec.support.daemon"
local folder = require "spec.support.folder"
local lfs = require "lfs"
local mailer = require "moonwire.smtp.client"
local office = require "spec.smtp.office"
local post = require "spec.services.post"
local task = require "moonwire.task"
local test = require "moonwire.test"

test.deadline(200)

local FIRST_STEP <const>, LAST_STEP <const>, STRIDE <const> = 1, 73, 6
local MESSAGES <const> = 3 -- to a process
local HOME <const> = "example.org"

local CONFIG <const> = [[
service "mail" {
  listen = "tcp://127.0.0.1:0", script = "%s", settings = {
    domain = "example.org", maildir = "%s/boxes", networks = { "127.0.0.1" }, smarthost = "%s",
    users = { bob = "x", ann = "x", sue = "x" }, aliases = { staff = "ann" }, retry_first = 1,
  },
}
]]

-- Sends one message. Whether it was taken; nil: the server has gone.
local function send(address, subject)
  local envelope = {
    sender = "sue@" .. HOME, recipients = {
      { address = "bob@" .. HOME, notify = { "success" } }, "staff@" .. HOME, "carl@example.net",
      "nobody@example.net",
    },
  }
  local results = mailer.send(address, envelope, ("Subject: %s\r\n\r\ntext\r\n"):format(subject),
    { hostname = "client.example", starttls = false, end_timeout = 30 })
  return results and results[1].is_delivered
end

-- How often each subject is among texts.
local function count(texts)
  local counts = {}
  for _, text in ipairs(texts) do
    local subject = assert(text:match "Subject: (m%w+)", text)
    counts[subject] = (counts[subject] or 0) + 1
  end
  return counts
end

-- How often each subject was handed on.
local function relayed(there)
  local texts = {}
  for i, message in ipairs(there.messages) do
    texts[i] = message.text
  end
  return count(texts)
end

local function check(place, prefix, taken, there)
  local bob, ann = count(post.texts(place, prefix .. "bob")), count(post.texts(place, prefix .. "ann"))
  local sue, carl = count(post.texts(place, prefix .. "sue")), relayed(there)
  for subject in pairs(taken) do
    assert.same({ subject, 1 }, { subject, bob[subject] })
  end
  assert.same(bob, ann)
  assert.same(bob, sue)
  for subject, times in pairs(bob) do
    assert.same({ subject, 1 }, { subject, times })
    assert.is_true((carl[subject] or 0) >= 1, subject)
  end
end

describe("scripts/mail.lua delivers exactly once what it has taken", function()
  it("whatever the step at which it is killed", function()
    local place <close> = folder.new()
    local there <close> = office.open()
    local settings = {
      "users.bob=x", "users.ann=x", "users.sue=x", "aliases.staff=ann", "networks.1=127.0.0.1",
      "smarthost=" .. there.address,
    }
    local taken, total = {}, 0
    for step = FIRST_STEP, LAST_STEP, STRIDE do
      local is_up, killed = pcall(post.open, settings, place, {
        script = "spec/services/mail_crash.lua", env = { FATAL_STEP = tostring(step) },
      })
      for i = 1, is_up and MESSAGES or 0 do -- it may die of what was left to do
        local subject = ("m%dx%d"):format(step, i)
        if send(killed.addresses.server, subject) then
          taken[subject], total = true, total + 1
        end
      end
      if is_up then
        condition.wait_until(function() return killed.server.process:status() end, 20)
        killed.server:stop()
      end
    end
    local last = post.open(settings, place)
    post.await_empty(place.path)
    last.server:stop()
    assert.is_true(total > 5, total .. " messages were taken")
    check(place, "", taken, there)
  end)

  it("while its workers are killed and others take their places", function()
    local there <close> = office.open()
    local d <close> = daemon.start { config = "", workers = 2 }
    local boxes = d.folder.path .. "/boxes"
    assert(lfs.mkdir(boxes))
    assert(os.execute(("chmod a+rwX %s %s"):format(d.folder.path, boxes)))
    d:configure(CONFIG:format(lfs.currentdir() .. "/scripts/mail.lua", d.folder.path, there.address))
    assert.is_true(d:reload().ok)
    local address, taken, is_over = d:address "mail", {}, false
    local group <close> = task.group()
    for client = 1, 4 do
      group:spawn(function()
        local number = 0
        while not is_over do
          number = number + 1
          local subject = ("m%dx%d"):format(client, number)
          taken[subject] = send(address, subject) or nil
          task.sleep(0.01)
        end
      end)
    end
    local function promised()
      local total = 0
      for _ in pairs(taken) do
        total = total + 1
      end
      return total
    end
    for round = 1, 4 do
      condition.wait_until(function() return promised() >= 5 * round end, 60)
      for _, worker in ipairs(d:ask({ command = "status" }).workers) do
        if math.type(worker.pid) == "integer" then -- one that died just now has none
          os.execute("kill -9 " .. worker.pid)
        end
      end
    end
    condition.wait_until(function() return promised() >= 30 end, 60)
    is_over = true
    assert(group:wait(60))
    post.await_empty(boxes)
    check(d.folder, "boxes/", taken, there)
  end)
end)
