// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Connections as they arrive: from gates, to be served, and from relays by way of the supervisor,
// to be given a page.

#pragma once

#include "ipc.h"

struct worker;

// VISITOR. Returns a negative errno when the message lies.
int visitors_on_visitor(struct worker *worker, struct ipc_message *message) WARN_UNUSED;

// PAGE. What a relay got wrong costs only the connection.
void visitors_on_page(struct worker *worker, struct ipc_message *message);
