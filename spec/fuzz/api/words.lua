--- Strings that mean something to the API, by the name of the parameter they are for. Addresses are of this
--- machine, names have no dot that leads out of it.
local Words = {}

Words.address = {
  "tcp://127.0.0.1:0", "tcp://127.0.0.1:1", "tcp://[::1]:0", "tcp://localhost:1", "127.0.0.1:0", ":0",
  "udp://127.0.0.1:0",
  "udp://127.0.0.1:9", "udp://[::1]:9", "unix://@moonwire-fuzz", "unix://@moonwire-fuzz-2",
  "unix:///nowhere/x.sock",
  "tls://127.0.0.1:1", "fd://4000", "fd://-1", "fd://", "tcp://", "tcp://127.0.0.1:65536",
  "tcp://127.0.0.1:-1",
  "tcp://[::1", "unix://", "unix://relative", "127.0.0.1", "::1",
}
Words.local_address = { "127.0.0.1:0", "127.0.0.2:0", "[::1]:0", "localhost:0", "", ":0" }
Words.peer = { "127.0.0.1:9", "udp://127.0.0.1:9", "[::1]:9", "127.0.0.1:0", "unix://@moonwire-fuzz" }
Words.servers = {
  { "127.0.0.1:1" }, { "[::1]:1", "127.0.0.1:2" }, {}, { 1 }, { "localhost" }, { "" }, "127.0.0.1:1",
}
Words.resolv_conf = { "/nowhere", "/dev/null", "", "/" }
-- Nothing that stands in a hosts file: c-ares 1.18 loses a few bytes when it has no address of the family
-- asked for.
Words.name = {
  "127.0.0.2", "::2", "nowhere.invalid", "nowhere.invalid.", "usr1", "hup", "kill", "tstp", "term",
  ("a"):rep(64) .. ".invalid", ("a."):rep(127) .. "invalid", "*", "a..invalid", "a b.invalid", "x\0y",
}
Words.type = { "A", "AAAA", "MX", "TXT", "SRV", "PTR", "a", "ANY", "" }
Words.family = { "v4", "v6", "v5" }
Words.level = { "debug", "info", "warn", "error", "fatal" }
Words.delimiter = { "\n", "\r\n", "", "x", ("x"):rep(5000), "\0" }
Words.data = { "", "data", ("x"):rep(65507), ("x"):rep(65508), ("x"):rep(100000) }
Words.message = { "", "a message", "\27[31mred\n\0", ("x"):rep(20000), "\xff\xfe" }
Words.file = { "/dev/null", "/nowhere", "/", "", "/dev/zero", "/proc/self/stat" }
Words.code = { "timeout", "", "x" }

Words.all = {}
for _, list in ipairs {
  Words.address, Words.name, Words.delimiter, Words.message, Words.family, Words.level, Words.type,
} do
  table.move(list, 1, #list, #Words.all + 1, Words.all)
end

return Words
