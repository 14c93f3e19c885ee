"""A WebSocket server and a client (the websockets library): 'server PORT', or 'client URL AUTHORITY-FILE' ('ok' when all holds).

The client stops once, in the middle of a connection, prints 'waiting' and goes on at a line on its standard input.
"""
import asyncio
import ssl
import sys

import websockets


async def answer(socket):
    async for message in socket:
        if message == "leave":
            await socket.close(4001, "as you wish")
            return
        await socket.send(message)


async def serve(port):
    async with websockets.serve(answer, "127.0.0.1", int(port), subprotocols=["evenkeel.test"], max_size=None, ping_interval=None):
        print("serving", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def echoes(socket, message):
    await socket.send(message)
    assert await asyncio.wait_for(socket.recv(), 20) == message, "not what was sent"


async def ask(url, authority):
    def connect():
        # Read anew: the certificate is renewed meanwhile.
        trust = ssl.create_default_context(cafile=authority) if url.startswith("wss:") else None
        return websockets.connect(url, ssl=trust, server_hostname="a.example" if trust else None, subprotocols=["other", "evenkeel.test"],
                                  max_size=None, ping_interval=None)

    async with connect() as socket:
        assert socket.subprotocol == "evenkeel.test", socket.subprotocol
        for number in range(200):
            await echoes(socket, str(number))
        await echoes(socket, "Käse \U0001f9c0")
        await echoes(socket, bytes(range(256)) * 8192)
        await socket.send(["in ", "three ", "parts"])
        assert await asyncio.wait_for(socket.recv(), 20) == "in three parts"
        await asyncio.wait_for(await socket.ping(), 20)
        print("waiting", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        await echoes(socket, "still here")
        await socket.send("leave")
        await asyncio.wait_for(socket.wait_closed(), 20)
        assert (socket.close_code, socket.close_reason) == (4001, "as you wish"), (socket.close_code, socket.close_reason)
    async with connect() as socket:
        await echoes(socket, "again")
        await socket.close(4002, "mine")
        assert socket.close_code == 4002, socket.close_code
    print("ok", flush=True)


asyncio.run(serve(sys.argv[2]) if sys.argv[1] == "server" else ask(sys.argv[2], sys.argv[3]))
