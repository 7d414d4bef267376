// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A backend for those who have none yet (--demo): a page that says hello, an echo of requests, and
// an echo of WebSocket messages. It is reached over a socket pair, like any other backend.

#pragma once

#include "loop.h"

// Begins to serve a connection and returns our end of it, or a negative errno. It ends by itself
// when that end is closed.
int demo_open(struct loop *loop) WARN_UNUSED;
