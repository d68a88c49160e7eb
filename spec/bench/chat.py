"""Compares scripts/chat.lua with inspircd and ngircd: many clients in one room, one run after the other on the same machine.

    python3 spec/bench/chat.py                       # 1000 clients, 200 lines
    python3 spec/bench/chat.py --clients 10000 --lines 50 --joins 100

It prints for each server what the joins of all clients cost it (each join is told to all who are there), and what
a line costs that one client says and all others hear: processor time of the server, and the time until half of the
clients, 99 of 100 and the last one had it. A server that is not installed is left out. Needs as many open files as
there are clients.
"""

import argparse
import os
import select
import socket
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# How many connect at once. ngircd has a backlog of 10: beyond it a client waits a second for its next attempt. inspircd
# looks once a second who is ready.
AT_ONCE = {"moonwire": 100, "inspircd": 100, "ngircd": 8}
NGIRCD = """[Global]
Name = bench.local
Info = bench
Listen = 127.0.0.1
Ports = {port}
PidFile =
ServerUID = {user}
ServerGID = {user}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxNickLength = 20
MaxPenaltyTime = 0
PingTimeout = 3600
PongTimeout = 3600
[Options]
DNS = no
Ident = no
PAM = no
"""
INSPIRCD = """<config format="xml">
<server name="bench.local" description="bench" network="Bench">
<bind address="127.0.0.1" port="{port}" type="clients">
<connect allow="*" timeout="3600" pingfreq="3600" commandrate="100000000" threshold="100000000" fakelag="no"
 hardsendq="100M" softsendq="100M" recvq="1M" localmax="20000" globalmax="20000" limit="20000" resolvehostnames="no"
 useident="no" useconnectban="no" useconnflood="no" maxchans="20" uniqueusername="no">
<performance softlimit="20000" somaxconn="128" netbuffersize="65534" quietbursts="yes" clonesonconnect="no">
<options prefixquit="" hostintopic="yes">
<limits maxnick="30" maxchan="64">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target="{folder}/inspircd.out">
<pid file="{folder}/inspircd.pid">
<path configdir="{folder}" datadir="{folder}" logdir="{folder}" runtimedir="{folder}">
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_moonwire(port, folder):
    command = [os.environ.get("MOONWIRE", os.path.join(ROOT, "build/moonwire")), "run",
               os.path.join(ROOT, "scripts/chat.lua"), "--listen", f"tcp://127.0.0.1:{port}", "--memory-limit", "0"]
    for setting in ("flood_burst=1000000", "flood_rate=1000000", "ping=3600"):
        command += ["--set", setting]
    return subprocess.Popen(command, stderr=open(os.path.join(folder, "moonwire.log"), "w"))


def start_ngircd(port, folder):
    path = os.path.join(folder, "ngircd.conf")
    with open(path, "w") as file:
        file.write(NGIRCD.format(port=port, user=os.getuid()))
    log = open(os.path.join(folder, "ngircd.log"), "w")
    return subprocess.Popen(["/usr/sbin/ngircd", "--nodaemon", "--config", path], stdout=log, stderr=log)


def start_inspircd(port, folder):
    path = os.path.join(folder, "inspircd.conf")
    with open(path, "w") as file:
        file.write(INSPIRCD.format(port=port, folder=folder))
    log = open(os.path.join(folder, "inspircd.log"), "w")
    return subprocess.Popen(["/usr/sbin/inspircd", "--nofork", "--runasroot", "--config", path], stdout=log, stderr=log)


STARTS = {"moonwire": start_moonwire, "inspircd": start_inspircd, "ngircd": start_ngircd}


def processor_time(process):
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def await_address(port):
    for _ in range(500):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise SystemExit("the server does not listen")


class Crowd:
    """All clients, in one epoll."""

    def __init__(self, port, count, at_once):
        self.epoll = select.epoll()
        self.sockets, self.index = [], {}
        self.tails = [b""] * count
        for i in range(count):
            client = socket.create_connection(("127.0.0.1", port))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setblocking(False)
            self.index[client.fileno()] = i
            self.sockets.append(client)
            self.epoll.register(client, select.EPOLLIN)
            client.send(b"NICK m%d\r\nUSER m%d 0 * :bench\r\n" % (i, i))
            if i % at_once == at_once - 1:
                self.await_all(b" 001 ", range(i - at_once + 1, i + 1))
        self.await_all(b" 001 ", range(count - count % at_once, count))
        self.quiet(0.5)

    def read(self, seconds):
        """What has come, as (client, bytes)."""
        for number, _ in self.epoll.poll(seconds):
            i = self.index[number]
            data = self.sockets[i].recv(1 << 16)
            if not data:
                raise SystemExit(f"client {i} was disconnected: {self.tails[i][-300:]}")
            yield i, data

    def await_all(self, pattern, clients, seconds=600):
        """Waits until the pattern has come to all of the clients: when, for each."""
        missing, times, due = set(clients), [], time.monotonic() + seconds
        keep = len(pattern) - 1
        while missing:
            for i, data in self.read(1):
                text = self.tails[i] + data
                self.tails[i] = text[-keep:]
                if i in missing and pattern in text:
                    missing.discard(i)
                    times.append(time.monotonic())
            if time.monotonic() > due:
                raise SystemExit(f"{len(missing)} clients wait for {pattern}")
        return times

    def quiet(self, seconds):
        """Reads until nothing comes any more."""
        last = time.monotonic()
        while time.monotonic() - last < seconds:
            for i, data in self.read(seconds):
                self.tails[i] = data[-64:]
                last = time.monotonic()


def join(crowd, wave):
    count = len(crowd.sockets)
    for first in range(0, count, wave):
        clients = range(first, min(first + wave, count))
        for i in clients:
            crowd.sockets[i].send(b"JOIN #bench\r\n")
        crowd.await_all(b" 366 ", clients)
    crowd.quiet(0.5)


def speak(crowd, lines):
    """One client says the lines, one after the other; all latencies, and those of the last to hear."""
    latencies, last = [], []
    count = len(crowd.sockets)
    for number in range(lines):
        pattern = b"line %d of the bench" % number
        crowd.tails = [b""] * count
        begun = time.monotonic()
        crowd.sockets[0].send(b"PRIVMSG #bench :" + pattern + b"\r\n")
        times = crowd.await_all(pattern, range(1, count))
        latencies += [at - begun for at in times]
        last.append(times[-1] - begun)
    return latencies, last


def measure(name, options, folder):
    port = free_port()
    process = STARTS[name](port, folder)
    try:
        await_address(port)
        crowd = Crowd(port, options.clients, AT_ONCE[name])
        before = processor_time(process)
        begun = time.monotonic()
        join(crowd, options.joins)
        joined, took = processor_time(process), time.monotonic() - begun
        latencies, last = speak(crowd, options.lines)
        spoken = processor_time(process)
    finally:
        process.terminate()
        process.wait()
    latencies.sort()
    return {
        "joins": joined - before, "took": took, "line": (spoken - joined) / options.lines,
        "p50": latencies[len(latencies) // 2], "p99": latencies[len(latencies) * 99 // 100],
        "last": statistics.median(last),
    }


def report(name, rounds):
    row = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    print(f"{name:10} {row['joins']:12.2f} {row['took']:7.2f} | {row['line'] * 1000:12.3f}"
          f" {row['p50'] * 1000:8.2f} {row['p99'] * 1000:8.2f} {row['last'] * 1000:8.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--joins", type=int, default=1,
                        help="how many join at once; the next wait until they are in")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", default="moonwire,inspircd,ngircd")
    options = parser.parse_args()
    print(f"{options.clients} clients, {options.lines} lines, {options.joins} join at once; medians of {options.rounds} rounds")
    print("server     joins: cpu s  took s | line: cpu ms   p50 ms   p99 ms  last ms", flush=True)
    names = [name for name in options.servers.split(",") if name == "moonwire" or os.path.exists("/usr/sbin/" + name)]
    results = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for number in range(options.rounds):
            for name, rounds in results.items():
                rounds.append(measure(name, options, folder))
                if number == options.rounds - 1:
                    report(name, rounds)


main()
