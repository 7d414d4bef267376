// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is a conversation: pieces of at most 255 bytes, each with a byte for its direction and
// one for its length before it. What is told of it is the same when every piece comes byte by byte,
// no exchange is told twice, and nothing is told after the end.

#include "check.h"
#include "sniff.h"

struct told {
	struct sniff_sink sink;
	unsigned count;
	uint64_t sum; // of everything in the reports
};

static void mix(struct told *told, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	for (size_t i = 0; i < n; i++)
		told->sum = (told->sum ^ p[i]) * UINT64_C(0x100000001b3);
}

static void note(struct sniff_sink *sink, const struct sniff_report *r)
{
	struct told *told = container_of(sink, struct told, sink);
	CHECK(r->method.n > 0 && r->method.n <= SNIFF_METHOD_MAX);
	CHECK(r->path.n <= SNIFF_PATH_MAX);
	CHECK(r->status == 0 || r->status == 101 || (r->status >= 200 && r->status < 600));
	CHECK(r->status != 0 || r->cut);
	mix(told, r->method.p, r->method.n);
	mix(told, r->path.p, r->path.n);
	mix(told, &r->status, sizeof r->status);
	mix(told, &r->bytes_in, sizeof r->bytes_in);
	mix(told, &r->bytes_out, sizeof r->bytes_out);
	mix(told, &r->cut, sizeof r->cut);
	told->count++;
}

static void feed(struct sniff *sniff, uint8_t way, struct span s, struct told *told)
{
	struct instant now = {1};
	if (way % 2 == 0)
		sniff_request(sniff, s, now);
	else
		sniff_response(sniff, s, now, &told->sink);
}

static struct told run(const uint8_t *data, size_t n, bool whole)
{
	struct told told = {.sink.report = note, .sum = UINT64_C(0xcbf29ce484222325)};
	struct sniff sniff;
	sniff_init(&sniff);
	while (n >= 2) {
		uint8_t way = data[0];
		struct span s = {(const char *)data + 2, MIN((size_t)data[1], n - 2)};
		data += 2 + s.n;
		n -= 2 + s.n;
		if (whole)
			feed(&sniff, way, s, &told);
		for (size_t i = 0; i < s.n && !whole; i++)
			feed(&sniff, way, (struct span){s.p + i, 1}, &told);
		if (way == 255)
			sniff_response_end(&sniff, (struct instant){1}, &told.sink);
	}
	sniff_end(&sniff, (struct instant){1}, &told.sink);
	unsigned count = told.count;
	feed(&sniff, 1, SPAN("HTTP/1.1 200 OK\r\n\r\n"), &told);
	sniff_end(&sniff, (struct instant){1}, &told.sink);
	CHECK(told.count == count);
	return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct told whole = run(data, n, true), pieces = run(data, n, false);
	CHECK(whole.count == pieces.count);
	CHECK(whole.sum == pieces.sum);
	return 0;
}
