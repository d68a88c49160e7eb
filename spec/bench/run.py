#!/usr/bin/env python3
"""Loopback benchmark of Moonwire beside raw C and other scripted servers. README.md is the manual."""
import argparse
import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
REFERENCE = "reference"
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[-1]

# peer -> (command, a command that succeeds when what the peer needs is installed, what to say when it is not)
PEERS = {
    REFERENCE: ("{build}/reference {kind} {port}", None, None),
    "moonwire": ("{root}/build/moonwire run {here}/{kind}.lua --listen tcp://127.0.0.1:{port}",
                 "{root}/build/moonwire --version", "build/moonwire is missing: run make"),
    "luv": ("luajit {here}/peers/luv.lua {kind} {port}", "luajit -v -lluv", "needs luajit, lua-luv"),
    "cqueues": ("luajit {here}/peers/cqueues.lua {kind} {port}", "luajit -v -lcqueues",
                "needs luajit, lua-cqueues"),
    "node": ("node {here}/peers/node.js {kind} {port}", "node --version", "needs nodejs"),
    "haproxy": ("haproxy -db -f {here}/peers/haproxy.cfg", "haproxy -v", "needs haproxy"),
    "luv54": ("lua5.4 {here}/peers/luv.lua {kind} {port}", "lua5.4 -v -lluv", "needs lua5.4, lua-luv"),
    "cqueues54": ("lua5.4 {here}/peers/cqueues.lua {kind} {port}", "lua5.4 -v -lcqueues",
                  "needs lua5.4, lua-cqueues"),
}
DEFAULT_PEERS = "reference,moonwire,luv,cqueues,node,haproxy"

# job -> (what the server does, mode of the load, its options)
JOBS = {
    "echo64": ("echo", "echo", {"conns": 64, "size": 64}),
    "echo1000": ("echo", "echo", {"conns": 1000, "size": 64}),
    "echo16k": ("echo", "echo", {"conns": 64, "size": 16384}),
    "echopipe": ("echo", "echo", {"conns": 64, "size": 64, "depth": 16}),
    "line64": ("line", "echo", {"conns": 64, "size": 64, "line": 1}),
    "linepipe": ("line", "echo", {"conns": 64, "size": 64, "line": 1, "depth": 16}),
    "churn": ("echo", "churn", {"conns": 64, "size": 64}),
    "idle": ("echo", "idle", {"conns": 10000, "size": 64}),
    "idletouch": ("echo", "idle", {"conns": 10000, "size": 64, "touch": 1}),
}


class Failure(Exception):
    """A peer could not be measured; the text says why."""


def first_line(path):
    with open(path, encoding="utf-8") as file:
        return file.readline()


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.02)


# Processes. Both sides run in sessions of their own, so that a niceness holds under autogroups as well.

def start(argv, cpu, args, **options):
    def settle():
        os.sched_setaffinity(0, {cpu})
        if args.nice:
            os.nice(args.nice)
            with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as file:
                file.write(str(args.nice))

    return subprocess.Popen(argv, start_new_session=True, preexec_fn=settle, **options)


def end_process(process, patience):
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its group: whatever it left behind
    process.wait()


def family(pid):
    """A process and all its descendants."""
    yield pid
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in first_line(f"/proc/{pid}/task/{task}/children").split():
                yield from family(int(child))


def cpu_seconds(pid):
    """CPU time used by all threads of a family, by the scheduler's clock (ns)."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{member}/task"):
                total += int(first_line(f"/proc/{member}/task/{task}/schedstat").split()[0])
    return total / 1e9


def pss_bytes(pid):
    """Resident memory of a family; a page shared by n processes counts as 1/n."""
    total = 0
    for member in family(pid):
        with open(f"/proc/{member}/smaps_rollup", encoding="ascii") as file:
            total += int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1)) * 1024
    return total


def descriptors(pid):
    return sum(len(os.listdir(f"/proc/{member}/fd")) for member in family(pid))


def machine_busy_seconds():
    """CPU time used by everybody on the two CPUs of the benchmark."""
    total = 0
    with open("/proc/stat", encoding="ascii") as file:
        for fields in map(str.split, file):
            if fields[0] in {f"cpu{SERVER_CPU}", f"cpu{LOAD_CPU}"}:
                user, nice, system, _idle, _wait, interrupt, soft, steal = map(int, fields[1:9])
                total += user + nice + system + interrupt + soft + steal
    return total / os.sysconf("SC_CLK_TCK")


# Servers.

def free_port():
    """A port below the ephemeral range, so that no connection of the load takes it."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


def is_answering(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def check_alive(process):
    if process.poll() is not None:
        raise Failure(f"the server ended by itself, with {process.returncode}")


@contextlib.contextmanager
def serving(command, job, args, wrapper=(), patience=10):
    """Starts a server, yields (process, port) once it accepts connections, and ends it."""
    kind, _, options = JOBS[job]
    port = free_port()
    argv = command.format(kind=kind, port=port, here=HERE, root=ROOT, build=args.build).split()
    environment = dict(os.environ, JOB=kind, PORT=str(port), SIZE=str(options["size"]))
    with tempfile.TemporaryFile() as log:
        process = start([*wrapper, *argv], SERVER_CPU, args, env=environment, stdin=subprocess.DEVNULL,
                        stdout=log, stderr=log)
        try:
            wait_until(lambda: process.poll() is not None or is_answering(port), patience, "server start")
            check_alive(process)
            yield process, port
            check_alive(process)
        except (Failure, OSError) as failure:
            log.seek(0)
            raise Failure(f"{failure} {log.read()[-500:].decode(errors='replace')}") from None
        finally:
            end_process(process, patience)


@contextlib.contextmanager
def loading(port, mode, options, args):
    """Starts the load, yields it when it has warmed up and waits for the word to go on."""
    argv = [f"{args.build}/load", mode, f"port={port}", *(f"{key}={value}" for key, value in options.items())]
    process = start(argv, LOAD_CPU, args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            raise Failure("the load did not start")
        yield process
    finally:
        end_process(process, 1)
        process.stdin.close()
        process.stdout.close()


def finish(load):
    """Lets the load do its measured phase and returns its report."""
    load.stdin.write("\n")
    load.stdin.flush()
    report = load.stdout.readline()
    if not report:
        raise Failure("the load ended without a report")
    return json.loads(report)


# Measurements.

def measure_traffic(command, job, args):
    _, mode, options = JOBS[job]
    options = dict(options, seconds=args.duration, warmup=args.warmup)
    with serving(command, job, args) as (server, port), loading(port, mode, options, args) as load:
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
    _, mode, options = JOBS[job]
    conns = options["conns"]
    with serving(command, job, args) as (server, port):
        wait_quiet(server.pid)
        base, files = pss_bytes(server.pid), descriptors(server.pid)
        with loading(port, mode, options, args) as load:
            wait_until(lambda: descriptors(server.pid) - files >= conns, 30, f"accepting {conns} connections")
            wait_quiet(server.pid)
            grown = pss_bytes(server.pid) - base
            errors = finish(load)["errors"]
    if errors:
        raise Failure(f"{errors} connections failed")
    return {"rate": grown / conns, "base_mib": base / 2**20, "errors": errors}


def instruction_total(command, job, count, args):
    """User instructions of a server from its start to its end, with `count` answers in between."""
    _, mode, options = JOBS[job]
    options = dict(options, conns=1, warmup=0, seconds=60, count=count)
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", "--trace-children=yes",
                    f"--callgrind-out-file={folder}/%p"]
        with serving(command, job, args, valgrind, patience=60) as (_, port):
            with loading(port, mode, options, args) as load:
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


def against_reference(samples, peer, key):
    """Median of the ratios within each round, which a slow spell of the machine disturbs least."""
    reference = samples.get(REFERENCE, {})
    ratios = [row[key] / reference[turn][key] for turn, row in samples[peer].items() if turn in reference]
    return f"{statistics.median(ratios):.3f}" if ratios else "-"


def traffic_row(samples, peer):
    rows = samples[peer].values()

    def middle(key):
        return statistics.median(row[key] for row in rows)

    return [number(middle("rate")), against_reference(samples, peer, "rate"),
            number(middle("p50_us")), number(middle("p99_us")),
            number(middle("cpu_us")), against_reference(samples, peer, "cpu_us"),
            f"{middle('busy'):.0%}", f"{max(row['others'] for row in rows):.0%}",
            str(sum(row["errors"] for row in rows))]


def memory_row(samples, peer):
    (row,) = samples[peer].values()
    return [number(row["rate"]), f"{row['base_mib']:.1f}"]


def instructions_row(samples, peer):
    (row,) = samples[peer].values()
    return [number(row["rate"]), against_reference(samples, peer, "rate")]


TRAFFIC = (measure_traffic, traffic_row,
           ["rate/s", "ratio", "p50 us", "p99 us", "cpu us/op", "cpu x", "busy", "others", "errors"])
MEMORY = (measure_memory, memory_row, ["bytes/conn", "base MiB"])
INSTRUCTIONS = (measure_instructions, instructions_row, ["instr/op", "x"])


def keep(args, **record):
    if args.json:
        with open(args.json, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def run_job(job, peers, args):
    """Measures all peers in interleaved rounds, prints the table, returns the names of those that failed."""
    in_memory = JOBS[job][1] == "idle"
    measure, row, columns = INSTRUCTIONS if args.instructions else MEMORY if in_memory else TRAFFIC
    rounds = 1 if in_memory or args.instructions else args.rounds
    samples, failures, names = {name: {} for name in peers}, {}, list(peers)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            if name not in failures:
                try:
                    samples[name][turn] = measure(peers[name], job, args)
                    keep(args, job=job, peer=name, round=turn, **samples[name][turn])
                except (Failure, OSError) as failure:
                    failures[name] = str(failure)
    kind, _, options = JOBS[job]
    options = dict(options, conns=1) if args.instructions else options
    print(f"\n{job} ({kind} server, {' '.join(f'{key}={value}' for key, value in options.items())})")
    print(f"  {'peer':<12}" + "".join(f"{column:>11}" for column in columns))
    for name in names:
        if name not in failures:
            print(f"  {name:<12}" + "".join(f"{cell:>11}" for cell in row(samples, name)))
    for name, why in failures.items():
        print(f"  {name:<12} failed: {' '.join(why.split())}")
    sys.stdout.flush()
    return failures


# Start.

def build(folder):
    os.makedirs(folder, exist_ok=True)
    for name in ("load", "reference"):
        source, target = f"{HERE}/{name}.c", f"{folder}/{name}"
        if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
            flags = "-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wconversion -Wshadow -Werror"
            subprocess.run([os.environ.get("CC", "cc"), *flags.split(), "-o", target, source], check=True)


def is_installed(probe):
    with contextlib.suppress(OSError):
        run = subprocess.run(probe.split(), stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return run.returncode == 0
    return False


def choose_peers(args):
    chosen = {}
    for name in args.peers.split(","):
        command, probe, remedy = PEERS[name]
        if probe and not is_installed(probe.format(root=ROOT)):
            print(f"left out: {name} ({remedy})")
        else:
            chosen[name] = command
    chosen.update(args.add)
    return chosen


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
                        help="count user instructions of an operation with valgrind (jobs echo64 and line64)")
    parser.add_argument("--build", default=f"{ROOT}/build/bench", help="folder of load and reference")
    args = parser.parse_args()
    args.job = args.job or ("echo64,line64" if args.instructions else ",".join(JOBS))
    args.peers = args.peers or ("reference,moonwire" if args.instructions else DEFAULT_PEERS)
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.duration = args.duration or (0.3 if args.quick else 0.7)
    if args.instructions and any(JOBS[job][1] != "echo" for job in args.job.split(",")):
        parser.error("--instructions works for the echo and line jobs")
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
    peers = choose_peers(args)
    if SERVER_CPU == LOAD_CPU:
        print("one CPU only: server and load share it, and ratios mean little")
    elif not args.instructions:
        print(f"server on CPU {SERVER_CPU}, load on CPU {LOAD_CPU}, {args.rounds} x {args.duration:g} s")
    if not peers:
        sys.exit("nothing to measure")
    failures = [run_job(job, peers, args) for job in args.job.split(",")]
    sys.exit(1 if any(failures) else 0)


if __name__ == "__main__":
    main()
