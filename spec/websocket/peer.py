#!/usr/bin/env python3
"""The other end of a WebSocket, by python3-websockets, for specs.

  peer.py talk URL         as a client: sends messages of all kinds, expects them back, closes with 3001; prints "good"
  peer.py serve            as a server: echoes; prints its port
"""
import asyncio
import sys

import websockets

MESSAGES = ["", "hello", "größe κόσμε", b"", b"\x00\xff\xfe", "x" * 125, "x" * 126, b"y" * 65535, b"y" * 65536, "z" * 500000]


async def fragments():
    for part in ("one ", "two ", "three"):
        yield part


async def talk(url, compression):
    async with websockets.connect(url, compression=compression, subprotocols=["echo"]) as ws:
        assert ws.subprotocol == "echo", ws.subprotocol
        for message in MESSAGES:
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(fragments())
        assert await ws.recv() == "one two three"
        await asyncio.wait_for(await ws.ping("are you there?"), 5)
        await ws.close(3001, "enough")
        assert ws.close_code == 3001, ws.close_code


async def echo(ws, path=None):
    async for message in ws:
        await ws.send(message)


async def serve():
    async with websockets.serve(echo, "127.0.0.1", 0, subprotocols=["echo"], max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def main():
    if sys.argv[1] == "serve":
        await serve()
    for compression in (None, "deflate"):
        await talk(sys.argv[2], compression)
    print("good")


asyncio.run(main())
