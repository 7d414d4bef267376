// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#pragma once

#include "util.h"

// Whether TEXT is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
bool utf8_valid(struct span text);

// Whether it is that and has no control characters (C0, DEL, C1): what a line may repeat.
bool utf8_plain(struct span text);
