// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A connection to the server behind a tunnel whose backend is https: from the connecting socket
// that the supervisor hands over to the decrypted stream that goes back to it.

#pragma once

#include "ipc.h"
#include "pump.h"

// Takes an EDGE_DIAL of the supervisor: EDGE_DIALED or EDGE_DIAL_FAILED follows. ROOTS_FD: see
// roots.h. Returns 0, or -EBADMSG when the socket is none that is connecting.
int backend_begin(
	struct ipc_channel *control, struct ipc_message *message, int roots_fd) WARN_UNUSED;

// How many there are.
size_t backend_count(void);
