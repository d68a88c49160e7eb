"""Comes into the chat at a URL, says something, and prints the kinds of what it gets until it hears that."""
import asyncio
import json
import sys

import websockets


async def main(url):
    async with websockets.connect(url) as socket:
        async def act(name, **fields):
            await socket.send(json.dumps({"act": name, **fields}))

        async def expect(kind):
            while True:
                event = json.loads(await asyncio.wait_for(socket.recv(), 20))
                if event["kind"] == kind:
                    return kind

        await act("enter", nick="py")
        kinds = [await expect("welcome")]
        await act("join", room="#lobby")
        kinds.append(await expect("room"))
        await act("say", target="#lobby", text="from Python")
        kinds.append(await expect("message"))
        print(*kinds)


asyncio.run(main(sys.argv[1]))
