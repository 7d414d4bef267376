// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Why something was refused, as a sentence's worth of text for people.
//
// The verifier has one kind of answer: a function returns whether what it looked at is so, and if
// not, says why. Lack of memory is such a refusal too: nothing passes for want of it.

#pragma once

#include "util.h"

enum { WHY_SIZE = 200 };

struct why {
	char text[WHY_SIZE];
};

// Writes the reason, as UTF-8 without control characters, and returns false.
bool why_not(struct why *why, const char *format, ...) PRINTF(2, 3);
