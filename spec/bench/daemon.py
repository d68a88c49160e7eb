#!/usr/bin/env python3
"""What operators cost those who are served: status with many connections, reloads, connections that move.

    python3 spec/bench/daemon.py [--binary build/moonwire] [--connections 10000] [--parked 5000]

Prints how long `status` takes beside so many connections, a reload of ten services, a reload in which the parked
connections move, and how long one exchange after the other took meanwhile, beside what it takes alone."""
import argparse
import os
import resource
import socket
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from daemon import Daemon  # noqa: E402

PARK = """
local function talk(conn)
  while true do
    conn:checkpoint()
    local line = conn:read_line()
    if not line then return end
    conn:write(line, "\\n")
  end
end
return { connect = talk, resume = talk, options = { read_timeout = false } }
"""
ROUNDS = 15


def config_of(names):
    return "".join(
        'service "%s" { script = "park.lua", listen = "tcp://127.0.0.1:0", limits = { connections = 100000 } }\n' % name
        for name in names)


def ask(daemon, **request):
    """The answer, and the seconds that it took."""
    begun = time.monotonic()
    answer = daemon.ask(**request)
    if not answer["ok"]:
        sys.exit("%s: %s" % (request, answer["error"]))
    return answer, time.monotonic() - begun


class Exchange(threading.Thread):
    """One exchange after the other on a connection of each worker, as likely as not; how long each took."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.conns = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(4)]
        for conn in self.conns:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.times, self.done = [], False

    def run(self):
        while not self.done:
            for conn in self.conns:
                begun = time.monotonic()
                conn.sendall(b"x\n")
                if conn.recv(100) != b"x\n":
                    raise ConnectionError("a wrong answer")
                self.times.append(time.monotonic() - begun)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.join()
        for conn in self.conns:
            conn.close()

    def figures(self):
        times = sorted(self.times)
        return "%d exchanges, p50 %.2f ms, p99 %.2f ms, longest %.1f ms" % (
            len(times), times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3, times[-1] * 1e3)


def park(port, count):
    conns = []
    for number in range(count):
        conn = socket.socket()
        conn.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
        conn.bind(("127.0.3.%d" % (1 + number % 100), 0))
        conn.connect(("127.0.0.1", port))
        conn.sendall(b"x\n")
        if conn.recv(10) != b"x\n":
            raise ConnectionError("a wrong answer")
        conns.append(conn)
    return conns


def median(times):
    return sorted(times)[len(times) // 2]


def measure_status(daemon, connections):
    port = daemon.ports["service0"]
    with Exchange(port) as alone:
        time.sleep(2)
    print("alone:                  ", alone.figures(), flush=True)
    conns = park(port, connections)
    with Exchange(port) as beside:
        time.sleep(2)
    print("beside %d parked:    " % connections, beside.figures(), flush=True)
    times = []
    with Exchange(port) as beside:
        for _ in range(ROUNDS):
            answer, took = ask(daemon, command="status")
            times.append(took)
            time.sleep(0.1)
    counted = sum(s["connections"] for w in answer["workers"] for s in w["report"]["services"])
    print("status of %d:         %.1f ms (median), %.1f ms (longest)" % (counted, median(times) * 1e3, max(times) * 1e3))
    print("meanwhile:              ", beside.figures(), flush=True)
    for conn in conns:
        conn.close()


def measure_reload(daemon):
    times = [ask(daemon, command="reload")[1] for _ in range(ROUNDS)]
    print("reload of %d services:  %.1f ms (median), %.1f ms (longest)" % (
        len(daemon.ports), median(times) * 1e3, max(times) * 1e3), flush=True)


def measure_moving(daemon, parked):
    conns = park(daemon.ports["service0"], parked)
    with Exchange(daemon.ports["service0"]) as beside:
        time.sleep(0.5)
        begun = len(beside.times)
        for _ in range(3):
            answer, took = ask(daemon, command="reload")
            print("reload with %d parked: %d moved, %d kept, %d ended in %.1f ms" % (
                parked, answer["moved"], answer["kept"], answer["ended"], took * 1e3))
        time.sleep(0.2)
    beside.times = beside.times[begun:]
    print("meanwhile:              ", beside.figures(), flush=True)
    for conn in conns:
        conn.sendall(b"y\n")
        if conn.recv(10) != b"y\n":
            sys.exit("a connection that moved gives a wrong answer")
        conn.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="build/moonwire")
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--parked", type=int, default=5000)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for services, act in ((1, lambda d: measure_status(d, options.connections)), (10, measure_reload),
                          (1, lambda d: measure_moving(d, options.parked))):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            names = ["service%d" % number for number in range(services)]
            daemon = Daemon(options.binary, folder, {"park.lua": PARK, "moonwire.lua": config_of(names)})
            try:
                act(daemon)
            finally:
                daemon.close()


main()
