// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Bytes waiting to be used: appended at the end, consumed from the front, never more than a cap
// chosen at the start. Memory is there only while bytes are, so an idle connection costs none.

#pragma once

#include "util.h"

#include <stdarg.h>

struct buf {
	char *base;     // start of the allocation
	uint32_t start; // first byte in use
	uint32_t end;   // one past the last
	uint32_t size;  // of the allocation
	uint32_t cap;   // most bytes that may be waiting
};

void buf_init(struct buf *buf, uint32_t cap);
// Frees the memory; what was waiting is lost. The buffer can be used again.
void buf_reset(struct buf *buf);
// The same, wiping it first.
void buf_wipe(struct buf *buf);

static inline size_t buf_len(const struct buf *buf)
{
	return buf->end - buf->start;
}

// The bytes waiting; valid until the buffer is next changed.
static inline struct span buf_span(const struct buf *buf)
{
	// As a number: nothing may be added to NULL, not even 0.
	const char *first = (const char *)((uintptr_t)buf->base + buf->start);
	return (struct span){first, buf->end - buf->start};
}

// Appends N bytes. Returns 0, -ENOBUFS when the cap would be passed, or -ENOMEM; nothing is
// appended then.
int buf_add(struct buf *buf, const void *bytes, size_t n) WARN_UNUSED;
int buf_add_span(struct buf *buf, struct span s) WARN_UNUSED;
int buf_printf(struct buf *buf, const char *format, ...) PRINTF(2, 3) WARN_UNUSED;

// Makes room for N more bytes and returns where they go (buf_added() then says how many were
// written), or NULL as buf_add() fails.
char *buf_room(struct buf *buf, size_t n);
void buf_added(struct buf *buf, size_t n);

// Drops N bytes from the front. An emptied buffer gives its memory back.
void buf_consume(struct buf *buf, size_t n);

// Gives back what is more than twice what is needed, once that is a third: for buffers that many
// may have and that empty slowly. What is waiting may move.
void buf_trim(struct buf *buf);
