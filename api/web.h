// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The files of web/, and openapi.json, as web/pack.py has put them into this program: a sealed
// process can open none.

#pragma once

#include "util.h"

struct web_file {
	const char *name, *type;
	struct span plain, packed; // the same bytes, as they are and by gzip
	const char *tag;           // of exactly these bytes, with its quotes, for ETag
	const char *policy; // of HTML: the directives that name what stands in the page itself
};

// NULL: there is none of that name.
const struct web_file *web_file(struct span name);
