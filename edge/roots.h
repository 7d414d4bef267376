// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// TLS as a client, towards the servers behind tunnels: TLS 1.2 or 1.3, a certificate that the
// machine's certificate authorities vouch for, and the name that was asked for in it.

#pragma once

#include "util.h"

#include <openssl/ssl.h>

enum { ROOTS_MAX = 1024 * 1024 }; // bytes of PEM that are read

// A connection to HOST, a name or an address. The authorities are read from ROOTS_FD (PEM) when
// the first one is made; UNCHECKED: whatever certificate it shows. NULL without memory.
SSL *roots_connect(int roots_fd, char *host, bool unchecked);
