#!/usr/bin/env python3
"""Wears a server out: mixed load with faults, then looks what is left.

    python3 spec/soak/run.py [--seconds 600] [--binary build/moonwire] [--width 40]

Prints memory, descriptors and tasks as it goes, the slope of memory after the first minute (after the first half of
less than two), and a verdict. Fails when memory grows by more than --growth KiB a minute, when tasks, streams,
timers or descriptors are left once the load has ended, or when the server stops to answer."""
import argparse
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ACTS = ["fail", "fail_deep", "leave_open", "cancel", "much", "file", "name", "relay", "queue"]
SETTLE_SECONDS = 40  # what is still to be sent to those who do not read has 30
CROWD = 4  # times as many clients at first


class Server:
    def __init__(self, binary, folder):
        self.path = os.path.join(folder, "server.sock")
        self.status_path = "@moonwire-soak-%d" % os.getpid()
        self.log = open(os.path.join(folder, "log"), "ab+")
        self.process = subprocess.Popen(
            [binary, "run", "spec/soak/server.lua", "--set", "status=" + self.status_path, "--log-level", "info",
             "--listen", "tcp://127.0.0.1:0", "--listen", "unix://" + self.path, "--listen", "udp://127.0.0.1:0"],
            stderr=self.log, stdin=subprocess.DEVNULL)
        self.tcp, self.udp = self.await_ports()

    def await_ports(self):
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            self.log.seek(0)
            ports = [int(line.rsplit(b":", 1)[1]) for line in self.log.read().splitlines() if b"address=127." in line]
            if len(ports) == 2:
                # From here on the log, which every failed task fills, is nobody's.
                return ports
            time.sleep(0.05)
        self.log.seek(0)
        sys.exit("the server does not listen:\n" + self.log.read().decode(errors="replace"))

    def status(self):
        """Tasks, streams and timers; those of the question included."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(10)
            asking.connect("\0" + self.status_path[1:])
            return [int(word) for word in asking.makefile().readline().split()]

    def memory(self):
        with open("/proc/%d/status" % self.process.pid) as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def trim_log(self):
        self.log.truncate(0)


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


class Client(threading.Thread):
    """Visits again and again until the end, each time in another way."""

    def __init__(self, server, seed, end):
        super().__init__(daemon=True)
        self.server, self.random, self.end, self.visits = server, random.Random(seed), end, 0

    def connect(self):
        if self.random.random() < 0.2:
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(10)
            peer.connect(self.server.path)
            return peer
        return socket.create_connection(("127.0.0.1", self.server.tcp), timeout=10)

    def lines(self):
        with self.connect() as peer:
            answers = peer.makefile("rb")
            for i in range(20):
                line = b"line %d\n" % i * self.random.randint(1, 5)
                peer.sendall(line)
                for _ in range(line.count(b"\n")):
                    if not answers.readline().startswith(b"line"):
                        raise ValueError("a wrong answer")

    def act(self):
        with self.connect() as peer:
            peer.sendall(self.random.choice(ACTS).encode() + b"\n")
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                pass

    def broken_off(self):
        peer = self.connect()
        peer.sendall(self.random.choice(ACTS).encode() + b"\n" * self.random.randint(0, 1))
        if self.random.random() < 0.5:
            peer.recv(1)
        reset(peer)

    def slow_reader(self):
        with self.connect() as peer:
            peer.sendall(b"much\n")
            time.sleep(self.random.random() * 3)

    def silent(self):
        with self.connect() as peer:
            peer.sendall(b"half a line")
            peer.recv(1)

    def huge_line(self):
        with self.connect() as peer:
            peer.sendall(b"x" * self.random.randint(9000, 2000000))
            peer.recv(1)

    def flood(self):
        with self.connect() as peer:
            peer.sendall(b"\n".join([b"flood"] * 20000))

    def datagrams(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(0.2)
            for _ in range(20):
                peer.sendto(self.random.choice([b"", b"fail", b"x" * 1000, b"x" * 60000]), ("127.0.0.1", self.server.udp))
            peer.recv(65536)

    def come_and_go(self):
        for _ in range(20):
            self.connect().close()

    def run(self):
        ways = [self.lines] * 4 + [self.act] * 4 + [
            self.broken_off, self.slow_reader, self.silent, self.huge_line, self.flood, self.datagrams, self.come_and_go]
        while time.monotonic() < self.end:
            try:
                self.random.choice(ways)()
            except OSError:
                pass  # what is asked for here is refused, broken off or late often enough
            self.visits += 1


def slope(samples):
    """Least squares: KiB a minute."""
    count = len(samples)
    mean_x = sum(x for x, _ in samples) / count
    mean_y = sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0


def watch(server, start, end, interval):
    samples = []
    while time.monotonic() < end and server.process.poll() is None:
        time.sleep(interval)
        now, memory = time.monotonic() - start, server.memory()
        samples.append((now, memory))
        tasks, streams, timers = server.status()
        server.trim_log()
        if len(samples) % 10 == 0:
            print("%4d s: %6d KiB, %4d descriptors, %4d tasks, %4d streams, %4d timers" % (
                now, memory, server.descriptors(), tasks, streams, timers), flush=True)
    return samples


def left_over(server, before, descriptors):
    """What is more than before, once everything had time to end."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        after = server.status() + [server.descriptors()]
        more = ["%d %s, %d before" % (now, name, then) for now, then, name in zip(
            after, before + [descriptors], ["tasks", "streams", "timers", "descriptors"]) if now > then]
        if not more or time.monotonic() > end:
            return more
        time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--binary", default="build/moonwire")
    parser.add_argument("--width", type=int, default=40, help="connections at the same time")
    parser.add_argument("--growth", type=float, default=64, help="KiB a minute that memory may grow")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.binary, folder)
        try:
            return soak(server, options)
        finally:
            server.process.kill()
            server.process.wait()


def soak(server, options):
    server.status()
    before, descriptors = server.status(), server.descriptors()
    start = time.monotonic()
    end = start + options.seconds
    # The crowd comes first: memory is kept for as many as there ever were.
    peak = start + min(40, options.seconds / 3)
    clients = [Client(server, options.seed * 1000 + i, end if i < options.width else peak)
               for i in range(options.width * CROWD)]
    for client in clients:
        client.start()
    samples = watch(server, start, end, max(0.2, options.seconds / 600))
    for client in clients:
        client.join(30)
    faults = []
    if server.process.poll() is not None:
        faults.append("the server ended with status %d" % server.process.returncode)
    else:
        faults += left_over(server, before, descriptors)
    grown = slope([sample for sample in samples if sample[0] > min(60, options.seconds / 2)])
    if grown > options.growth:
        faults.append("memory grows by %.1f KiB a minute" % grown)
    print("%d visits; after the start memory grew by %.1f KiB a minute; at last %d KiB" % (
        sum(client.visits for client in clients), grown, samples[-1][1]))
    print("soak: " + ("; ".join(faults) if faults else "flat, and nothing is left"))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
