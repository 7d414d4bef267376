// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The evidence taken apart, for pages: what the instance statement says, and whether a quote stands
// behind it. For people to read; nothing is decided by it.

#pragma once

#include "buf.h"
#include "template.h"

#include <jansson.h>

struct evidence_view {
	json_t *instance;     // the instance statement; NULL: not looked at yet
	char quote_state[32]; // as in the document
};

void evidence_view_deinit(struct evidence_view *view);

// Reads DOCUMENT, which certifies the instance key. Returns 0, or -EBADMSG, without memory too.
int evidence_view_read(struct evidence_view *view, struct span document) WARN_UNUSED;

// What web/evidence_main.html says of VIEW. KEYS and PROGRAMS, with a cap, hold markup for as long
// as the values are used. QUOTED: there is a quote. PLAIN: the visitor came without TLS.
enum { EVIDENCE_VALUES = 12 };
int evidence_view_values(struct template_value values[EVIDENCE_VALUES],
	const struct evidence_view *view, bool quoted, bool plain, struct buf *keys,
	struct buf *programs) WARN_UNUSED;
