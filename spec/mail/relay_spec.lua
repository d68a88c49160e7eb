-- Mail that is handed on to other servers.
local authority = require "spec.support.authority"
local condition = require "spec.support.condition"
local dns = require "moonwire.dns"
local folder = require "spec.support.folder"
local name_server = require "spec.support.name_server"
local net = require "moonwire.net"
local office = require "spec.smtp.office"
local relay = require "moonwire.mail.relay"

local TEXT <const> = "Subject: x\r\n\r\ntext\r\n"

local function source(text)
  return function()
    local piece = text
    text = nil
    return piece
  end
end

local function envelope(...)
  local recipients = {}
  for i, name in ipairs { ... } do
    recipients[i] = { address = name .. "@example.net" }
  end
  return { id = "1.a", sender = "sue@example.org", recipients = recipients, body = "8bitmime" }
end

-- Port of a server that nobody answers at.
local function closed_port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener:local_address():match "%d+$"
end

describe("mail that is handed on", function()
  local function sender(options)
    local all = { hostname = "mx.example.org", timeout = 10 }
    for name, value in pairs(options or {}) do
      all[name] = value
    end
    return relay.sender(all)
  end

  it("arrives, and each recipient has a result", function()
    local place <close> = office.open()
    local results = assert(sender()(place.address, envelope("bob", "nobody", "full"), source(TEXT)))
    assert.same({
      { ok = true, permanent = false, passed = true,
        reason = "250 2.0.0 accepted as " .. place.messages[1].id },
      { ok = false, permanent = true, reason = "550 5.1.1 no such mailbox here" },
      { ok = false, permanent = false, reason = "452 4.3.1 no room: try again later" },
    }, results)
    assert.same({ "sue@example.org", "8bitmime" }, { place.messages[1].sender, place.messages[1].body })
    assert.matches(TEXT .. "$", place.messages[1].text)
  end)

  it("says whether a failure is for good", function()
    local send = sender { port = tonumber(closed_port()) }
    local closed = "tcp://127.0.0.1:" .. closed_port()
    local results, problem = send(closed, envelope "bob", source(TEXT))
    assert.is_nil(results)
    assert.matches("^4%.4%.1 ", problem)
    assert.matches("^4%.4%.1 ", select(2, send("[127.0.0.1]", envelope "bob", source(TEXT))))
    local place <close> = office.open(nil, { on_connect = function() return nil, "not you", "550 5.7.1" end })
    results = assert(sender()(place.address, envelope("bob", "ann"), source(TEXT)))
    local refused = { permanent = true, reason = "554 5.7.1 not you" }
    assert.same({ refused, refused }, results)
    local busy <close> = office.open(nil, { on_connect = function() return nil, "later", "450 4.7.1" end })
    assert.same({ n = 2, nil, "421 4.7.1 later" },
      table.pack(sender()(busy.address, envelope "bob", source(TEXT))))
  end)

  it("is not sent in pieces, nor with lines that other servers read in another way", function()
    local place <close> = office.open()
    local results = assert(sender()(place.address, envelope "bob", source "a\n.\nMAIL FROM:<>\r\n"))
    assert.is_true(results[1].permanent)
    assert.matches("^554 5%.6%.0 ", results[1].reason)
    local none, problem = sender()(place.address, envelope "bob", function() error("a disk breaks", 0) end)
    assert.is_nil(none)
    assert.equal("4.4.2 a disk breaks", problem)
    condition.wait_until(function() return place.closed == 2 end)
    assert.equal(0, #place.messages)
  end)

  it("is returned when it is not ASCII, and the server takes nothing else", function()
    local listener <close> = assert(net.serve("tcp://127.0.0.1:0", function(conn)
      for _, line in ipairs { "220 x", "250 x", "250 x", "250 x", "354 go" } do
        conn:write(line, "\r\n")
        conn:read_line()
      end
    end, { read_timeout = 20 }))
    local where = "tcp://" .. listener:local_address()
    local result = assert(sender()(where, envelope "bob", source "\r\nf\u{FC}r\r\n"))[1]
    assert.is_true(result.permanent)
    assert.matches("^554 5%.6%.3 .*ASCII", result.reason)
  end)

  it("proves who it is to a server that wants so", function()
    local here <close> = folder.new()
    local ca = authority.new(here)
    local pair = ca:issue { "localhost", "127.0.0.1" }
    local place <close> = office.open({ submission = true, starttls = "required", users = { me = "secret" } },
      nil, { tls = { certificate = pair.certificate, key = pair.key } })
    local server = { starttls = "required", tls = { authorities = ca.file }, user = "me",
      password = "secret" }
    local send = sender { servers = { [place.address] = server } }
    assert.is_true(assert(send(place.address, envelope "bob", source(TEXT)))[1].ok)
    assert.same({ "me", "ESMTPSA" }, { place.messages[1].user, place.messages[1].protocol })
    server.tls = nil
    assert.matches("^4%.4%.1 .*certificate", select(2, send(place.address, envelope "bob", source(TEXT))))
  end)

  it("goes in clear to a server whose TLS does not come about", function()
    local here <close> = folder.new()
    local ca = authority.new(here)
    local pair = ca:issue { "localhost" }
    local place <close> = office.open({ starttls = "offer" }, nil,
      { tls = { certificate = pair.certificate, key = pair.key, least_version = 1.3 } })
    local broken <close> = office.open { starttls = "offer" } -- has no certificate
    assert.is_true(assert(sender()(place.address, envelope "bob", source(TEXT)))[1].ok)
    assert.equal("ESMTPS", place.messages[1].protocol)
    assert.is_true(assert(sender()(broken.address, envelope "bob", source(TEXT)))[1].ok)
    assert.equal("ESMTP", broken.messages[1].protocol)
  end)

  it("goes where DNS says", function()
    local place <close> = office.open()
    local names <close> = name_server.start {
      "--mx-host=two.test,dead.test,5", "--mx-host=two.test,here.test,10", "--mx-host=loop.test,mx.test,10",
      "--mx-host=loop.test,here.test,20", "--mx-host=backup.test,here.test,10",
      "--mx-host=backup.test,mx.test,20", "--mx-host=none.test,.,0", "--host-record=here.test,127.0.0.1",
      "--host-record=dead.test,127.0.0.2", "--mx-host=xn--bcher-kva.test,here.test,10",
    }
    dns.configure { servers = { names.address } }
    local send = sender { hostname = "mx.test", port = tonumber(place.address:match "%d+$") }
    local function result_of(domain)
      local results, problem = send(domain, envelope "bob", source(TEXT))
      return results and (results[1].ok or results[1].reason) or problem
    end
    local ok, problem = pcall(function()
      assert.is_true(result_of "two.test")
      assert.is_true(result_of "here.test")
      assert.is_true(result_of "backup.test")
      assert.matches("^554 5%.4%.6 ", result_of "loop.test")
      assert.matches("^5%.1%.2 ", result_of "nowhere.test")
      assert.matches("^556 5%.1%.10 ", result_of "none.test")
      assert.matches("^4%.", result_of "elsewhere.example")
      assert.is_true(result_of "[127.0.0.1]")
      assert.is_true(result_of "b\u{FC}cher.test")
      assert.matches("^553 5%.1%.2 ", result_of(("\u{FC}"):rep(70) .. ".test"))
      assert.equal(5, #place.messages)
    end)
    dns.configure {}
    assert(ok, problem)
  end)

  it("asks the next server, when one is of no use before it has begun", function()
    local place <close> = office.open()
    local port = place.address:match "%d+$"
    local first = {} -- what the first server says
    local listener <close> = assert(net.serve("tcp://127.0.0.3:" .. port, function(conn)
      for _, line in ipairs(first) do
        conn:write(line, "\r\n")
        if not conn:read_line() then
          return
        end
      end
    end, { read_timeout = 20 }))
    local names <close> = name_server.start {
      "--mx-host=two.test,busy.test,5", "--mx-host=two.test,here.test,10",
      "--host-record=here.test,127.0.0.1", "--host-record=busy.test,127.0.0.3",
    }
    dns.configure { servers = { names.address } }
    local send = sender { hostname = "mx.test", port = tonumber(port) }
    local function attempt(...)
      first = { ... }
      return send("two.test", envelope "bob", source(TEXT))
    end
    local ok, problem = pcall(function()
      local later = { "220 x", "250 x", "451 4.7.1 no", "250" }
      for count, lines in ipairs { { "220 x" }, { "220 x", "250 x" }, later } do
        assert.is_true(assert(attempt(table.unpack(lines)))[1].ok)
        assert.equal(count, #place.messages)
      end
      assert.matches("^550 ", assert(attempt("220 x", "250 x", "550 5.7.1 no", "250"))[1].reason)
      local _, why = attempt("220 x", "250 x", "250 x", "250 x", "354 go") -- it may have the message
      assert.matches("^4%.4%.2 ", why)
      assert.equal(3, #place.messages)
    end)
    dns.configure {}
    listener:close()
    assert(ok, problem)
  end)

  it("refuses options that are none", function()
    for problem, options in pairs {
      ["option 'hostname'"] = {}, ["unknown option 'host'"] = { host = "x" },
      ["servers%[tcp://a:25%]: unknown option 'name'"] = {
        hostname = "a.example", servers = { ["tcp://a:25"] = { name = 1 } },
      },
      ["servers%[a.example%]: an address such as"] = { hostname = "a", servers = { ["a.example"] = {} } },
      ["servers%[tcp://a:x%]: an address such as"] = { hostname = "a", servers = { ["tcp://a:x"] = {} } },
    } do
      local ok, message = pcall(function() relay.sender(options) end)
      assert.is_false(ok)
      assert.matches("relay_spec.lua:%d+: bad argument #1 to 'sender' %(" .. problem, message)
    end
  end)
end)
