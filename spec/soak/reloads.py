#!/usr/bin/env python3
"""Reloads a daemon a thousand times under light load, then lets two hundred reloads fail, and looks what is left.

    python3 spec/soak/reloads.py [--reloads 1000] [--failures 200] [--binary build/moonwire]

Prints memory, descriptors, tasks and Lua states as it goes. Fails when, after the first 100 reloads, a process grows by
more than --growth KiB in 50 reloads, when descriptors, tasks or generations are left, or when an exchange fails."""
import argparse
import os
import socket
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from daemon import Daemon  # noqa: E402

WARM_UP, WINDOW = 100, 50

STATE = """
local task = require "moonwire.task"
local timer = require "moonwire.timer"
local version, known = %d, {}
local function talk(conn, state)
  while true do
    conn:checkpoint(state)
    local line = conn:read_line()
    if not line then return end
    state.count = state.count + 1
    known[line] = state.count
    conn:write(line, "\\n")
  end
end
return {
  connect = function(conn) talk(conn, { count = 0, padding = ("x"):rep(200) }) end,
  resume = talk,
  start = function()
    timer.every(0.05, function() version = version + 0 end)
    task.spawn(function() while true do task.sleep(0.03) end end)
  end,
  handoff = function() return { known = known } end,
  adopt = function(data) known = data.known end,
}
"""
PLAIN = "return function(conn) for line in conn:lines() do conn:write(line, '\\n') end end -- %d\n"
BROKEN = [
    "return function(conn",
    STATE % 0 + "x",
    "return { connect = print, start = function() error 'start raises' end }",
    "return { connect = print, start = function(ctx) if ctx.worker == 2 then error 'one raises' end end }",
    "return { connect = print, adopt = function() error 'adopt raises' end }",
    "return { connect = print, adopt = function(data) require 'moonwire.task'.sleep(1) end }",
    "error 'the script raises'",
]


CONFIG = """
drain = 2
service "state" { script = "state.lua", listen = "tcp://127.0.0.1:0" }
service "plain" { script = "plain.lua", listen = "tcp://127.0.0.1:0" }
"""


def processes(daemon):
    workers = daemon.ask(command="status")["workers"]
    return [("supervisor", daemon.process.pid)] + [("worker %d" % w["worker"], w["pid"]) for w in workers]


class Load(threading.Thread):
    """Steady connections and newcomers, a few hundred exchanges a second."""

    def __init__(self, ports):
        super().__init__(daemon=True)
        self.ports, self.failed, self.exchanges, self.done = ports, [], 0, False

    def exchange(self, conn):
        conn.sendall(b"word%d\n" % (self.exchanges % 50))
        if not conn.recv(100).startswith(b"word"):
            raise ConnectionError("closed")
        self.exchanges += 1

    def run(self):
        conns = [socket.create_connection(("127.0.0.1", self.ports["state"]), 10) for _ in range(10)]
        while not self.done:
            try:
                for conn in conns:
                    self.exchange(conn)
                for port in self.ports.values():
                    with socket.create_connection(("127.0.0.1", port), 10) as conn:
                        self.exchange(conn)
            except OSError as error:
                self.failed.append(str(error))
                return
            time.sleep(0.02)
        for conn in conns:
            conn.close()


def memory(pid):
    """KiB that no file stands behind; those shared with a process that it was forked from or into included."""
    with open("/proc/%d/smaps_rollup" % pid) as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith(("Anonymous:", "Swap:")))


def look(daemon):
    """Of each process: memory in KiB, descriptors."""
    return {name: (memory(pid), len(os.listdir("/proc/%d/fd" % pid))) for name, pid in processes(daemon)}


def services(daemon):
    entries = [entry for worker in daemon.ask(command="status")["workers"] for entry in worker["report"]["services"]]
    return len(entries), sum(entry["tasks"] for entry in entries), sum(entry["connections"] for entry in entries)


def settle(daemon, before):
    """Until states, tasks and descriptors are what they were before."""
    end = time.monotonic() + 15
    while True:
        left = services(daemon), {name: fds for name, (_, fds) in look(daemon).items()}
        if left == before or time.monotonic() > end:
            return left
        time.sleep(0.1)


def show(text, seen):
    print("%-22s %s" % (text, "  ".join("%s %d KiB %d fds" % (name, *values) for name, values in seen.items())),
          flush=True)


def grown(daemon, count, growth, act, what):
    """Acts `count` times; what has grown too much. Garbage comes and goes: the least of a window counts."""
    complaints, windows = [], []
    least = {}
    for number in range(1, count + 1):
        act(number)
        if number % 5 == 0:
            for name, (kib, _) in look(daemon).items():
                least[name] = min(least.get(name, kib), kib)
        if number % WINDOW == 0:
            windows.append(least)
            show("%d %s" % (number, what), look(daemon))
            least = {}
    first = windows[WARM_UP // WINDOW - 1 if count > 2 * WARM_UP else 0]
    steps = max(len(windows) - (WARM_UP // WINDOW if count > 2 * WARM_UP else 1), 1)
    for name in first:
        per_window = (windows[-1][name] - first[name]) / steps
        print("%s: %+.1f KiB in 50 %s" % (name, per_window, what))
        if per_window > growth:
            complaints.append("%s grows by %.0f KiB in 50 %s" % (name, per_window, what))
    return complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="build/moonwire")
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--failures", type=int, default=200)
    parser.add_argument("--growth", type=float, default=256, help="KiB in 50 reloads")
    options = parser.parse_args()
    if min(options.reloads, options.failures) < WINDOW:
        parser.error("at least %d reloads and failures are needed to tell growth" % WINDOW)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        daemon = Daemon(options.binary, folder, {
            "state.lua": STATE % 0, "plain.lua": PLAIN % 0, "moonwire.lua": CONFIG})
        try:
            complaints = wear(daemon, options)
        finally:
            daemon.close()
        if daemon.process.returncode != 0:
            complaints.append("the daemon ended with status %d" % daemon.process.returncode)
    print("\n".join(complaints) or "nothing is left")
    sys.exit(1 if complaints else 0)


def wear(daemon, options):
    times = []

    def reload(number):
        daemon.write("state.lua", STATE % number)
        daemon.write("plain.lua", PLAIN % number)
        begun = time.monotonic()
        answer = daemon.ask(command="reload")
        times.append(time.monotonic() - begun)
        if not answer["ok"] or answer["ended"]:
            sys.exit("reload %d: %s" % (number, answer))

    def fail(number):
        daemon.write("state.lua", BROKEN[number % len(BROKEN)])
        answer = daemon.ask(command="reload")
        if answer["ok"]:
            sys.exit("a reload of this did not fail:\n" + BROKEN[number % len(BROKEN)])

    reload(0)
    time.sleep(2.5)
    before = services(daemon), {name: fds for name, (_, fds) in look(daemon).items()}
    load = Load(daemon.ports)
    load.start()
    complaints = grown(daemon, options.reloads, options.growth, reload, "reloads")
    complaints += grown(daemon, options.failures, options.growth, fail, "failures")
    load.done = True
    load.join(10)
    left = settle(daemon, before)
    if left != before:
        complaints.append("left: %s; before: %s" % (left, before))
    complaints += load.failed[:3]
    times.sort()
    print("a reload takes %.1f ms (p50), %.1f ms (p99); %d exchanges beside" % (
        times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3, load.exchanges))
    return complaints


main()
