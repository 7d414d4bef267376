// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Fills the HTML templates of web/. In them {{name}} stands for a value, as text, whatever is in
// it; what is between {{?name}} and {{/}} is left out when there is no such value. These can be
// nested.

#pragma once

#include "buf.h"

struct template_value {
	const char *name;
	struct span text; // absent: as if the value were not listed
	bool markup;      // is HTML itself, made by template_fill()
};

// Appends TEXT, a template of ours, with N values. Returns 0 or buf_add()'s error.
int template_fill(struct buf *out, struct span text, const struct template_value *values,
	size_t n) WARN_UNUSED;
