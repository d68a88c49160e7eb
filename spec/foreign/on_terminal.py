"""Runs a program on a terminal of its own: what comes on standard input is typed there, what it shows goes to
standard output. Ends with standard input.

    python3 on_terminal.py irssi --home folder
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios

ROWS, COLUMNS = 30, 100


def pass_on(terminal):
    while True:
        for ready in select.select([terminal, 0], [], [])[0]:
            try:
                data = os.read(ready, 65536)
            except OSError:  # the program has closed its terminal
                return
            if not data:
                return
            target = 1 if ready == terminal else terminal
            while data:
                data = data[os.write(target, data):]


def main():
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(sys.argv[1], sys.argv[1:])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    pass_on(terminal)
    os.kill(child, signal.SIGHUP)
    os.waitpid(child, 0)


main()
