// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The digest of a runtime event, SHA-384 over one of two forms of it (dstack's cc-eventlog).

#pragma once

#include "event_log.h"

// Returns false when the event has a preimage that is not these bytes, or for lack of memory.
bool event_digest_make(const struct event *event, uint8_t out[MEASUREMENT_SIZE]);
