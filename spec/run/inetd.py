"""Takes one connection, or one of each address, as inetd does, and starts a program for it.

    python3 inetd.py HOW ADDRESS PROGRAM [ARGUMENT...]

HOW: "inetd", the connection is standard input, output and error; "two", input and output; "systemd", descriptor 3 and
nothing else; "socket", systemd with StandardInput=socket; "listening", not the connection but the listening socket.
Prints the address, and then what the program has ended with."""
import os
import socket
import sys

how, address, program = sys.argv[1], sys.argv[2], sys.argv[3:]
if address == "v6":
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    print("tcp://[::1]:%d" % listener.getsockname()[1], flush=True)
else:
    listener = socket.create_server(("127.0.0.1", 0))
    print("tcp://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
conn = listener if how == "listening" else listener.accept()[0]
child = os.fork()
if child == 0:
    null = os.open("/dev/null", os.O_RDWR)
    at = os.dup(conn.fileno())
    places = {"inetd": (0, 1, 2), "two": (0, 1), "listening": (0, 1), "systemd": (), "socket": (0, 1)}[how]
    for fd in (0, 1):
        os.dup2(null, fd)
    for fd in places:
        os.dup2(at, fd)
    if how in ("systemd", "socket"):
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="connection")
        os.dup2(at, 3)
    os.closerange(4, 1024)
    if how not in ("systemd", "socket"):
        os.close(3)
    os.execv(program[0], program)
conn.close()
listener.close()
print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
