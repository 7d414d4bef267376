// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a server's URL says.

#pragma once

#include "url.h"

// As url_parse(), for http, https, ws and wss only.
int server_parse(struct url *server, struct span text, const char **why) WARN_UNUSED;

// Whether it is this machine: localhost or a loopback address.
bool server_is_local(const struct url *server);

// Writes host and port as they stand in a Host field or, FULL, in a CONNECT: then with the port
// even if it is the scheme's own.
enum { SERVER_AUTHORITY_MAX = URL_TEXT_MAX };
void server_authority(const struct url *server, bool full, char out[SERVER_AUTHORITY_MAX]);
