// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "text.h"

#include "clock.h"
#include "hex.h"

// Appends N characters that WRITE makes of BYTES, with a NUL behind them, as a string.
static int add_string(struct buf *out, size_t n, void (*write)(char *, const void *, size_t),
	const void *bytes, size_t size)
{
	int r = buf_add(out, "\"", 1);
	if (r < 0)
		return r;
	char *room = buf_room(out, n + 1);
	if (room == NULL)
		return -errno;
	write(room, bytes, size);
	buf_added(out, n);
	return buf_add(out, "\"", 1);
}

int text_hex(struct buf *out, const void *bytes, size_t n)
{
	return add_string(out, 2 * n, hex_encode, bytes, n);
}

int text_base64(struct buf *out, struct span bytes)
{
	return add_string(out, BASE64_SIZE(bytes.n) - 1, base64_encode, bytes.p, bytes.n);
}

int text_time(struct buf *out, int64_t seconds)
{
	char time[RFC3339_SIZE];
	rfc3339_format(seconds, time);
	return buf_printf(out, "\"%s\"", time);
}
