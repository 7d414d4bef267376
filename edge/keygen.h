// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// `tunneld-edge --keygen`: the process that makes the key of an instance, or looks at the one its
// operator has given, so that the supervisor needs neither TLS nor a key in its memory. It never
// meets anybody else: what it says about a key is the supervisor's word in the evidence.

#pragma once

#include "util.h"

// Works for the supervisor until that closes the channel. Returns an exit status.
int keygen_run(uint32_t epoch, unsigned reached);

// Makes a P-256 key and a certificate for NAMES (with commas between, the first is the common
// name). KEY_FD gets the key, *CERTIFICATE (to be freed) the certificate, both as PEM. Returns 0
// or a negative errno.
int keygen_make(struct span names, int key_fd, char **certificate);
