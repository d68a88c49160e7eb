-- What scanners find of our TLS: nothing that is not as it should be.
local authority = require "spec.support.authority"
local folder = require "spec.support.folder"
local json = require "moonwire.json"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local test = require "moonwire.test"

local SERVICE <const> = [[
return {
  options = { tls = { certificate = %q, key = %q, staple = %q } },
  connect = function(conn)
    for line in conn:lines() do
      conn:write(line, "\n")
    end
  end,
}]]

test.deadline(900) -- testssl.sh tries hundreds of suites, one at a time

local here, ca, server

setup(function()
  here = folder.new()
  ca = authority.new(here)
  local www = ca:issue { "localhost", "127.0.0.1", days = 300 }
  server = moonwire.serve {
    code = SERVICE:format(www.certificate, www.key, ca:staple(www)),
    listen = { "tls://127.0.0.1:0" },
  }
end)

teardown(function()
  server:stop()
  here:remove()
end)

-- Findings that are of the certificate, which an authority of the spec has signed for a few days, and of what
-- an echo service lacks that speaks no HTTP.
local OF_THE_SPEC <const> = {
  cert_validityPeriod = true, cert_extlifeSpan = true, cert_expirationStatus = true,
  cert_crlDistributionPoints = true, cert_ocspURL = true, cert_revocation = true,
  cert_mustStapleExtension = true,
  certificate_transparency = true, DNS_CAArecord = true, cert_trust = true, cert_eTLS = true,
  overall_grade = true,
}

local BAD <const> = { LOW = true, MEDIUM = true, HIGH = true, CRITICAL = true, FATAL = true }

describe("testssl.sh", function()
  it("finds nothing that is not as it should be", function()
    local report = here.path .. "/report.json"
    process.run { "testssl", "--quiet", "--color", "0", "--warnings", "batch", "--add-ca", ca.file,
      "--nodns", "none", "--ip", "127.0.0.1", "--jsonfile", report, "localhost:" .. server.port,
      seconds = 850 }
    local findings = assert(json.decode(assert(here:read "report.json")))
    assert.is_true(#findings > 50)
    local problems = {}
    for _, finding in ipairs(findings) do
      local id = finding.id:match "^[^ ]+"
      if (BAD[finding.severity] or finding.finding:find "NOT ok") and not OF_THE_SPEC[id] then
        problems[#problems + 1] = ("%s %s: %s"):format(finding.severity, finding.id, finding.finding)
      end
    end
    assert.equal("", table.concat(problems, "\n"))
  end)
end)

describe("sslscan", function()
  it("finds TLS 1.2 and 1.3, and suites with forward secrecy alone", function()
    local address = "127.0.0.1:" .. server.port
    local status, output = process.run { "sslscan", "--no-colour", address, seconds = 120 }
    assert.equal(0, status)
    for _, version in ipairs { "SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1" } do
      assert.matches(version .. " +disabled", output)
    end
    assert.matches("TLSv1.2 +enabled", output)
    assert.matches("TLSv1.3 +enabled", output)
    assert.matches("renegotiation not supported", output)
    assert.not_matches("%f[%w]vulnerable to heartbleed", (output:gsub("not vulnerable", "")))
    local count = 0
    for line in output:gmatch "[^\n]+" do
      local suite = line:match "^%u%l+ +TLSv1%.%d +%d+ bits +(%S+)"
      if suite then
        count = count + 1
        assert.is_truthy(suite:find "^TLS_" or suite:find "^ECDHE%-", suite)
        assert.is_truthy(suite:find "GCM" or suite:find "CHACHA20" or suite:find "CCM", suite)
      end
    end
    assert.is_true(count >= 4)
  end)
end)
