"""A daemon of the binary under test, for programs that measure or wear it."""
import json
import os
import socket
import subprocess
import sys
import time

USER = 'user = "nobody"\n' if os.geteuid() == 0 else ""  # scripts do not run as root


class Daemon:
    """Started with these files in the folder, of which moonwire.lua is its config: what is said of workers, control and
    user stands before it. `ports` are those of its services, by their names."""

    def __init__(self, binary, folder, files):
        self.folder = folder
        head = 'workers = 2\ncontrol = "%s/control.sock"\n' % folder
        for name, text in files.items():
            self.write(name, head + USER + text if name == "moonwire.lua" else text)
        self.process = subprocess.Popen([binary, "start", "-c", folder + "/moonwire.lua"],
                                        stderr=open(folder + "/log", "ab"), stdin=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while b"serving generation 1" not in self.text():
            if time.monotonic() > end or self.process.poll() is not None:
                sys.exit("the daemon does not start:\n" + self.text().decode())
            time.sleep(0.02)
        self.asking = socket.socket(socket.AF_UNIX)
        self.asking.connect(folder + "/control.sock")
        self.answers = self.asking.makefile("rb")
        self.ports = {}
        for line in self.text().decode().splitlines():
            if " listening " in line:
                words = dict(word.split("=", 1) for word in line.split() if "=" in word)
                self.ports[words["service"]] = int(words["address"].rsplit(":", 1)[1])

    def text(self):
        """Its log so far."""
        with open(self.folder + "/log", "rb") as file:
            return file.read()

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def ask(self, **request):
        """The answer of the control socket."""
        self.asking.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(self.answers.readline())

    def close(self):
        self.process.terminate()
        self.process.wait(60)
