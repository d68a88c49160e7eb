"""Peer: python3-websockets on uvloop. python3 peers/websocket.py PORT"""
import asyncio
import sys

import uvloop
import websockets


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    async with websockets.serve(echo, "127.0.0.1", int(sys.argv[1]), compression=None, backlog=4096,
                                ping_interval=None):
        await asyncio.Future()


uvloop.install()
asyncio.run(main())
