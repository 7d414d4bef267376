// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Writing a head: appending, with one check at the end.

#pragma once

#include "util.h"

struct head_out {
	char *p, *end;
	bool full; // something did not fit
};

static inline void put(struct head_out *out, struct span s)
{
	if (s.n > (size_t)(out->end - out->p)) {
		out->full = true;
		return;
	}
	if (s.n > 0)
		memcpy(out->p, s.p, s.n);
	out->p += s.n;
}

static inline void put_field(struct head_out *out, struct span name, struct span value)
{
	put(out, name);
	put(out, SPAN(": "));
	put(out, value);
	put(out, SPAN("\r\n"));
}
