// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Evidence about a machine, whatever form it comes in: a quote and what belongs beside it.

#pragma once

#include "event_log.h"

enum { EVIDENCE_MAX = 8 << 20 };

struct evidence {
	struct span quote;
	bool has_log;
	bool log_malformed; // `log_why` says why
	struct why log_why;
	struct event_log log;
	struct span app_compose; // absent: not there
	struct span spki;        // of the RA-TLS certificate it came in, DER; or absent
	char *memory[4];         // what the spans point into
	size_t n_memory;
};

void evidence_deinit(struct evidence *evidence);

// Reads a file's BYTES, recognising the form: a quote, its hex, JSON with a `quote` member (and
// `event_log`, text or array, and `app_compose`), an RA-TLS certificate (PEM or DER) or dstack's
// SCALE attestation. They must live as long as EVIDENCE.
bool evidence_read(struct evidence *evidence, struct span bytes, struct why *why);

// The same from an object with a `quote`; it need not live on.
bool evidence_read_object(struct evidence *evidence, const json_t *object, struct why *why);

// The event log from JSON, an array or a text that holds one; from a file's bytes. A malformed one
// is noted: the check that needs it fails.
void evidence_set_log(struct evidence *evidence, const json_t *log);
void evidence_read_log(struct evidence *evidence, struct span bytes);

// N bytes that live as long as EVIDENCE; NULL for lack of memory.
char *evidence_memory(struct evidence *evidence, size_t n);

// The same from dstack's SCALE form, and from a certificate.
bool evidence_read_scale(struct evidence *evidence, struct span bytes, struct why *why);
bool evidence_read_certificate(struct evidence *evidence, struct span bytes, struct why *why);
