// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Applications that fields alone do not make work below /t/<id>/, as they compare the address bar
// with paths of their own, or let only a cookie of theirs in to a WebSocket at the root: how they
// are recognised, and which setting tells them their path (docs/path-prefix.md).

#pragma once

#include "answer.h"

struct framework {
	const char *name;
	const char *setting[2]; // the tunnel's prefix, "/t/<id>", stands between them
	bool keep;              // with it, it expects that path in requests: `prefix: keep`
	// How a page of it is told: by a field whose value begins with that (NULL: it is there), or
	// by one or two things that the page has in it.
	const char *field, *value;
	const char *body[2];
};

// The one that has made this answer, or NULL. ANSWER's head is there; BODY is as much of its body
// as is known.
const struct framework *framework_find(const struct answer *answer, struct span body);
