# examples/rpc_client.py — calls a server of moonwire.rpc (docs/api/rpc.md) with Python's standard library.
#
#   python3 examples/rpc_client.py 127.0.0.1 7005 add '[2, 40]'
import json
import socket
import struct
import sys

MAX = 1048576


class Client:
    def __init__(self, host, port, timeout=30):
        self.file = socket.create_connection((host, port), timeout).makefile("rwb")
        self.last = 0
        self.send({"rpc": 1})
        hello = self.receive()
        if hello.get("rpc") != 1:
            raise ConnectionError(hello)

    def send(self, message):
        data = json.dumps(message).encode()
        self.file.write(struct.pack(">I", len(data)) + data)
        self.file.flush()

    def take(self, count):
        data = self.file.read(count)
        if len(data) < count:
            raise ConnectionError("the server has ended the connection")
        return data

    def receive(self):
        length, = struct.unpack(">I", self.take(4))
        if length > MAX:
            raise ConnectionError("the message is too large")
        return json.loads(self.take(length))

    def call(self, method, params=None):
        self.last += 1
        self.send({"id": self.last, "method": method, "params": params})
        reply = self.receive()
        while reply.get("id") != self.last:
            reply = self.receive()
        if "error" in reply:
            raise RuntimeError(reply["error"]["code"] + ": " + reply["error"]["message"])
        return reply["result"]

    def notify(self, method, params=None):
        self.send({"method": method, "params": params})


if __name__ == "__main__":
    client = Client(sys.argv[1], int(sys.argv[2]))
    try:
        print(json.dumps(client.call(sys.argv[3], *map(json.loads, sys.argv[4:5]))))
    except RuntimeError as error:
        sys.exit(str(error))
