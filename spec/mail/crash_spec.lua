-- A queue of mail whose process is killed at every step: what it has promised is delivered exactly once.
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local maildir = require "moonwire.maildir"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local recover = require "spec.mail.queue_child"
local test = require "moonwire.test"

test.deadline(240)

local KILLED <const> = 137

local function start(place, messages, step)
  return {
    moonwire.binary, "run", "spec/mail/queue_child.lua", "--log-level", "error", "--",
    place.path, messages, step, seconds = 60,
  }
end

-- How often each message is in a mailbox. A report has the subject of its message among the headers.
local function count(place, name)
  local counts = {}
  local box <close> = assert(maildir.open(place.path .. "/" .. name, { create = true }))
  for _, message in ipairs(assert(box:list())) do
    local opened <close> = assert(box:read(message))
    local text = opened:read(100000)
    assert.is_true(text:find "\nDelivered%-To: " ~= nil)
    local subject = text:match "Subject: (m%w+)"
    assert(subject, text)
    counts[subject] = (counts[subject] or 0) + 1
  end
  return counts
end

local function relayed(place)
  local counts = {}
  for subject in (place:read "relayed" or ""):gmatch "%w+" do
    counts[subject] = (counts[subject] or 0) + 1
  end
  return counts
end

-- What was promised is there once, and what was not is nowhere or everywhere.
local function check(place, taken)
  local ann, bob, sue, there = count(place, "ann"), count(place, "bob"), count(place, "sue"), relayed(place)
  for subject in taken:gmatch "taken (%w+)" do
    assert.are.same({ subject, 1 }, { subject, ann[subject] })
  end
  assert.are.same(ann, bob)
  assert.are.same(ann, sue)
  for subject, times in pairs(ann) do
    assert.are.same({ subject, 1 }, { subject, times })
    assert.is_true((there[subject] or 0) >= 1, subject)
  end
  for _, entry in ipairs(assert(file.list(place.path .. "/queue/envelope"))) do
    assert.matches("^%.", entry.name) -- of a write that was broken off
  end
end

describe("a queue of mail", function()
  it("delivers exactly once what it has promised, at whichever step it is killed", function()
    local step, is_killed, promised = 0, true, 0
    while is_killed do
      step = step + 1
      local place <close> = folder.new()
      local status, output, errors = process.run(start(place, 1, step))
      is_killed = status == KILLED
      assert.is_true(is_killed or status == 0, errors)
      recover(place.path)
      promised = promised + (output:find "taken" and 1 or 0)
      check(place, output)
    end
    assert.is_true(step > 20 and promised > 10, step .. " steps")
  end)

  it("does so when it is killed again and again, with more to do each time", function()
    local place <close> = folder.new()
    local taken = ""
    for step = 3, 45, 6 do
      local status, output = process.run(start(place, 2, step))
      assert.are.equal(KILLED, status)
      taken = taken .. output
    end
    recover(place.path)
    check(place, taken)
  end)

  it("is worked on by several processes at a time", function()
    local place <close> = folder.new()
    local children, taken = {}, ""
    for i = 1, 3 do
      local command = start(place, 5, 1000000 + i)
      command.seconds = nil
      children[i] = process.start(command)
    end
    for i = 1, 3 do
      assert.are.equal(0, children[i]:wait(60), children[i]:errors())
      taken = taken .. children[i]:output()
      children[i]:stop()
    end
    check(place, taken)
    local _, messages = taken:gsub("taken", "")
    assert.are.equal(15, messages)
  end)
end)
