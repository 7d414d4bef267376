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

// What a certificate of our own is to say. A quote and an event log make it an RA-TLS certificate
// as dstack's are; either may be empty.
struct keygen_subject {
	struct span names; // with commas between
	uint64_t life_s;
	struct span quote, event_log;
};

// Makes a certificate over the key in KEY_FD, or over a P-256 key that an empty KEY_FD gets.
// *CERTIFICATE is to be freed; both are PEM. Returns 0 or a negative errno.
int keygen_make(const struct keygen_subject *subject, int key_fd, char **certificate);
