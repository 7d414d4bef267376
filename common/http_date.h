// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The time in the form of HTTP's Date field (RFC 9110 section 5.6.7, IMF-fixdate), which every
// answer of our own has (section 6.6.1).

#pragma once

#include "util.h"

enum { HTTP_DATE_SIZE = sizeof "Sun, 06 Nov 1994 08:49:37 GMT" };

// SECONDS since the epoch; what is before 1970 or after 9999 is held at the ends.
void http_date_format(int64_t seconds, char out[HTTP_DATE_SIZE]);

// The present time. Valid until the next call; for processes with one thread.
const char *http_date_now(void);
