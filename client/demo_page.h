// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The page of the built-in demo (demo.c). It is whole in itself and asks for `echo` and `ws` below
// the path it is at, so it works under any prefix.

#pragma once

// clang-format off
#define DEMO_PAGE \
"<!doctype html>\n" \
"<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n" \
"<title>It works</title>\n" \
"<style>:root{color-scheme:light dark}body{font:1.1em/1.5 system-ui,sans-serif;max-width:40em;" \
"margin:3em auto;padding:0 1em}pre{overflow:auto;padding:1em;border:1px solid;border-radius:.5em}" \
"input,button{font:inherit}</style>\n" \
"<h1>It works</h1>\n" \
"<p>This page comes through a tunnel, from the machine on which <code>tunnel --demo</code> runs.</p>\n" \
"<h2>What reaches that machine</h2>\n" \
"<pre id=\"echo\"><a href=\"echo\">See your request</a></pre>\n" \
"<h2>A WebSocket</h2>\n" \
"<form id=\"say\"><label>Say something <input id=\"words\" value=\"hello\"></label>\n" \
"<button>Send</button></form>\n" \
"<pre id=\"heard\" aria-live=\"polite\">The answer appears here.</pre>\n" \
"<script>\n" \
"const at = name => new URL(name, location.href.split('#')[0]);\n" \
"const show = (id, text) => document.getElementById(id).textContent = text;\n" \
"fetch(at('echo')).then(answer => answer.text()).then(text => show('echo', text));\n" \
"const address = at('ws');\n" \
"address.protocol = address.protocol.replace('http', 'ws');\n" \
"let socket;\n" \
"document.getElementById('say').onsubmit = event => {\n" \
"  event.preventDefault();\n" \
"  const words = document.getElementById('words').value;\n" \
"  if (socket && socket.readyState === 1) return socket.send(words);\n" \
"  socket = new WebSocket(address);\n" \
"  socket.onopen = () => socket.send(words);\n" \
"  socket.onmessage = message => show('heard', message.data);\n" \
"  socket.onclose = () => show('heard', 'The connection is closed.');\n" \
"};\n" \
"</script>\n"
// clang-format on
