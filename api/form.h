// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What an HTML form posts: application/x-www-form-urlencoded, `name=value` joined by `&`, with `+`
// for a blank and `%xx` for any other byte (WHATWG URL Standard, section 5).

#pragma once

#include "util.h"

enum form_outcome {
	FORM_ABSENT = 1, // there is no such field
	FORM_TWICE = 2,  // more than one
	FORM_BAD = 3,    // a `%` without two digits behind it, a NUL, or more than fits
};

// Decodes the value of the field NAME of BODY into OUT of SIZE bytes and terminates it; wipe it if
// it is a secret. Names are compared as they stand, undecoded. Returns 0 or an outcome; OUT is an
// empty text then.
int form_get(struct span body, struct span name, char *out, size_t size) WARN_UNUSED;

// Whether VALUE of a Content-Type field says that a body is such a form.
bool form_type_ok(struct span value);
