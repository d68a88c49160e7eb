#!/usr/bin/env python3
"""Visits an echo service without a pause until a file appears, from several threads; then says as JSON how many visits
there were, what the answers were, and what failed.

    visitors.py PORT-OR-PATH FILE [THREADS]

FILE.begun appears with the first answer."""
import collections
import json
import os
import socket
import sys
import threading

place, end = sys.argv[1], sys.argv[2]
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 8
answers, faults = collections.Counter(), collections.Counter()
lock = threading.Lock()


def connect():
    if place.isdigit():
        return socket.create_connection(("127.0.0.1", int(place)), timeout=20)
    conn = socket.socket(socket.AF_UNIX)
    conn.settimeout(20)
    conn.connect(place)
    return conn


def visit():
    with connect() as conn:
        conn.sendall(b"hello\n")
        answer = conn.makefile().readline().strip()
        if not answer:
            raise OSError("closed without an answer")
        return answer


def visit_until_end():
    while not os.path.exists(end):
        try:
            answer = visit()
            with lock:
                if not answers:
                    open(end + ".begun", "w", encoding="ascii").close()
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
