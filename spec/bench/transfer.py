"""Sends a large file to scripts/files.lua and fetches it again with curl, and prints what the server's memory
was before, after and at its peak.

    python3 spec/bench/transfer.py --gigabytes 10

It needs that much room in the temporary folder, for a while.
"""
import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        text = status.read()
    return {name: int(re.search(rf"{name}:\s*(\d+) kB", text)[1]) / 1024 for name in ("VmRSS", "VmHWM")}


def wait_for(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("the server does not listen")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def transfer(name, size, pid, *command):
    begun = time.monotonic()
    status = subprocess.run(["curl", "-sS", "-f", "-u", "bob:SECRET", *command], check=False).returncode
    seconds = time.monotonic() - begun
    if status:
        sys.exit(f"{name}: curl ended with {status}")
    now = memory(pid)
    print(f"{name:10} {seconds:8.1f} s {size / seconds / MIB:8.0f} MiB/s   "
          f"RSS {now['VmRSS']:6.1f} MiB, peak {now['VmHWM']:6.1f} MiB", flush=True)


def run(options, folder):
    size, port = int(options.gigabytes * (1 << 30)), free_port()
    source = os.path.join(folder, "source")
    os.mkdir(os.path.join(folder, "root"))
    with open(source, "wb") as sparse:
        sparse.truncate(size)
    server = subprocess.Popen([
        options.binary, "run", "scripts/files.lua", "--listen", f"tcp://127.0.0.1:{port}", "--log-file", "/dev/null",
        "--set", f"root={folder}/root", "--set", "users.bob=SECRET", "--set", "sync=false"])
    try:
        wait_for(port)
        url = f"http://127.0.0.1:{port}/large"
        print(f"{options.gigabytes:g} GiB; before: RSS {memory(server.pid)['VmRSS']:.1f} MiB", flush=True)
        transfer("PUT", size, server.pid, "-T", source, url)
        transfer("GET", size, server.pid, "-o", "/dev/null", url)
        if os.path.getsize(f"{folder}/root/large") != size:
            sys.exit("the file has another size")
    finally:
        server.terminate()
        server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--binary", default="build/moonwire")
    parser.add_argument("--gigabytes", type=float, default=10)
    with tempfile.TemporaryDirectory() as folder:
        run(parser.parse_args(), folder)


if __name__ == "__main__":
    main()
