// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// By which names the API's own listeners may be asked (control_listen). A page of somebody else's
// name can have that name lead here, and is of one origin with the dashboard then (DNS rebinding):
// so only names that nobody else can have are answered.

#pragma once

#include "util.h"

enum { CONTROL_HOST_MAX = 255 };

// Whether AUTHORITY (of a Host field; its port does not matter) is an IP address, `localhost` or a
// name below it, or OWN, the host of control_url (empty: none). An absent one is right: browsers
// send one.
bool control_host_ok(struct span authority, struct span own);
