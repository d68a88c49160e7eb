local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local session = require "spec.examples.session"

local function shell(command)
  return process.run { "sh", "-c", command }
end

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

describe("examples/send_file.lua", function()
  it("sends a file", function()
    local server <close> = session.start "send_file"
    local place <close> = folder.new()
    assert.are.same({ 0, "", "" }, { shell((server.commands[1]:gsub("/tmp/", place.path .. "/"))) })
    assert.are.equal(read_file "examples/chat.lua", place:read "chat.lua")
  end)

  local function serve(place)
    local options = { "--set", "folder=" .. place.path }
    return moonwire.serve { script = "examples/send_file.lua", options = options }
  end

  it("sends a large one unchanged", function()
    local place <close> = folder.new()
    local path = place:write("large", ("0123456789abcdef"):rep(512 * 1024))
    local server <close> = serve(place)
    local command = ("echo large | nc -N 127.0.0.1 %d | cmp - %s"):format(server.port, path)
    assert.are.same({ 0, "", "" }, { shell(command) })
  end)

  it("sends nothing from outside of the folder, and nothing that is no file", function()
    local place <close> = folder.new()
    place:write("secret", "secret")
    place:write("public/.hidden", "secret")
    assert(os.execute("mkfifo " .. place.path .. "/public/pipe"))
    local server <close> = serve { path = place.path .. "/public" }
    local refusal = "a file's name expected, without a path\n"
    local answers = {
      ["../secret"] = refusal, [place.path .. "/secret"] = refusal, [".hidden"] = refusal, [".."] = refusal,
      [""] = refusal, missing = "there is no file missing\n", pipe = "there is no file pipe\n",
    }
    for name, answer in pairs(answers) do
      local _, output = process.run { "nc", "-N", "127.0.0.1", server.port, input = name .. "\n" }
      assert.are.equal(answer, output)
    end
  end)
end)
