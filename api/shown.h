// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Whether a request to us shows what would let it into a tunnel.

#pragma once

#include "request.h"
#include "tunnel.h"

// The secret, in one of the fields in which the tunnel itself takes it.
bool shown_secret(const struct request *request, const struct tunnel *tunnel);

// The cookie that its login has set.
bool shown_cookie(const struct request *request, const struct tunnel *tunnel);
