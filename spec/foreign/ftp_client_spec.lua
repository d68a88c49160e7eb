-- The client of FTP against servers of others.
local authority = require "spec.support.authority"
local condition = require "spec.support.condition"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local ftp = require "moonwire.ftp"
local net = require "moonwire.net"
local process = require "spec.support.process"
local test = require "moonwire.test"

test.deadline(60)

local VSFTPD <const> = [[
listen=YES
background=NO
listen_address=127.0.0.1
listen_port=%d
run_as_launching_user=YES
anonymous_enable=YES
no_anon_password=YES
anon_root=%s
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
write_enable=YES
allow_writeable_chroot=YES
one_process_model=YES
anon_world_readable_only=NO
seccomp_sandbox=NO
]]

local PYTHON <const> = [[
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
users = DummyAuthorizer()
users.add_user("bob", "SECRET", sys.argv[2], perm="elradfmwMT")
class Handler(FTPHandler):
    authorizer = users
FTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
]]

local function free_port()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return listener:local_address():match ":(%d+)$"
end

local function start(port, command)
  local child = process.start(command)
  condition.wait_until(function()
    local conn <close> = net.connect("tcp://127.0.0.1:" .. port)
    return conn
  end, 20, function()
    return "the server does not listen: " .. child:output() .. child:errors()
  end)
  return child
end

local TEXT <const> = ("0123456789"):rep(100000)

-- All that a client does.
local function work(client, here)
  assert(client:make_folder "sub")
  assert(client:change_folder "sub")
  assert(client:put("a b", TEXT))
  assert.equal(#TEXT, client:size "a b")
  local half <close> = assert(file.open(here:write("half", TEXT:sub(1, 1234)), "update"))
  half:seek(1234)
  assert.equal(#TEXT - 1234, client:download("a b", half, { offset = 1234 }))
  assert.equal(TEXT, here:read "half")
  assert(client:put("a b", "tail", { append = true }))
  local list = assert(client:list())
  assert.same({ 1, "a b", "file", #TEXT + 4 }, { #list, list[1].name, list[1].kind, list[1].size })
  assert(client:rename("a b", "c"))
  local _, _, code = client:get "a b"
  assert.equal("not_found", code)
  _, _, code = client:get("c", { max = 1000 })
  assert.equal("too_large", code)
  assert(client:remove "c")
  assert(client:change_folder "..")
  assert(client:remove_folder "sub")
end

describe("the client of FTP and", function()
  local place, here, child, port

  before_each(function()
    place, here, port = folder.new(), folder.new(), free_port()
    assert(os.execute("chmod 777 " .. place.path))
  end)

  after_each(function()
    if child then
      child:stop()
    end
    place:remove()
    here:remove()
  end)

  it("pyftpdlib, passive and active", function()
    child = start(port, { "/usr/bin/python3", here:write("server.py", PYTHON), port, place.path })
    for _, active in ipairs { false, true } do
      local client <close> = assert(ftp.connect("tcp://127.0.0.1:" .. port,
        { user = "bob", password = "SECRET", active = active }))
      work(client, here)
    end
  end)

  it("vsftpd, in clear and over TLS, whose data connections must resume the session", function()
    local ca = authority.new(here)
    local pair = ca:issue { "127.0.0.1" }
    local config = VSFTPD:format(port, place.path) .. ([[
ssl_enable=YES
allow_anon_ssl=YES
require_ssl_reuse=YES
rsa_cert_file=%s
rsa_private_key_file=%s
]]):format(pair.certificate, pair.key)
    child = start(port, { "vsftpd", here:write("vsftpd.conf", config) })
    for _, active in ipairs { false, true } do
      for _, tls in ipairs { false, { authorities = ca.file } } do
        local client <close> = assert(ftp.connect("tcp://127.0.0.1:" .. port,
          { active = active, tls = tls or nil }))
        work(client, here)
      end
    end
  end)
end)
