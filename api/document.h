// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The JSON object a client sends. A table of members decides who reads what; every reader reports
// what is wrong to the findings and goes on. Numbers are read as reals: an integer too large for
// any type is then a value out of range like any other.

#pragma once

#include "findings.h"
#include "tunnel_config.h"

#include <jansson.h>

// Embedded in what the readers of its members need besides.
struct document {
	struct findings findings;
};

struct document_member {
	const char *name;
	void (*read)(struct document *document, const char *name, json_t *value);
	const char *missing; // the finding when it is not there; NULL: it need not be
};

// To be called once: without it a lack of memory can look like a mistake of the client.
void document_prepare_process(void);

// Calls the readers of what is in BODY. Returns what findings_end() makes of it, or
// FINDINGS_NOT_JSON.
int document_read(struct document *document, struct span body,
	const struct document_member *members, size_t n,
	char summary[FINDINGS_SUMMARY_SIZE]) WARN_UNUSED;

// VALUE as a text; the absent span when it is none.
struct span document_text(const json_t *value);

// A whole number from 1 to MAX (0: 2^53 - 1) into *RET, or a finding. Returns whether it was one.
bool document_number(struct document *document, const char *prefix, const char *name,
	const json_t *value, uint64_t max, uint64_t *ret);

// A name for people into OUT, or a finding.
void document_name(struct document *document, const char *name, const json_t *value,
	char out[TUNNEL_NAME_MAX + 1]);
