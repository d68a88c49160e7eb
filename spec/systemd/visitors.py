#!/usr/bin/env python3
"""Visits an echo service without a pause until a file appears, from several threads; then says as JSON how many visits
there were, what the answers were, and what failed.

    visitors.py PORT FILE [THREADS]"""
import collections
import json
import os
import socket
import sys
import threading

port, end = int(sys.argv[1]), sys.argv[2]
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 8
answers, faults = collections.Counter(), collections.Counter()
lock = threading.Lock()


def visit():
    with socket.create_connection(("127.0.0.1", port), timeout=20) as conn:
        conn.sendall(b"hello\n")
        return conn.makefile().readline().strip()


def visit_until_end():
    while not os.path.exists(end):
        try:
            answer = visit()
            with lock:
                answers[answer] += 1
        except OSError as error:
            with lock:
                faults[str(error)] += 1


crowd = [threading.Thread(target=visit_until_end) for _ in range(threads)]
for thread in crowd:
    thread.start()
for thread in crowd:
    thread.join()
print(json.dumps({"answers": answers, "faults": faults}))
