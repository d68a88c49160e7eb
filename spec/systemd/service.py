"""The service in the container: what it is configured with, how it is talked to and what it says."""
import json
import os

from container import wait_until

UNIT = "moonwire.service"
CONFIG = "/etc/moonwire/moonwire.lua"
SCRIPT = "/etc/moonwire/echo.lua"
OVERRIDES = "/etc/systemd/system/moonwire.service.d/test.conf"
PORT = 7000
VISITORS = "/var/tmp/visitors.py"

ECHO = """
return function(conn)
  for line in conn:lines() do
    conn:write("%s ", line, "\\n")
  end
end
"""


def configure(box, word="one", more="", script=None):
    """An echo service that says `word` first."""
    box.write(CONFIG, 'workers = 2\n%s\nservice "echo" { listen = "tcp://127.0.0.1:%d", script = "echo.lua" }\n'
              % (more, PORT))
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


def ask(box, line="hello"):
    """What a new connection is answered; empty when there is none."""
    return box.run("python3", "-c", "import socket\ns = socket.create_connection(('127.0.0.1', %d), 10)\n"
                   "s.sendall(b'%s\\n')\nprint(s.makefile().readline(), end='')" % (PORT, line), check=False)


def listens(box):
    return box.status("python3", "-c", "import socket; socket.create_connection(('127.0.0.1', %d), 5)" % PORT)[0] == 0


def status(box):
    return json.loads(box.run("moonwire", "status", "--json"))


def journal(box, *matches):
    """Entries as tables, the oldest first."""
    said = box.run("journalctl", "--no-pager", "--output=json", "--boot", *matches)
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


class Visitors:
    """Many connections after each other, for as long as the block lasts."""

    def __init__(self, box):
        self.box = box
        self.end = "/var/tmp/visitors.end"

    def __enter__(self):
        self.box.copy(os.path.join(os.path.dirname(__file__), "visitors.py"), VISITORS)
        self.box.run("rm", "-f", self.end)
        self.process = self.box.popen("python3", VISITORS, str(PORT), self.end, stdout=-1)
        wait_until(lambda: status(self.box)["workers"][0]["report"]["services"][0]["accepted"] > 0, "the first visit")
        return self

    def __exit__(self, *_):
        self.box.write(self.end, "")
        self.said = json.loads(self.process.communicate(timeout=60)[0])
        self.visits = sum(self.said["answers"].values())
        self.answers = set(self.said["answers"])
        self.faults = self.said["faults"]
