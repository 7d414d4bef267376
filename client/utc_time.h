// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Times in evidence: RFC 3339 in UTC and to the second, as collateral has them.

#pragma once

#include "util.h"

// "2026-01-31T12:00:00Z" into seconds since the epoch. No other form, years 1970 to 9999.
bool utc_time_parse(int64_t *seconds, struct span text);
