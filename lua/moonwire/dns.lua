--- Names to addresses and records. Answers are kept as long as their time to
--- live allows; equal questions at the same time share one query. A deadline
--- scope covers a lookup, cancelling the task ends it.
local core = require "moonwire.core"

local dns = {}

---@class moonwire.dns_record
---@field type "A"|"AAAA"|"MX"|"TXT"|"SRV"|"PTR"
--- The address of an A or AAAA; the host of an MX, SRV or PTR, where "." is the root: no such service;
--- the bytes of a TXT.
---@field text string
---@field ttl integer seconds that it may be kept, as of the moment the server answered
---@field priority? integer MX and SRV: the lowest is to be tried first
---@field weight? integer SRV
---@field port? integer SRV

---@class moonwire.dns_addresses_options
---@field family? "v4"|"v6" default both

--- Looks up the addresses of a host: in the hosts file, then with name servers,
--- also with the domains of the search list. The best first (RFC 6724). A
--- numeric address is its own answer.
---@param name string one that ends in a dot is not tried with the search list
---@param options? moonwire.dns_addresses_options
---@return string[]? addresses numeric, without port: "127.0.0.1", "::1"; at least one
---@return string? err
---@return string? code "not_found", "timeout", "unavailable" (no server answers), "invalid", "descriptors"
dns.addresses = core.dns.addresses

--- Asks name servers for records of a complete name; MX and SRV come in order
--- of priority. For "PTR" the name may be a numeric address.
---@param name string
---@param type "A"|"AAAA"|"MX"|"TXT"|"SRV"|"PTR"
---@return moonwire.dns_record[]? records at least one
---@return string? err
---@return string? code as of addresses
dns.records = core.dns.records

--- The names that name servers have for an address.
---@param address string numeric, without port
---@return string[]? names at least one
---@return string? err
---@return string? code as of addresses
dns.reverse = core.dns.reverse

---@class moonwire.dns_options
--- Numeric addresses, at most 8: { "127.0.0.1:5353", "[::1]:53" }; default: those of resolv.conf.
---@field servers? string[]
---@field resolv_conf? string path; default "/etc/resolv.conf". It is read anew when it changes
--- Seconds that a server has in the first round, doubled in each; default 2, at most 3600.
---@field timeout? number
---@field tries? integer rounds through all servers, 1 to 100; default 2
---@field entries? integer answers that are kept at most, 1 to 1048576; default 1024

--- Sets how this service looks names up from now on, what is absent to its
--- default. Answers that were kept are forgotten; what is being looked up is
--- asked anew. Raises when a server is no address.
---@param options moonwire.dns_options
---@return true?
---@return string? err
---@return string? code "memory"
dns.configure = core.dns.configure

return dns
