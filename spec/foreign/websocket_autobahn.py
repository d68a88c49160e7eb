#!/usr/bin/env python3
"""The other end of a WebSocket, by python3-autobahn, for specs.

  websocket_autobahn.py talk URL    as a client: sends messages, whole and in fragments, expects them back; prints "good"
  websocket_autobahn.py serve       as a server: echoes; prints its port
"""
import asyncio
import socket
import sys

from autobahn.asyncio.websocket import (WebSocketClientFactory, WebSocketClientProtocol, WebSocketServerFactory,
                                        WebSocketServerProtocol)
from autobahn.websocket.compress import (PerMessageDeflateOffer, PerMessageDeflateOfferAccept, PerMessageDeflateResponse,
                                         PerMessageDeflateResponseAccept)

MESSAGES = [(b"", False), ("größe κόσμε".encode(), False), (b"\x00\xff", True), (b"x" * 126, False), (b"y" * 65536, True),
            (b"some text that repeats " * 20000, False)]


def accept_offer(offers):
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)


def accept_response(response):
    if isinstance(response, PerMessageDeflateResponse):
        return PerMessageDeflateResponseAccept(response)


class Client(WebSocketClientProtocol):
    def onOpen(self):
        self.expected = [payload for payload, _ in MESSAGES] + [b"one two three"]
        for payload, binary in MESSAGES:
            self.sendMessage(payload, binary)
        self.sendMessage(b"one two three", False, fragmentSize=4)
        self.sendPing(b"are you there?")

    def onMessage(self, payload, isBinary):
        assert payload == self.expected.pop(0)
        if not self.expected:
            self.sendClose(3001, "enough")

    def onClose(self, wasClean, code, reason):
        self.factory.ended.set_result(wasClean and code == 3001 and not self.expected)


class Server(WebSocketServerProtocol):
    def onConnect(self, request):
        return "echo"

    def onMessage(self, payload, isBinary):
        self.sendMessage(payload, isBinary)


async def talk(url, offers):
    loop = asyncio.get_running_loop()
    factory = WebSocketClientFactory(url, protocols=["echo"])
    factory.protocol = Client
    factory.ended = loop.create_future()
    factory.setProtocolOptions(perMessageCompressionOffers=offers, perMessageCompressionAccept=accept_response,
                               utf8validateIncoming=True)
    await loop.create_connection(factory, factory.host, factory.port)
    assert await asyncio.wait_for(factory.ended, 10), offers


async def serve():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    factory = WebSocketServerFactory(f"ws://127.0.0.1:{port}", protocols=["echo"])
    factory.protocol = Server
    factory.setProtocolOptions(perMessageCompressionAccept=accept_offer)
    await asyncio.get_running_loop().create_server(factory, sock=listener)
    print(port, flush=True)
    await asyncio.Future()


async def main():
    if sys.argv[1] == "serve":
        await serve()
    for offers in ([], [PerMessageDeflateOffer()],
                   [PerMessageDeflateOffer(accept_no_context_takeover=True, accept_max_window_bits=True,
                                           request_no_context_takeover=True, request_max_window_bits=10)]):
        await talk(sys.argv[2], offers)
    print("good")


asyncio.run(main())
