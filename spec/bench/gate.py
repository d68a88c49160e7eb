#!/usr/bin/env python3
"""What scripts/gate.lua costs beside HAProxy with the same lists, limit and rate, in front of the same server.

    python3 spec/bench/gate.py [--binary build/moonwire] [--build build/bench] [--rounds 5] [--seconds 2]

Takes turns in rounds, the gate with a list of 10,000 networks, places and a rate for each client. Prints the medians
and the median of the ratios inside each round: connections a second (`churn`), small messages (`echo`), bulk (`bulk`),
and the same with rules that look at the first 4 KiB (`gate+rules`). Without logs on either side. Run `make bench` or
`python3 spec/bench/run.py --quick --job echo64` before: it builds the load and the server.
"""
import argparse
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time

GATE_CPU, LOAD_CPU = 0, 1

JOBS = {
    "churn": ["churn", "conns=64", "size=64"],
    "echo": ["echo", "conns=64", "size=64"],
    "bulk": ["echo", "conns=8", "size=262144", "depth=4"],
}

HAPROXY = """
global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend gate
  bind 127.0.0.1:{port} backlog 4096
  stick-table type ip size 100k expire 30s store conn_rate(10s),conn_cur
  acl denied src -f {folder}/deny
  tcp-request connection reject if denied
  tcp-request connection track-sc0 src
  tcp-request connection reject if {{ sc0_conn_rate gt 10000000 }}
  tcp-request connection reject if {{ sc0_conn_cur gt 1000 }}
  default_backend behind
backend behind
  server one 127.0.0.1:{behind}
"""

RULES = ["--set", "rules.1.name=one", "--set", "rules.1.bytes=${jndi:", "--set", "rules.2.name=two",
         "--set", r"rules.2.pcre=(?i)union\s+select", "--set", "rules.2.direction=both"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(argv, port, cpu):
    process = subprocess.Popen(["taskset", "-c", str(cpu), *argv], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process
        except OSError:
            time.sleep(0.01)
    process.kill()
    raise SystemExit(f"does not listen: {argv[0]}")


def stop(process):
    process.kill()
    process.wait()


def gate_argv(args, folder, port, behind, more):
    return [args.binary, "run", "scripts/gate.lua", "--listen", f"tcp://127.0.0.1:{port}", "--log-level", "warn",
            "--set", f"upstream=tcp://127.0.0.1:{behind}", "--set", f"deny_file={folder}/deny",
            "--set", "connections=1000", "--set", "rate=1000000", "--set", "burst=1000000", *more]


def haproxy_argv(folder, port, behind):
    with open(f"{folder}/haproxy.cfg", "w", encoding="utf-8") as config:
        config.write(HAPROXY.format(port=port, folder=folder, behind=behind))
    return ["haproxy", "-db", "-f", config.name]


def cpu_seconds(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def load(args, job, port, pid):
    argv = ["taskset", "-c", str(LOAD_CPU), f"{args.build}/load", *JOBS[job], f"port={port}",
            f"seconds={args.seconds}", "warmup=0.5"]
    run = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    run.stdout.readline()  # "ready"
    before = cpu_seconds(pid)
    run.stdin.write("\n")
    run.stdin.flush()
    report = json.loads(run.stdout.readline())
    report["cpu"] = (cpu_seconds(pid) - before) / max(1, report["answers"])
    run.communicate("\n", timeout=30)
    return report


def measure(args, peer, job, folder):
    port, behind = free_port(), free_port()
    server = start([f"{args.build}/reference", "echo", str(behind)], behind, LOAD_CPU)
    argv = {"haproxy": lambda: haproxy_argv(folder, port, behind),
            "gate": lambda: gate_argv(args, folder, port, behind, []),
            "gate+rules": lambda: gate_argv(args, folder, port, behind, RULES)}[peer]()
    proxy = start(argv, port, GATE_CPU)
    try:
        return load(args, job, port, proxy.pid)
    finally:
        stop(proxy)
        stop(server)


def show(job, samples):
    for peer, rows in samples.items():
        ratios = [row["rate"] / measured["rate"] for row, measured in zip(rows, samples["haproxy"])]
        costs = [row["cpu"] / measured["cpu"] for row, measured in zip(rows, samples["haproxy"])]
        errors = sum(row.get("errors", 0) for row in rows)
        print(f"{job:6} {peer:11} {statistics.median(row['rate'] for row in rows):12.0f} /s"
              f" {statistics.median(row['cpu'] for row in rows) * 1e6:9.1f} us cpu   ratio"
              f" {statistics.median(ratios):5.2f}   cpu x {statistics.median(costs):5.2f}   errors {errors}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default="build/moonwire")
    parser.add_argument("--build", default="build/bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--job", default=",".join(JOBS))
    args = parser.parse_args()
    peers = ["haproxy", "gate", "gate+rules"]
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/deny", "w", encoding="ascii") as deny:
            deny.writelines(f"10.{i // 256 % 256}.{i % 256}.0/24\n" for i in range(10000))
        for job in args.job.split(","):
            samples = {peer: [] for peer in peers}
            for turn in range(args.rounds):
                for peer in peers[turn % 3:] + peers[:turn % 3]:
                    samples[peer].append(measure(args, peer, job, folder))
            show(job, samples)


if __name__ == "__main__":
    main()
