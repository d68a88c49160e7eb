#!/usr/bin/env python3
"""Loopback benchmark of Moonwire beside raw C and other servers. README.md is the manual."""
import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no folders of it beside the sources

import jobs_http  # noqa: E402
import jobs_stream  # noqa: E402
import jobs_tls  # noqa: E402
import jobs_websocket  # noqa: E402
from servers import (HERE, LOAD_CPU, ROOT, SERVER_CPU, Failure, cpu_seconds, descriptors, finish, loading,
                     machine_busy_seconds, pss_bytes, serving, wait_until)

FAMILIES = (jobs_stream, jobs_http, jobs_websocket, jobs_tls)
JOBS = {name: job for family in FAMILIES for name, job in family.JOBS.items()}
PEERS = {name: peer for family in FAMILIES for name, peer in family.PEERS.items()}


# Measurements.

def measure_traffic(command, job, args):
    options = dict(job.options, seconds=args.duration, warmup=args.warmup)
    with serving(command, job, args) as (server, port), loading(port, job, options, args) as load:
        began, total = time.monotonic(), machine_busy_seconds()
        ours, theirs = cpu_seconds(server.pid), cpu_seconds(load.pid)
        sample = finish(load)
        ours, theirs = cpu_seconds(server.pid) - ours, cpu_seconds(load.pid) - theirs
        wall, total = time.monotonic() - began, machine_busy_seconds() - total
    if not sample["answers"]:
        raise Failure(f"no answers, {sample['errors']} errors")
    sample.update(cpu_us=ours / sample["answers"] * 1e6, busy=ours / wall,
                  others=max(0, total - ours - theirs) / wall)
    return sample


def wait_quiet(pid):
    """Until a server has used no CPU for a while."""
    def rested():
        before = cpu_seconds(pid)
        time.sleep(0.3)
        return cpu_seconds(pid) - before < 0.0005
    wait_until(rested, 20, "rest of the server")


def measure_memory(command, job, args):
    conns = job.options["conns"]
    with serving(command, job, args) as (server, port):
        wait_quiet(server.pid)
        base, files = pss_bytes(server.pid), descriptors(server.pid)
        with loading(port, job, job.options, args) as load:
            wait_until(lambda: descriptors(server.pid) - files >= conns, 30, f"accepting {conns} connections")
            wait_quiet(server.pid)
            grown = pss_bytes(server.pid) - base
            errors = finish(load)["errors"]
    if errors:
        raise Failure(f"{errors} connections failed")
    return {"rate": grown / conns, "base_mib": base / 2**20, "errors": errors}


def instruction_total(command, job, count, args):
    """User instructions of a server from its start to its end, with `count` answers in between."""
    options = dict(job.options, conns=1, warmup=0, seconds=60, count=count)
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", "--trace-children=yes",
                    f"--callgrind-out-file={folder}/%p"]
        with serving(command, job, args, valgrind, patience=60) as (_, port):
            with loading(port, job, options, args) as load:
                sample = finish(load)
        total = 0
        for entry in os.scandir(folder):
            with open(entry.path, encoding="utf-8", errors="replace") as file:
                total += int((re.search(r"^totals: (\d+)", file.read(), re.M) or ["", 0])[1])
    if sample["answers"] != count or sample["errors"] or not total:
        raise Failure(f"{sample['answers']} of {count} answers, {sample['errors']} errors, total {total}")
    return total


def measure_instructions(command, job, args):
    fewer, more = (instruction_total(command, job, count, args) for count in (2000, 4000))
    return {"rate": (more - fewer) / 2000, "errors": 0}


# Rounds and tables.

def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def against(measure, samples, peer, key):
    """Median of the ratios within each round, which a slow spell of the machine disturbs least."""
    reference = samples.get(measure, {})
    ratios = [row[key] / reference[turn][key] for turn, row in samples[peer].items() if turn in reference]
    return f"{statistics.median(ratios):.3f}" if ratios else "-"


def traffic_row(samples, peer, measure):
    rows = samples[peer].values()

    def middle(key):
        return statistics.median(row[key] for row in rows)

    return [number(middle("rate")), against(measure, samples, peer, "rate"),
            number(middle("p50_us")), number(middle("p99_us")),
            number(middle("cpu_us")), against(measure, samples, peer, "cpu_us"),
            f"{middle('busy'):.0%}", f"{max(row['others'] for row in rows):.0%}",
            str(sum(row["errors"] for row in rows))]


def memory_row(samples, peer, measure):
    (row,) = samples[peer].values()
    return [number(row["rate"]), against(measure, samples, peer, "rate"), f"{row['base_mib']:.1f}"]


def instructions_row(samples, peer, measure):
    (row,) = samples[peer].values()
    return [number(row["rate"]), against(measure, samples, peer, "rate")]


TRAFFIC = (measure_traffic, traffic_row,
           ["rate/s", "ratio", "p50 us", "p99 us", "cpu us/op", "cpu x", "busy", "others", "errors"])
MEMORY = (measure_memory, memory_row, ["bytes/conn", "x", "base MiB"])
INSTRUCTIONS = (measure_instructions, instructions_row, ["instr/op", "x"])


def keep(args, **record):
    if args.json:
        with open(args.json, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def run_job(name, peers, args):
    """Measures all peers in interleaved rounds, prints the table, returns why some failed."""
    job = JOBS[name]
    in_memory = job.mode == "idle"
    measure, _, _ = table = INSTRUCTIONS if args.instructions else MEMORY if in_memory else TRAFFIC
    rounds = 1 if in_memory or args.instructions else args.rounds
    samples, failures, names = {peer: {} for peer in peers}, {}, list(peers)
    for turn in range(rounds):
        first = turn % len(names)
        for peer in names[first:] + names[:first]:
            if peer not in failures:
                try:
                    samples[peer][turn] = measure(peers[peer], job, args)
                    keep(args, job=name, peer=peer, round=turn, **samples[peer][turn])
                except (Failure, OSError) as failure:
                    failures[peer] = str(failure)
    options = dict(job.options, conns=1) if args.instructions else job.options
    print(f"\n{name} ({job.kind} server, {' '.join(f'{key}={value}' for key, value in options.items())})")
    print_table(table, samples, failures, job.measure)
    return failures


def print_table(table, samples, failures, measure):
    _, row, columns = table
    print(f"  {'peer':<12}" + "".join(f"{column:>11}" for column in columns))
    for peer in samples:
        if peer not in failures:
            print(f"  {peer:<12}" + "".join(f"{cell:>11}" for cell in row(samples, peer, measure)))
    for peer, why in failures.items():
        print(f"  {peer:<12} failed: {' '.join(why.split())}")
    sys.stdout.flush()


# Start.

FLAGS = "-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wconversion -Wshadow -Werror"
PROGRAMS = {
    "load": (["load.c", "message.c"], []),
    "load_tls": (["load_tls.c"], ["-lssl", "-lcrypto"]),
    "reference": (["reference.c"], []),
}


def build(folder):
    os.makedirs(folder, exist_ok=True)
    for name, (sources, libraries) in PROGRAMS.items():
        sources, target = [f"{HERE}/{source}" for source in sources], f"{folder}/{name}"
        newest = max(map(os.path.getmtime, [*sources, f"{HERE}/message.h"]))
        if not os.path.exists(target) or os.path.getmtime(target) < newest:
            subprocess.run([os.environ.get("CC", "cc"), *FLAGS.split(), "-o", target, *sources, *libraries], check=True)
    for family in FAMILIES:
        family.prepare(folder)


def is_installed(probe):
    environment = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin", NODE_PATH="/usr/share/nodejs")
    with contextlib.suppress(OSError):
        run = subprocess.run(probe, shell=True, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                             env=environment)
        return run.returncode == 0
    return False


def installed_peers(args):
    """Those that were chosen and are there; for each that is not, a line says so."""
    names = args.peers.split(",") if args.peers else [name for name, peer in PEERS.items() if not peer.on_request]
    found = {}
    for name in names:
        peer = PEERS[name]
        if not peer.probe or is_installed(peer.probe.format(root=ROOT, modules=args.modules)):
            found[name] = peer
        else:
            print(f"left out: {name} ({peer.remedy})")
    return found


def commands_for(job, peers, args):
    chosen = {name: peer.commands[job.kind] for name, peer in peers.items() if job.kind in peer.commands}
    return {**chosen, **dict(args.add)}


def names_in(known):
    def check(text):
        unknown = [name for name in text.split(",") if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return text
    return check


def named_command(text):
    name, equals, command = text.partition("=")
    if not name or not equals or not command.split():
        raise argparse.ArgumentTypeError("write NAME=COMMAND")
    return name, command


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", type=names_in(JOBS), help=f"comma list, default all: {', '.join(JOBS)}")
    parser.add_argument("--peers", type=names_in(PEERS), help=f"comma list of {', '.join(PEERS)}")
    parser.add_argument("--add", action="append", default=[], type=named_command, metavar="NAME=COMMAND",
                        help="one more server, as another build; {port} {kind} {here} {root} are replaced")
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--duration", type=float, help="seconds measured in each round, default 0.7")
    parser.add_argument("--warmup", type=float, default=0.2, help="seconds of load before, default 0.2")
    parser.add_argument("--quick", action="store_true", help="1 round of 0.3 s: a look, not a measurement")
    parser.add_argument("--nice", type=int, default=0, help="niceness of server and load (below 0: root)")
    parser.add_argument("--json", metavar="FILE", help="append every sample to FILE, one JSON object a line")
    parser.add_argument("--instructions", action="store_true",
                        help="count user instructions of an operation with valgrind")
    parser.add_argument("--modules", default="", metavar="DIR",
                        help="where libnginx-mod-http-lua is unpacked: README.md")
    parser.add_argument("--build", default=f"{ROOT}/build/bench", help="folder of what is built")
    args = parser.parse_args()
    args.job = args.job or ("echo64,line64,http64" if args.instructions else ",".join(JOBS))
    args.peers = args.peers or ("reference,moonwire" if args.instructions else None)
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.duration = args.duration or (0.3 if args.quick else 0.7)
    if args.instructions and any(JOBS[job].mode != "echo" for job in args.job.split(",")):
        parser.error("--instructions works for jobs whose connections stay and are used")
    if args.instructions and not shutil.which("valgrind"):
        parser.error("--instructions needs valgrind")
    return args


def main():
    args = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended on the way out
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {LOAD_CPU})
    build(args.build)
    peers = installed_peers(args)
    if SERVER_CPU == LOAD_CPU:
        print("one CPU only: server and load share it, and ratios mean little")
    elif not args.instructions:
        print(f"server on CPU {SERVER_CPU}, load on CPU {LOAD_CPU}, {args.rounds} x {args.duration:g} s")
    if not peers and not args.add:
        sys.exit("nothing to measure")
    failed = False
    for name in args.job.split(","):
        commands = commands_for(JOBS[name], peers, args)
        failed = bool(commands and run_job(name, commands, args)) or failed
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
