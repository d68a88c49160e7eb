local json = require "moonwire.json"
local process = require "spec.support.process"
local session = require "spec.examples.session"

local function shell(command)
  local status, output = process.run { "sh", "-c", command }
  assert.are.equal(0, status)
  return output
end

describe("examples/json_api.lua", function()
  it("keeps notes", function()
    local api <close> = session.start "json_api"
    local answers = {}
    for i, command in ipairs(api.commands) do
      answers[i] = shell(command)
    end
    assert.are.same({ id = 1, text = "milk" }, (json.decode(answers[1])))
    assert.are.same({ id = 1, text = "milk" }, (json.decode(answers[2])))
    assert.are.equal("204", answers[3])
    assert.are.equal("[]", shell(api:translate "curl -s http://127.0.0.1:7010/notes"))
    assert.matches('"status":404', shell(api.commands[2]))
    assert.are.same({ notes = "/notes", received = 0 },
      (json.decode(shell(api:translate "curl -s http://127.0.0.1:7010/"))))
  end)

  it("answers GET, HEAD and POST of its root after the body", function()
    local api <close> = session.start "json_api"
    local function code(options)
      return shell(api:translate("curl -s -o /dev/null -w '%{http_code} ' " .. options
        .. " http://127.0.0.1:7010/"))
    end
    assert.are.equal("200 ", code "")
    assert.are.equal("200 ", code "-I")
    assert.are.equal("200 ", code "-d x=1")
    assert.are.equal("200 ", code "-H Transfer-Encoding:chunked -d @README.md")
    assert.are.equal("413 ", code "-H Content-Length:99999999 -d x")
  end)

  it("refuses what is no note", function()
    local api <close> = session.start "json_api"
    local function code(options)
      return shell(api:translate("curl -s -o /dev/null -w '%{http_code} ' http://127.0.0.1:7010/notes "
        .. options))
    end
    assert.are.equal("415 ", code "-d x=1")
    assert.are.equal("400 ", code "--json '{'")
    assert.are.equal("422 ", code "--json '{}'")
    assert.are.equal("405 ", code "-X PUT")
  end)
end)
