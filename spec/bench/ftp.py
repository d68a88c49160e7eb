#!/usr/bin/env python3
"""The same cases against scripts/ftp.lua and vsftpd, as a table in Markdown.

    python3 spec/bench/ftp.py [--only PART] [--megabytes 512]

Servers are started on ports of loopback, each with a folder of its own. vsftpd runs with anonymous write access, one
process a connection, as whoever starts this: without a jail, which is not compared. "yes" is what RFC 959, 1123, 2577 or 3659 want."""
import argparse
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CASES = []
SECONDS = 20

VSFTPD = """listen=YES
background=NO
listen_address=127.0.0.1
listen_port=%d
run_as_launching_user=YES
async_abor_enable=YES
anonymous_enable=YES
no_anon_password=YES
anon_root=%s
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
write_enable=YES
allow_writeable_chroot=YES
anon_world_readable_only=NO
anon_umask=022
seccomp_sandbox=NO
max_per_ip=0
"""


class Failure(Exception):
    pass


def case(title):
    def note(function):
        CASES.append((title, function))
        return function
    return note


# --- servers ---

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def moonwire(port, root, _):
    return [os.environ.get("MOONWIRE", os.path.join(ROOT, "build/moonwire")), "run", os.path.join(ROOT, "scripts/ftp.lua"),
            "--listen", "tcp://127.0.0.1:%d" % port, "--set", "root=" + root, "--set", "users.ftp=SECRET", "--set",
            "sessions_per_user=100", "--log-level", "error"]


def vsftpd(port, root, here):
    config = os.path.join(here, "vsftpd.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(VSFTPD % (port, root))
    return ["vsftpd", config]


SERVERS = {"moonwire": moonwire, "vsftpd": vsftpd}


class Server:
    """A server with its folder."""

    def __init__(self, name):
        self.here = tempfile.mkdtemp(prefix="ftp-bench-")
        self.root = os.path.join(self.here, "root")
        os.mkdir(self.root)
        self.port = free_port()
        self.process = subprocess.Popen(SERVERS[name](self.port, self.root, self.here), stdin=subprocess.DEVNULL,
                                        start_new_session=True)

    def __enter__(self):
        due = time.monotonic() + SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if time.monotonic() > due or self.process.poll() is not None:
                    self.__exit__()
                    raise
                time.sleep(0.05)

    def __exit__(self, *_):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        self.process.wait()
        shutil.rmtree(self.here, ignore_errors=True)

    def path(self, name):
        return os.path.join(os.fsencode(self.root), os.fsencode(name))

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        os.chmod(self.path(name), 0o666)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def pids(self):
        """Of it and all that it has started."""
        parents = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, IndexError):
                with open("/proc/%s/stat" % pid, encoding="latin-1") as file:
                    parents[pid] = file.read().rpartition(")")[2].split()[1]
        found = {str(self.process.pid)}
        while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
            found |= more
        return found

    def memory(self):
        """KiB that are its own, of all its processes."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                with open("/proc/%s/smaps_rollup" % pid, encoding="ascii") as file:
                    total += int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1))
        return total

    def cpu(self):
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                with open("/proc/%s/stat" % pid, encoding="latin-1") as file:
                    words = file.read().rpartition(")")[2].split()
                    total += sum(int(word) for word in words[11:15])
        return total / os.sysconf("SC_CLK_TCK")


# --- a client ---

class Client:
    """Says lines, reads replies."""

    def __init__(self, server):
        self.conn = socket.create_connection(("127.0.0.1", server.port), SECONDS)
        self.file = self.conn.makefile("rb")
        self.reply()
        if not self.say(b"USER ftp").startswith(b"230"):
            self.expect(b"230", b"PASS SECRET")
        self.expect(b"200", b"TYPE I")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.conn.close()

    def reply(self):
        line = self.file.readline()
        code = line[:3]
        text = line
        while line[3:4] == b"-" or (line and not line.startswith(code + b" ")):
            line = self.file.readline()
            text += line
        return text.rstrip(b"\r\n")

    def say(self, text):
        self.conn.sendall(text + b"\r\n")
        return self.reply()

    def expect(self, code, text):
        answer = self.say(text)
        if not answer.startswith(code):
            raise Failure("%s: %s" % (text.decode(errors="replace"), answer.decode(errors="replace")))
        return answer

    def data(self, source=None):
        port = int(re.search(rb"\|\|\|(\d+)\|", self.expect(b"229", b"EPSV")).group(1))
        return socket.create_connection(("127.0.0.1", port), SECONDS, source and (source, 0))

    def get(self, command):
        with self.data() as data:
            self.expect(b"150", command)
            found = b""
            while True:
                piece = data.recv(1 << 18)
                if not piece:
                    break
                found += piece
        if not self.reply().startswith(b"226"):
            raise Failure("no 226 behind " + command.decode(errors="replace"))
        return found

    def put(self, command, content):
        with self.data() as data:
            self.expect(b"150", command)
            data.sendall(content)
        return self.reply()


def yes(is_so, otherwise="no"):
    return "yes" if is_so else otherwise


TEXT = bytes(i * 7 % 251 for i in range(1000000))


# --- beginning in the middle, ending there ---

@case("REST and RETR give the rest")
def rest_retr(server, client):
    server.write("x", TEXT)
    client.expect(b"350", b"REST 777777")
    return yes(client.get(b"RETR x") == TEXT[777777:] and client.get(b"RETR x") == TEXT)


@case("REST and STOR write from there on, and keep what was before")
def rest_stor(server, client):
    server.write("x", TEXT[:500000])
    client.expect(b"350", b"REST 400000")
    client.put(b"STOR x", TEXT[400000:])
    return yes(server.read("x") == TEXT)


@case("REST past the end of the file: RETR gives nothing, or refuses")
def rest_beyond(server, client):
    server.write("x", b"short")
    client.expect(b"350", b"REST 1000")
    try:
        return yes(client.get(b"RETR x") == b"")
    except Failure as failure:
        return yes(re.search(r": 55\d", str(failure)), str(failure))


@case("REST of more than 63 bits is refused")
def rest_huge(_, client):
    answers = [client.say(b"REST " + number) for number in (b"99999999999999999999", b"-1", b"x", b"")]
    return yes(all(answer[:1] == b"5" for answer in answers), " ".join(answer[:3].decode() for answer in answers))


@case("APPE appends")
def appe(server, client):
    server.write("x", b"one ")
    client.put(b"APPE x", b"two")
    return yes(server.read("x") == b"one two")


def abort_with(server, client, urgent):
    server.write("big", TEXT * 30)
    with client.data() as data:
        client.expect(b"150", b"RETR big")
        data.recv(10)
        if urgent:
            client.conn.sendall(b"\xff\xf4")
            client.conn.send(b"\xff", socket.MSG_OOB)
            client.conn.sendall(b"\xf2")
        client.conn.sendall(b"ABOR\r\n")
        first = client.reply()
        second = client.reply() if first[:3] in (b"426", b"451") else b""
    codes = (first[:3] + b" " + second[:3]).decode().strip()
    return yes(codes == "426 226" and client.say(b"NOOP").startswith(b"200"), codes)


@case("ABOR ends a transfer with 426 and 226, and the session goes on")
def abor(server, client):
    return abort_with(server, client, False)


@case("ABOR behind Telnet's Synch, with urgent data, too")
def abor_urgent(server, client):
    return abort_with(server, client, True)


@case("ABOR without a transfer is 226 or 225")
def abor_idle(_, client):
    answer = client.say(b"ABOR")
    return yes(answer[:3] in (b"225", b"226"), answer[:3].decode())


@case("An upload whose client is reset is not reported as whole")
def upload_reset(_, client):
    with client.data() as data:
        client.expect(b"150", b"STOR x")
        data.sendall(b"part")
        data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    answer = client.reply()
    return yes(answer[:1] == b"4", answer[:3].decode())


# --- names ---

ODD = ["with space", " leading", "trailing ", 'quote"s', "[x]*?", "-rf", "#~$(x)", "a'b;c&d", "\\back", "ü",
       b"\xfe\x80".decode("utf-8", "surrogateescape"), "~", "%00", "x" * 200]


@case("Odd names: written, measured, read, renamed, removed")
def odd_names(server, client):
    bad = []
    for name in ODD:
        raw = os.fsencode(name)
        try:
            client.put(b"STOR " + raw, b"content")
            client.expect(b"213 7", b"SIZE " + raw)
            if client.get(b"RETR " + raw) != b"content" or server.read(name) != b"content":
                raise Failure("content")
            client.expect(b"350", b"RNFR " + raw)
            client.expect(b"250", b"RNTO " + raw + b".new")
            client.expect(b"250", b"DELE " + raw + b".new")
        except (Failure, OSError) as failure:
            bad.append("%r: %s" % (name[:12], failure))
    return yes(not bad, "; ".join(bad))


@case("A quote in a folder's name is doubled in 257")
def quotes(_, client):
    client.expect(b"257", b'MKD a"b')
    client.expect(b"250", b'CWD a"b')
    return yes(b'"/a""b"' in client.say(b"PWD"))


@case("IAC in a name, doubled as Telnet wants, is one byte")
def iac(server, client):
    client.put(b"STOR a\xff\xffb", b"")
    names = os.listdir(os.fsencode(server.root))
    return yes(names == [b"a\xffb"], repr(names))


@case("A name with a newline makes no second entry in LIST and NLST")
def newline(server, client):
    server.write("a\nb", b"")
    server.write("c", b"")
    counts = [client.get(command).count(b"\r\n") for command in (b"LIST", b"NLST")]
    return yes(all(count <= 2 for count in counts), "LIST %d, NLST %d lines of 2 names" % tuple(counts))


@case("MLSD and MLST")
def mlsd(server, client):
    server.write("x", b"12345")
    if not client.say(b"MLST x").startswith(b"250"):
        return "no"
    return yes(b"size=5;" in client.get(b"MLSD").lower())


@case("LIST and NLST of 10,000 names are whole")
def many(server, client):
    for i in range(10000):
        server.write("name%05d" % i, b"")
    counts = [client.get(command).count(b"\n") for command in (b"LIST", b"NLST")]
    return yes(counts == [10000, 10000], repr(counts))


# --- what strangers do ---

@case("A FIFO in the tree blocks nobody")
def fifo(server, client):
    os.mkfifo(server.path("fifo"))
    os.chmod(server.path("fifo"), 0o666)
    client.conn.settimeout(5)
    try:
        with client.data():
            answer = client.say(b"RETR fifo")
    except OSError:
        return "no: the session hangs"
    return yes(answer[:1] == b"5", answer[:3].decode())


@case("Data connections of another host are refused (RFC 2577)")
def theft(server, client):
    server.write("secret", b"secret")
    with client.data("127.0.0.2") as thief:
        client.conn.sendall(b"RETR secret\r\n")
        thief.settimeout(5)
        try:
            return yes(thief.recv(10) == b"", "no: the thief has the file")
        except OSError:
            return "yes"


@case("PORT to another host, or below 1024, is refused")
def bounce(_, client):
    answers = [client.say(b"PORT " + where)[:1] for where in (b"127,0,0,2,100,1", b"127,0,0,1,0,25")]
    return yes(answers == [b"5", b"5"], repr(answers))


@case("A line of 1 MB ends in 500, or the session")
def long_line(_, client):
    try:
        client.conn.sendall(b"SIZE " + b"x" * 1000000 + b"\r\n")
        answer = client.reply()
    except OSError:
        answer = b""
    return yes(answer[:1] in (b"", b"5"), answer[:3].decode())


def flood(conn, seconds=3):
    conn.settimeout(0.5)
    due, sent = time.monotonic() + seconds, 0
    with contextlib.suppress(OSError):
        while time.monotonic() < due:
            sent += conn.send(b"HELP\r\nSTAT\r\nFEAT\r\n" * 500)
    return sent


@case("20 floods whose answers nobody reads: memory of the server grows by")
def floods(server, client):
    others = [Client(server) for _ in range(20)]
    before, most = server.memory(), 0
    threads = [threading.Thread(target=flood, args=(other.conn,)) for other in others]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        most = max(most, server.memory())
        time.sleep(0.2)
    served = client.say(b"NOOP").startswith(b"200")
    for other in others:
        other.conn.close()
    return "%d KiB%s" % (max(most - before, 0), "" if served else "; another client is not served")


@case("The control connection answers while nobody reads a transfer")
def unread(server, client):
    server.write("big", TEXT * 30)
    client.conn.settimeout(5)
    with client.data():
        client.expect(b"150", b"RETR big")
        try:
            client.conn.sendall(b"ABOR\r\n")
            return yes(client.reply().startswith(b"426"))
        except OSError:
            return "no: nothing within 5 s"


# --- speed ---

@case("50 transfers of 4 MB at once: whole, seconds")
def fifty(server, client):
    server.write("x", TEXT * 4)
    found = []

    def visit():
        with contextlib.suppress(OSError, Failure):
            with Client(server) as one:
                found.append(one.get(b"RETR x") == TEXT * 4)
    threads = [threading.Thread(target=visit) for _ in range(50)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "%d, %.1f" % (found.count(True), time.monotonic() - began)


def drain(client, command):
    size = 0
    room = bytearray(1 << 20)
    with client.data() as data:
        client.expect(b"150", command)
        while True:
            count = data.recv_into(room)
            if not count:
                break
            size += count
    client.reply()
    return size


@case("Download of one large file: MB/s, CPU seconds of the server per GB")
def download(server, client):
    with open(server.path("large"), "wb") as file:
        for _ in range(ARGUMENTS.megabytes):
            file.write(TEXT + bytes(48576))
    drain(client, b"RETR large")
    began, cpu = time.monotonic(), server.cpu()
    size = drain(client, b"RETR large")
    seconds, cpu = time.monotonic() - began, server.cpu() - cpu
    return "%.0f, %.2f" % (size / seconds / 1e6, cpu / (size / 1e9))


@case("200 logins with a listing each, one after the other: a second")
def logins(server, _):
    server.write("x", b"")
    began = time.monotonic()
    for _ in range(200):
        with Client(server) as one:
            one.get(b"LIST")
    return "%.0f" % (200 / (time.monotonic() - began))


def judge(name, function):
    with Server(name) as server:
        try:
            with Client(server) as client:
                return function(server, client)
        except (Failure, OSError) as failure:
            return "no: %s" % failure


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose title has this")
    parser.add_argument("--megabytes", type=int, default=512, help="of the large file")
    return parser.parse_args()


def main():
    print("| case | %s |\n|---|%s" % (" | ".join(SERVERS), "---|" * len(SERVERS)))
    worse = 0
    for title, function in CASES:
        if ARGUMENTS.only.lower() in title.lower():
            answers = [judge(name, function) for name in SERVERS]
            worse += answers[0] != "yes" and answers[1] == "yes"
            print("| %s | %s |" % (title, " | ".join(answer.replace("|", "\\|") for answer in answers)), flush=True)
    return int(worse > 0)


if __name__ == "__main__":
    ARGUMENTS = parse()
    sys.exit(main())
