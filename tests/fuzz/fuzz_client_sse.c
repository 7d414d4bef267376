// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A stream of events in one piece and in pieces of any size: the same events.

#include "check.h"
#include "sse.h"

static int feed(const uint8_t *data, size_t n, size_t step, struct buf *seen)
{
	struct span all = {(const char *)data, n};
	enum sse_event event = SSE_MORE;
	struct sse sse;

	sse_init(&sse);
	buf_init(seen, 4 << 20);
	while (all.n > 0 && event != SSE_BAD) {
		struct span piece = {all.p, all.n < step ? all.n : step};
		all.p += piece.n;
		all.n -= piece.n;
		while ((event = sse_next(&sse, &piece)) == SSE_EVENT) {
			CHECK(sse.event[0] != '\0' || memchr(data, '\0', n) != NULL);
			for (const char *c = sse.id; *c != '\0'; c++)
				CHECK(*c >= ' ' && *c <= '~');
			CHECK(sse.retry_ms >= -1);
			CHECK(buf_printf(seen, "%s\n%s\n", sse.event, sse.id) == 0);
			CHECK(buf_add_span(seen, buf_span(&sse.data)) == 0);
		}
	}
	sse_deinit(&sse);
	return event == SSE_BAD;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf whole, pieces;

	if (n < 1 || n > 64 * 1024)
		return 0;
	CHECK(feed(data + 1, n - 1, n, &whole) ==
		feed(data + 1, n - 1, 1 + data[0] % 32u, &pieces));
	CHECK(span_eq(buf_span(&whole), buf_span(&pieces)));
	buf_reset(&whole);
	buf_reset(&pieces);
	return 0;
}
