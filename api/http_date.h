// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The time in the form of HTTP's Date field (RFC 9110 section 5.6.7, IMF-fixdate).

#pragma once

#include "util.h"

enum { HTTP_DATE_SIZE = sizeof "Sun, 06 Nov 1994 08:49:37 GMT" };

// SECONDS since the epoch, years 1970 to 9999.
void http_date_format(int64_t seconds, char out[HTTP_DATE_SIZE]);
