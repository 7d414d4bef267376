# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A program: runs many agents of docs/agent.py (its argument) side by side, as it is told on standard
# input: `serve URL TOKEN HOST PORT`, `stop URL`. It answers each line with `done`. See agents.py.

import asyncio
import contextlib
import importlib.util
import sys


def load(path):
    spec = importlib.util.spec_from_file_location("agent", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def serve(agent, *what):
    with contextlib.suppress(SystemExit, asyncio.CancelledError):
        await agent.main(*what)


async def main(path):
    agent, tasks = load(path), {}
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        word, url, *rest = line.decode().split()
        if word == "serve":
            token, host, port = rest
            tasks[url] = asyncio.create_task(serve(agent, url, token, host, int(port)))
        else:
            tasks.pop(url).cancel()
        print("done", flush=True)


asyncio.run(main(sys.argv[1]))
