"""Servers and loads as processes: started on their CPUs, watched, ended. Part of run.py."""
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[-1]


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


def render(command, folder, values):
    """The words of a command. {file:NAME} becomes a file in `folder`: peers/NAME with its {words} filled in."""
    def fill(text):
        return re.sub(r"\{([a-z]+)\}", lambda word: str(values.get(word[1], word[0])), text)

    def write(reference):
        target = f"{folder}/{reference[1]}"
        with open(f"{HERE}/peers/{reference[1]}", encoding="utf-8") as source:
            text = fill(source.read())
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
        return target

    return fill(re.sub(r"\{file:([\w.]+)\}", write, command)).split()


@contextlib.contextmanager
def running(argv, port, cpu, args, environment, patience):
    """Starts a server, yields its process once it accepts connections, and ends it."""
    with tempfile.TemporaryFile() as log:
        process = start(argv, cpu, args, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(lambda: process.poll() is not None or is_answering(port), patience, "server start")
            check_alive(process)
            yield process
            check_alive(process)
        except (Failure, OSError) as failure:
            log.seek(0)
            raise Failure(f"{failure} {log.read()[-500:].decode(errors='replace')}") from None
        finally:
            end_process(process, patience)


@contextlib.contextmanager
def serving(command, job, args, wrapper=(), patience=10):
    """Starts the server of a job, with the backend it wants on the CPU of the load, and yields (process, port)."""
    port, backend = free_port(), free_port()
    environment = dict(os.environ, JOB=job.kind, PORT=str(port), SIZE=str(job.options.get("size", 64)),
                       PATH=os.environ["PATH"] + ":/usr/sbin", NODE_PATH="/usr/share/nodejs",
                       LD_LIBRARY_PATH=f"{args.modules}/usr/lib/x86_64-linux-gnu")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        argv = render(command, folder, {
            "kind": job.kind, "port": port, "here": HERE, "root": ROOT, "build": args.build, "folder": folder,
            "backend": backend, "modules": args.modules,
        })
        if job.backend:
            behind = [f"{args.build}/reference", job.backend, str(backend)]
            stack.enter_context(running(behind, backend, LOAD_CPU, args, environment, patience))
        process = stack.enter_context(running([*wrapper, *argv], port, SERVER_CPU, args, environment, patience))
        yield process, port


@contextlib.contextmanager
def loading(port, job, options, args):
    """Starts the load, yields it when it has warmed up and waits for the word to go on."""
    argv = [f"{args.build}/{job.load}", job.mode, f"port={port}", *(f"{key}={value}" for key, value in options.items())]
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
