"""What happens to moonwire-inetd.socket and the processes that it starts, one for each connection."""
import service
from container import wait_until
from scenarios import equal, scenario

SOCKET_UNIT = "moonwire-inetd.socket"
INSTANCES = "moonwire-inetd@*.service"
DROP_IN = "/etc/systemd/system/moonwire-inetd@.service.d/test.conf"
SCRIPT = "/etc/moonwire/inetd.lua"
PORT = 7007
ROOT = "/var/lib/moonwire/ftp"

NAMES = """
local log = require "moonwire.log"
return function(conn)
  log.info("somebody came", { colour = "green" })
  io.write("aside")
  conn:write(conn:peer_address(), " ", conn:local_address(), "\\n")
  for line in conn:lines() do
    conn:write("got ", line, "\\n")
  end
end
"""

TWO = """
import socket
conns = [socket.create_connection(("127.0.0.1", %d), 10) for _ in range(2)]
for conn in conns:
    file = conn.makefile("rw", newline="\\n")
    print(file.readline().split()[0] == "%%s:%%d" %% conn.getsockname())
    print(file.write("hello\\n") and file.flush() or file.readline(), end="")
    conn.shutdown(socket.SHUT_WR)
    print(repr(file.read()))
""" % PORT


def serve(box, script=None, path=SCRIPT, options=""):
    box.write(SCRIPT, script or NAMES)
    box.write(DROP_IN, '[Service]\nEnvironment=SCRIPT=%s\nEnvironment="OPTIONS=%s"\n' % (path, options))
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", SOCKET_UNIT)


def end(box):
    """No process is left when the last connection has ended."""
    wait_until(lambda: not box.run("systemctl", "list-units", "--plain", "--no-legend", INSTANCES), "no process is left")
    box.run("systemctl", "stop", SOCKET_UNIT)


@scenario
def each_connection_has_a_process(box):
    serve(box)
    equal(box.run("python3", "-c", TWO).split("\n"), ["True", "got hello", "''"] * 2, "what two are answered")
    equal(box.show(SOCKET_UNIT, "NAccepted"), "2", "connections")
    end(box)
    found = wait_until(lambda: service.journal(box, "MOONWIRE_COLOUR=green"), "the entry is in the journal")[-1]
    assert found["_SYSTEMD_UNIT"].startswith("moonwire-inetd@"), found
    assert "127.0.0.1:" in found["MOONWIRE_CONNECTION"], found


@scenario
def a_process_that_fails_leaves_nothing(box):
    serve(box, "return function(conn) conn:write('out\\n') error 'no disk' end")
    equal(service.ask(box, port=PORT), "out", "the answer")
    end(box)
    said = box.run("journalctl", "--no-pager", "-u", "moonwire-inetd@*", "-n", "20")
    assert "no disk" in said and "status=1/FAILURE" in said, said


def make_root(box):
    box.run("install", "-d", "-o", "moonwire", "-g", "moonwire", "-m", "750", ROOT)
    box.run("rm", "-f", ROOT + "/there")


def exchange_files(box, port):
    """A file to an FTP server, and back."""
    box.write("/var/tmp/there", "and back\n")
    url, user = "ftp://127.0.0.1:%d/there" % port, ["--user", "bob:SECRET", "--insecure", "--ssl-reqd", "--silent"]
    box.run("curl", *user, "--show-error", "--upload-file", "/var/tmp/there", url)
    equal(box.run("curl", *user, "--show-error", url), "and back", "the file")


@scenario
def a_service_that_is_shipped_runs_so(box):
    make_root(box)
    serve(box, path="/usr/share/moonwire/scripts/ftp.lua",
          options="--set root=%s --set users.bob=SECRET --set tls=optional --set certificate=auto" % ROOT)
    exchange_files(box, PORT)
    end(box)


@scenario
def the_daemon_serves_files_as_confined_as_it_is(box):
    make_root(box)
    box.write(service.CONFIG, """service "ftp" {
      listen = "tcp://127.0.0.1:%d", script = "/usr/share/moonwire/scripts/ftp.lua", tls = "auto",
      settings = { root = "%s", users = { bob = "SECRET" }, tls = "optional" },
    }""" % (service.PORT, ROOT))
    service.start(box)
    exchange_files(box, service.PORT)


@scenario
def the_unit_of_a_connection_is_exposed_little(box):
    said = box.run("systemd-analyze", "security", "--no-pager", "moonwire-inetd@1.service")
    level = float(said.rpartition("exposure level for moonwire-inetd@1.service: ")[2].split()[0])
    assert level <= 1.4, "exposure level %.1f:\n%s" % (level, said)
