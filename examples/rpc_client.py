# examples/rpc_client.py — calls a server of moonwire.rpc (docs/api/rpc.md) with Python's standard library.
#
#   python3 examples/rpc_client.py 127.0.0.1 7005 add '[2, 40]'
import json
import queue
import socket
import struct
import sys
import threading

MAX = 1048576  # bytes of a message


class RpcError(Exception):
    """What the server says, with its code; or "timeout", "closed", "too_large"."""

    def __init__(self, code, message):
        super().__init__(code + ": " + message)
        self.code = code


class Connection:
    """One connection, whose replies are read by a thread."""

    def __init__(self, host, port, timeout):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lock, self.waiting, self.reason = threading.Lock(), {}, None
        self.file = self.socket.makefile("rb")
        try:
            self.send({"rpc": 1})
            hello = self.receive()
        except OSError:
            self.socket.close()
            raise
        if hello.get("rpc") != 1:
            raise ConnectionError("another version: %r" % hello)
        self.socket.settimeout(None)
        threading.Thread(target=self.read, daemon=True).start()

    def send(self, message):
        data = json.dumps(message).encode()
        if len(data) > MAX:
            raise RpcError("too_large", "the message is too large")
        with self.lock:
            self.socket.sendall(struct.pack(">I", len(data)) + data)

    def receive(self):
        length, = struct.unpack(">I", self.take(4))
        if length > MAX:
            raise ConnectionError("a message is too large")
        return json.loads(self.take(length))

    def take(self, count):
        data = self.file.read(count)
        if len(data) < count:
            raise ConnectionError("the server has ended the connection")
        return data

    def read(self):
        try:
            while True:
                reply = self.receive()
                if reply.get("id") is None:
                    raise ConnectionError(reply["error"]["message"])
                place = self.waiting.pop(reply["id"], None)
                if place:
                    place.put(reply)
        except (OSError, ValueError, KeyError) as error:
            self.close(str(error))

    def close(self, reason="closed"):
        """Those who wait are told."""
        self.reason = self.reason or reason
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        for number in list(self.waiting):
            place = self.waiting.pop(number, None)
            if place:
                place.put({"error": {"code": "closed", "message": self.reason}})


class Client:
    """For any number of threads. A connection that was lost is replaced by the next call; calls that it had in flight
    fail with "closed", for nobody knows whether they were made."""

    def __init__(self, host, port, timeout=30):
        self.address, self.timeout = (host, port), timeout
        self.lock, self.last, self.connection = threading.Lock(), 0, None

    def begin(self):
        with self.lock:
            if not self.connection or self.connection.reason:
                self.connection = Connection(*self.address, self.timeout)
            self.last += 1
            return self.connection, self.last

    def call(self, method, params=None, timeout=None):
        connection, number = self.begin()
        place = connection.waiting[number] = queue.SimpleQueue()
        try:
            self.send(connection, {"id": number, "method": method, "params": params})
            if connection.reason:
                raise RpcError("closed", connection.reason)
            reply = place.get(timeout=timeout or self.timeout)
        except queue.Empty:
            raise RpcError("timeout", "no reply in time") from None
        finally:
            connection.waiting.pop(number, None)
        if "error" in reply:
            raise RpcError(reply["error"]["code"], reply["error"]["message"])
        return reply["result"]

    def notify(self, method, params=None):
        self.send(self.begin()[0], {"method": method, "params": params})

    @staticmethod
    def send(connection, message):
        try:
            connection.send(message)
        except OSError as error:
            connection.close(str(error))
            raise RpcError("closed", str(error)) from error

    def close(self):
        with self.lock:
            if self.connection:
                self.connection.close()


if __name__ == "__main__":
    client = Client(sys.argv[1], int(sys.argv[2]))
    try:
        print(json.dumps(client.call(sys.argv[3], *map(json.loads, sys.argv[4:5]))))
    except RpcError as problem:
        sys.exit(str(problem))
