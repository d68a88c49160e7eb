local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

describe("examples/tail.lua", function()
  local place, server

  before_each(function()
    place = folder.new()
    place:write("folder/notes.txt", "one\n")
    place:write("secret", "secret\n")
    server = moonwire.serve {
      script = "examples/tail.lua", options = { "--set", "folder=" .. place.path .. "/folder" },
    }
  end)

  after_each(function()
    server:stop()
    place:remove()
  end)

  local function shell(command)
    assert.are.equal(0, (process.run { "sh", "-c", "cd $0/folder && " .. command, place.path }))
  end

  local function follow(name)
    local reader = terminal.open("nc 127.0.0.1 " .. server.port)
    reader:type(name)
    return reader
  end

  it("shows a file and what is added to it, until Enter is typed", function()
    local reader <close> = follow "notes.txt"
    reader:sees "one\n"
    shell "echo two >> notes.txt"
    reader:sees "one\ntwo\n"
    shell "echo three >> notes.txt"
    reader:sees "one\ntwo\nthree\n"
    assert.are.equal("one\ntwo\nthree\n", reader:output())
    condition.wait_until(function()
      reader:type "" -- the server leaves at the first; nc finds out when it sends one more
      return reader.process:status()
    end)
  end)

  it("goes on with a new file of that name, and with one that was begun anew", function()
    local reader <close> = follow "notes.txt"
    reader:sees "one\n"
    shell "mv notes.txt notes.old && echo new > notes.txt"
    reader:sees "one\nnew\n"
    shell "echo newer > other && mv other notes.txt"
    reader:sees "one\nnew\nnewer\n"
    shell "echo x > notes.txt"
    reader:sees "one\nnew\nnewer\nx\n"
  end)

  it("has nothing to do with other files", function()
    for name, answer in pairs {
      ["../secret"] = "stat ../secret: leads out of the folder\n",
      ["missing"] = "stat missing: no such file or directory\n",
    } do
      local _, output = process.run { "nc", "-N", "127.0.0.1", server.port, input = name .. "\n" }
      assert.are.equal(answer, output)
    end
  end)

  it("can be started as its header says", function()
    local started <close> = session.start "tail"
    local port = started.servers[1].port
    assert.are.same({ "date >> /tmp/notes.txt", "nc 127.0.0.1 " .. port }, started.commands)
  end)
end)
