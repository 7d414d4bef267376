// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a tunnel leads to, as people write it: 3000, host:8000, https://host, unix:/run/app.sock.

#pragma once

#include "url.h"

#include <sys/un.h>

enum target_kind {
	TARGET_INET = 1, // url.host and url.port
	TARGET_UNIX,     // path
	TARGET_DEMO,     // the built-in pages (demo.h)
};

struct target {
	enum target_kind kind;
	bool tls;      // TLS to it...
	bool insecure; // ...with whatever certificate
	bool http;     // its bytes are HTTP as far as we know: worth a line for each request
	struct url url;
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
	char text[URL_TEXT_MAX + sizeof "https+insecure"]; // as we show it
};

// Parses TEXT:
//
//     PORT                       http to localhost
//     HOST:PORT                  http
//     http(s)://HOST[:PORT]      ws and wss are the same
//     https+insecure:HOST[:PORT] https, certificate not checked ("//" may stand before HOST)
//     tcp://HOST:PORT            bytes
//     unix:PATH                  http over a Unix socket
//
// Returns 0, or 1 with *WHY: what is wrong and what to write instead (static text). *TARGET is
// written only on success.
int target_parse(struct target *target, struct span text, const char **why) WARN_UNUSED;

// The built-in demo.
void target_demo(struct target *target);
