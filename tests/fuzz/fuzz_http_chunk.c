// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is a chunked body. It must come to the same end and the same bytes in one piece, byte
// by byte, and in odd pieces.

#include "check.h"
#include "http_chunk.h"

enum { INPUT_MAX = 128 * 1024 };

struct decoded {
	int outcome;
	size_t used;
	size_t n;
	char data[INPUT_MAX];
};

static void keep(struct decoded *out, struct span data)
{
	memcpy(out->data + out->n, data.p, data.n);
	out->n += data.n;
}

static void feed(struct http_chunk *chunk, struct decoded *out, struct span in)
{
	const char *begin = in.p;
	const char *end = in.p + in.n;
	struct span data;

	do {
		const char *before = in.p;
		out->outcome = http_chunk_next(chunk, &in, &data);
		CHECK(in.p >= before && in.p + in.n == end);
		if (out->outcome == HTTP_CHUNK_DATA) {
			CHECK(data.n > 0 && data.p >= before && data.p + data.n == in.p);
			keep(out, data);
		}
	} while (out->outcome == HTTP_CHUNK_DATA);
	CHECK(out->outcome != HTTP_CHUNK_OK || in.n == 0);
	CHECK(out->outcome >= HTTP_CHUNK_OK && out->outcome <= HTTP_CHUNK_BAD);
	out->used += (size_t)(in.p - begin);
}

// Pieces of STEP bytes, or of sizes SEED makes up.
static void decode(struct decoded *out, struct span in, size_t step, uint32_t seed)
{
	struct http_chunk chunk = {0};

	out->outcome = HTTP_CHUNK_OK;
	out->used = 0;
	out->n = 0;
	while (in.n > 0 && out->outcome == HTTP_CHUNK_OK) {
		if (seed != 0) {
			seed = seed * 1664525 + 1013904223;
			step = (seed >> 16) % 37 + 1;
		}
		struct span piece = {in.p, MIN(step, in.n)};
		feed(&chunk, out, piece);
		in.p += piece.n;
		in.n -= piece.n;
	}
}

// The decoded bytes, chunked anew in another rhythm, are the same when decoded again.
static void check_round_trip(const struct decoded *first)
{
	static struct decoded again;
	static char text[INPUT_MAX * 7 + 64];
	size_t n = 0;

	for (size_t at = 0, size; at < first->n; at += size) {
		size = MIN((at * 31 + 7) % 300 + 1, first->n - at);
		n += (size_t)snprintf(text + n, 16, "%zx\r\n", size);
		memcpy(text + n, first->data + at, size);
		memcpy(text + n + size, "\r\n", 2);
		n += size + 2;
	}
	memcpy(text + n, "0\r\n\r\n", 5);
	decode(&again, (struct span){text, n + 5}, 1000, 0);
	CHECK(again.outcome == HTTP_CHUNK_END && again.used == n + 5);
	CHECK(again.n == first->n && memcmp(again.data, first->data, again.n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct decoded whole;
	static struct decoded other;
	static const struct {
		size_t step;
		bool seeded;
	} ways[] = {{1, false}, {2, false}, {0, true}};
	struct span in = {(const char *)data, n};

	if (n > INPUT_MAX)
		return 0;
	decode(&whole, in, SIZE_MAX, 0);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		uint32_t seed = ways[i].seeded ? (uint32_t)n + 1 : 0;
		decode(&other, in, ways[i].step, seed);
		CHECK(other.outcome == whole.outcome);
		CHECK(other.n == whole.n && memcmp(other.data, whole.data, whole.n) == 0);
		CHECK(whole.outcome != HTTP_CHUNK_END || other.used == whole.used);
	}
	if (whole.outcome == HTTP_CHUNK_END)
		check_round_trip(&whole);
	return 0;
}
