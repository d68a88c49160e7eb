local process = require "spec.support.process"
local session = require "spec.examples.session"
local terminal = require "spec.examples.terminal"

describe("examples/sse_clock.lua", function()
  it("sends the time", function()
    local clock <close> = session.start "sse_clock"
    local curl <close> = terminal.open(clock.commands[1])
    curl:sees "retry: 1000\n\n"
    curl:sees "event: time\nid: 1\ndata: "
  end)

  it("goes on where a client was", function()
    local clock <close> = session.start "sse_clock"
    local _, output = process.run {
      "sh", "-c", clock:translate "curl -sN -m 1 -H Last-Event-ID:41 http://127.0.0.1:7012/events; true",
    }
    assert.matches("event: time\nid: 42\ndata: %d%d:%d%d:%d%d\n\n", output)
  end)

  it("has a page", function()
    local clock <close> = session.start "sse_clock"
    local _, output = process.run { "sh", "-c", clock:translate "curl -si http://127.0.0.1:7012/" }
    assert.matches("^HTTP/1.1 200 OK\r\n.*[Cc]ontent%-[Tt]ype: text/html; charset=utf%-8\r\n", output)
    assert.matches('new EventSource%("/events"%)', output)
  end)
end)
