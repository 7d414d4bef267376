// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "buf.h"

#include <assert.h>
#include <stdio.h>

enum {
	BUF_LEAST = 256,         // smallest allocation
	BUF_TRIMMED = 16 * 1024, // not worth a copy below it
};

void buf_init(struct buf *buf, uint32_t cap)
{
	*buf = (struct buf){.cap = cap};
}

void buf_reset(struct buf *buf)
{
	free(buf->base);
	*buf = (struct buf){.cap = buf->cap};
}

void buf_wipe(struct buf *buf)
{
	if (buf->base != NULL)
		explicit_bzero(buf->base, buf->size);
	buf_reset(buf);
}

// Doubles from BUF_LEAST up to what is needed, so that appending is linear in all.
static uint32_t grown_size(const struct buf *buf, uint32_t needed)
{
	uint32_t size = MAX(buf->size, (uint32_t)BUF_LEAST);
	while (size < needed)
		size = size > UINT32_MAX / 2 ? needed : size * 2;
	return size;
}

char *buf_room(struct buf *buf, size_t n)
{
	size_t len = buf_len(buf);
	if (n > buf->cap || len > buf->cap - n) {
		errno = ENOBUFS;
		return NULL;
	}
	if (n <= buf->size - buf->end && buf->base != NULL)
		return buf->base + buf->end;
	if (len + n <= buf->size) {
		memmove(buf->base, buf->base + buf->start, len);
	} else {
		// A fresh block instead of realloc: only the waiting bytes are copied.
		uint32_t size = grown_size(buf, (uint32_t)(len + n));
		char *base = malloc(size);
		if (base == NULL) {
			errno = ENOMEM;
			return NULL;
		}
		if (len > 0)
			memcpy(base, buf->base + buf->start, len);
		free(buf->base);
		buf->base = base;
		buf->size = size;
	}
	buf->start = 0;
	buf->end = (uint32_t)len;
	return buf->base + len;
}

void buf_added(struct buf *buf, size_t n)
{
	assert(n <= buf->size - buf->end);
	buf->end += (uint32_t)n;
}

int buf_add(struct buf *buf, const void *bytes, size_t n)
{
	if (n == 0)
		return 0;
	char *room = buf_room(buf, n);
	if (room == NULL)
		return -errno;
	memcpy(room, bytes, n);
	buf_added(buf, n);
	return 0;
}

int buf_add_span(struct buf *buf, struct span s)
{
	return buf_add(buf, s.p, s.n);
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	char *room = buf_room(buf, (size_t)n + 1);
	if (room == NULL)
		return -errno;
	va_start(ap, format);
	vsnprintf(room, (size_t)n + 1, format, ap);
	va_end(ap);
	buf_added(buf, (size_t)n);
	return 0;
}

void buf_consume(struct buf *buf, size_t n)
{
	assert(n <= buf_len(buf));
	buf->start += (uint32_t)n;
	if (buf->start == buf->end)
		buf_reset(buf);
}

void buf_trim(struct buf *buf)
{
	size_t len = buf_len(buf);
	if (buf->size <= BUF_TRIMMED || len > buf->size / 3)
		return;
	char *base = malloc(2 * len);
	if (base == NULL)
		return; // it stays as it is
	memcpy(base, buf->base + buf->start, len);
	free(buf->base);
	buf->base = base;
	buf->size = (uint32_t)(2 * len);
	buf->start = 0;
	buf->end = (uint32_t)len;
}
