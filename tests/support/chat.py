# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A small application as developers write them, to be shared: a page, and a chat over WebSocket. Made
# with python3-websockets alone and run as a program of its own:
#
#     chat.py PORT

import asyncio
import http
import json
import sys

import websockets

PAGE = b"""<!DOCTYPE html><title>Team chat</title><h1>Team chat</h1>
<form><input autofocus placeholder="your name, then what you have to say"></form><ul></ul>
<script>
const socket = new WebSocket(location.href.replace(/^http/, "ws"));
const show = text => document.querySelector("ul").append(Object.assign(document.createElement("li"), {textContent: text}));
socket.onopen = () => show("connected");
socket.onmessage = event => {
  const said = JSON.parse(event.data);
  show(said.text ? `${said.from}: ${said.text}` : `here: ${said.here.join(", ")}`);
};
socket.onclose = () => show("disconnected");
document.forms[0].onsubmit = event => {
  event.preventDefault();
  socket.send(event.target[0].value);
  event.target[0].value = "";
};
</script>"""
people = {}


async def page(path, headers):
    if "Upgrade" not in headers:
        found = path == "/"
        return (http.HTTPStatus.OK if found else http.HTTPStatus.NOT_FOUND,
                [("Content-Type", "text/html")], PAGE if found else b"<h1>No such page</h1>")


async def tell(message):
    for socket in list(people):
        try:
            await socket.send(json.dumps(message))
        except websockets.ConnectionClosed:
            pass


async def chat(socket, *path):
    name = await socket.recv()
    people[socket] = name
    await tell({"joined": name, "here": sorted(people.values())})
    try:
        async for text in socket:
            await tell({"from": name, "text": text})
    finally:
        del people[socket]
        await tell({"left": name, "here": sorted(people.values())})


async def main():
    async with websockets.serve(chat, "127.0.0.1", int(sys.argv[1]), process_request=page):
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
