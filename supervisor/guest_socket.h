// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The Unix socket of the dstack guest service. The supervisor connects, since the attestor cannot;
// it never reads or writes there.

#pragma once

#include "util.h"

// Connects to PATH or, when that is empty, to the first of the usual places where there is
// somebody. *OLD: it is a service from before dstack 0.4, by its name. Returns a descriptor
// (close-on-exec, not blocking) or a negative errno.
int guest_socket_connect(const char *path, bool *old) WARN_UNUSED;
