#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
# A whole agent of a pull tunnel, after agent-protocol.md:  AGENT_TOKEN=... agent.py URL HOST PORT
import asyncio, os, random, secrets, sys
import msgpack, websockets  # Debian: python3-msgpack, python3-websockets

HELLO, OPEN, DATA, CREDIT, FIN, RESET, NOTICE = range(7)
WINDOW, DATA_MAX = 256 * 1024, 64 * 1024  # credit of a new stream, each way; bytes of one DATA
REFUSED, FAILED = 1, 3                    # why we reset a stream
INSTANCE = secrets.token_hex(8)           # the same for all connections of this process

async def from_relay(send, number, payloads, writer):
    while data := await payloads.get():
        writer.write(data)
        await writer.drain()
        await send(CREDIT, number, len(data))  # a better agent gathers some of these
    writer.write_eof()

async def to_relay(send, number, grants, reader):
    credit = WINDOW
    while data := await reader.read(min(credit, DATA_MAX)):
        await send(DATA, number, data)
        credit -= len(data)
        while credit == 0 or not grants.empty():
            credit += await grants.get()
    await send(FIN, number)

async def carry(send, number, payloads, grants, host, port):
    writer, code = None, REFUSED
    try:
        reader, writer = await asyncio.open_connection(host, port)
        code = FAILED
        async with asyncio.TaskGroup() as both:
            both.create_task(from_relay(send, number, payloads, writer))
            both.create_task(to_relay(send, number, grants, reader))
        writer.close()
    except* OSError:
        await send(RESET, number, code)
    except* websockets.ConnectionClosed:
        pass
    finally:
        writer and writer.transport.abort()  # unless it was closed in order

async def serve(socket, host, port):
    streams, send = {}, lambda *message: socket.send(msgpack.packb(message))
    await send(HELLO, 1, {"instance": INSTANCE, "agent": "agent.py", "host": f"{host}:{port}"})
    try:
        async for packed in socket:
            kind, number, *rest = msgpack.unpackb(packed)
            if kind == OPEN:  # two queues, both bounded by credit
                payloads, grants = asyncio.Queue(), asyncio.Queue()
                task = asyncio.create_task(carry(send, number, payloads, grants, host, port))
                task.add_done_callback(lambda _, number=number: streams.pop(number))
                streams[number] = {DATA: payloads.put_nowait, CREDIT: grants.put_nowait,
                                   FIN: payloads.put_nowait, RESET: lambda _, task=task: task.cancel()}
            elif kind == NOTICE:
                print("notice:", number, *rest, file=sys.stderr)
            elif number in streams and kind != HELLO:
                streams[number][kind](rest[0] if rest else None)  # FIN has nothing: None
    finally:
        for stream in list(streams.values()):
            stream[RESET](None)

async def main(url, token, host, port):
    wait, headers = 0.2, {"Authorization": f"Bearer {token}"}
    while True:
        try:
            async with websockets.connect(url, subprotocols=["tunneld.v1"], extra_headers=headers,
                                          compression=None, max_size=2 * DATA_MAX) as socket:
                wait = 0.2
                await serve(socket, host, port)
        except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as error:
            if (status := getattr(error, "status_code", 500)) < 500 and status != 429:
                sys.exit(f"refused: {status}")  # the tunnel is over, or not ours
        await asyncio.sleep(wait * random.uniform(0.5, 1))
        wait = min(2 * wait, 10)

if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], os.environ["AGENT_TOKEN"], sys.argv[2], int(sys.argv[3])))
