// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Bytes as they stand in our JSON documents.

#pragma once

#include "buf.h"

// Append BYTES as a JSON string of lower-case hex, or of base64 with padding. Return 0 or a
// negative errno of buf_add().
int text_hex(struct buf *out, const void *bytes, size_t n) WARN_UNUSED;
int text_base64(struct buf *out, struct span bytes) WARN_UNUSED;

// Appends SECONDS since the epoch as a JSON string in RFC 3339.
int text_time(struct buf *out, int64_t seconds) WARN_UNUSED;
