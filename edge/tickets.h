// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Session tickets (RFC 5077 section 4 as a format, RFC 8446 section 4.6.1): sealed with keys all
// edges share, so that a visitor can come back to any of them, and that the supervisor replaces in
// time. Tickets of the keys before are taken too, and replaced.

#pragma once

#include "messages.h"

#include <openssl/ssl.h>

// From now on; PREVIOUS may be absent.
void tickets_set_keys(struct span current, struct span previous);

// Makes CONTEXT use them. Returns whether it could.
bool tickets_use(SSL_CTX *context);
