#!/usr/bin/env python3
"""What a script that never returns costs its neighbours: the echo of 64 connections, alone and beside it.

    python3 spec/bench/beside.py [--binary build/moonwire] [--load build/bench/load] [--rounds 5]

Prints for each round the rate and p99 of 64 connections, first alone, then while the handler of another one
loops for ever inside a pcall. A fair share for those 64 is 64 of 65 parts of what they have alone.
"""
import argparse
import json
import socket
import statistics
import subprocess
import tempfile
import time

SCRIPT = """
return function(conn)
  for data in conn:chunks() do
    if data == "loop" then
      conn:write "loops"
      conn:flush()
      while true do pcall(function() while true do end end) end
    end
    conn:write(data)
  end
end
"""
SECONDS = 1.5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(binary, script, port):
    server = subprocess.Popen(["taskset", "-c", "0", binary, "run", script, "--listen", f"tcp://127.0.0.1:{port}",
                               "--cpu-limit", "600"], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server
        except OSError:
            time.sleep(0.01)
    server.kill()
    raise SystemExit("the server does not listen")


def measure(load, port):
    command = ["taskset", "-c", "1", load, "echo", f"port={port}", "conns=64", "size=64", f"seconds={SECONDS}",
               "warmup=0.3"]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    run.stdout.readline()  # "ready"
    output, _ = run.communicate("\n", timeout=30)
    return json.loads(output.splitlines()[-1])


def measure_round(arguments, script):
    port = free_port()
    server = start(arguments.binary, script, port)
    try:
        alone = measure(arguments.load, port)
        with socket.create_connection(("127.0.0.1", port)) as looping:
            looping.sendall(b"loop")
            looping.recv(5)
            return alone, measure(arguments.load, port)
    finally:
        server.kill()
        server.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default="build/moonwire")
    parser.add_argument("--load", default="build/bench/load")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    shares = []
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT)
        script.flush()
        for _ in range(arguments.rounds):
            alone, beside = measure_round(arguments, script.name)
            shares.append(beside["rate"] / alone["rate"] * 65 / 64)
            print(f"alone {alone['rate']:8.0f}/s p99 {alone['p99_us'] / 1000:5.1f} ms   "
                  f"beside {beside['rate']:8.0f}/s p99 {beside['p99_us'] / 1000:5.1f} ms   "
                  f"{shares[-1]:.2f} of a fair share", flush=True)
    print(f"median: {statistics.median(shares):.2f} of a fair share")


main()
