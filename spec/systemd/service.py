"""The service in the container: what it is configured with, how it is talked to and what it says."""
import json
import os

from container import wait_until

UNIT = "moonwire.service"
CONFIG = "/etc/moonwire/moonwire.lua"
SCRIPT = "/etc/moonwire/echo.lua"
OVERRIDES = "/etc/systemd/system/moonwire.service.d/test.conf"
PORT = 7000
SOCKET = "/run/moonwire/echo.sock"
VISITORS = "/var/tmp/visitors.py"

ECHO = """
return function(conn)
  for line in conn:lines() do
    conn:write("%s ", line, "\\n")
  end
end
"""


def configure(box, word="one", more="", script=None, workers=2, listen='"tcp://127.0.0.1:%d"' % PORT):
    """An echo service that says `word` first."""
    box.write(CONFIG, 'workers = %d\n%s\nservice "echo" { listen = { %s }, script = "echo.lua" }\n'
              % (workers, more, listen))
    box.write(SCRIPT, script or ECHO % word)


def override(box, text):
    """Lines of a drop-in; empty: none."""
    if text:
        box.write(OVERRIDES, text)
    else:
        box.run("rm", "-f", OVERRIDES)
    box.run("systemctl", "daemon-reload")


def start(box):
    box.run("systemctl", "start", UNIT)


def main_pid(box):
    return int(box.show(UNIT, "MainPID"))


def children(box):
    return box.run("pgrep", "--parent", str(main_pid(box))).split()


def is_active(box):
    return box.show(UNIT, "ActiveState") == "active"


def ask(box, line="hello", port=PORT):
    """What a new connection is answered; empty when there is none."""
    return box.run("python3", "-c", "import socket\ns = socket.create_connection(('127.0.0.1', %d), 10)\n"
                   "s.sendall(b'%s\\n')\nprint(s.makefile().readline(), end='')" % (port, line), check=False)


def listens(box):
    return box.status("python3", "-c", "import socket; socket.create_connection(('127.0.0.1', %d), 5)" % PORT)[0] == 0


def status(box):
    return json.loads(box.run("moonwire", "status", "--json"))


def journal(box, *matches):
    """Entries as tables, the oldest first."""
    said = box.run("journalctl", "--no-pager", "--output=json", "--boot", *matches)
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def listeners(box, port=PORT):
    """How many TCP sockets listen on that port of IPv4."""
    lines = box.run("cat", "/proc/net/tcp").splitlines()[1:]
    return sum(line.split()[1].endswith(":%04X" % port) and line.split()[3] == "0A" for line in lines)


def stored(box):
    """How many descriptors systemd keeps."""
    return int(box.show(UNIT, "NFileDescriptorStore"))


class Guest:
    """One connection that stays for as long as it may."""

    def __init__(self, box):
        self.process = box.popen("python3", "-c", "import socket\ns = socket.create_connection(('127.0.0.1', %d), 10)\n"
                                 "s.settimeout(60)\ns.sendall(b'hello\\n')\nfile = s.makefile()\n"
                                 "print(file.readline(), end='', flush=True)\nprint(repr(file.read()))" % PORT, stdout=-1)
        self.answer = self.process.stdout.readline().strip()

    def rest(self):
        """What it gets until it is closed."""
        return self.process.communicate(timeout=60)[0].strip()


class Visitors:
    """Many connections after each other, for as long as the block lasts."""

    def __init__(self, box, place=PORT):
        self.box = box
        self.place = str(place)
        self.end = "/var/tmp/visitors.end." + self.place.replace("/", "_")

    def __enter__(self):
        self.box.copy(os.path.join(os.path.dirname(__file__), "visitors.py"), VISITORS)
        self.box.run("rm", "-f", self.end, self.end + ".begun")
        self.process = self.box.popen("python3", VISITORS, self.place, self.end, stdout=-1)
        wait_until(lambda: self.box.exists(self.end + ".begun"), "the first visit")
        return self

    def __exit__(self, *_):
        self.box.write(self.end, "")
        self.said = json.loads(self.process.communicate(timeout=60)[0])
        self.visits = sum(self.said["answers"].values())
        self.answers = set(self.said["answers"])
        self.faults = self.said["faults"]
