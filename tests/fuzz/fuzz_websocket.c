// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The first byte chooses the end, the rest is what its peer sends. Messages, control frames and the
// end must come out the same in one piece, byte by byte, and in odd pieces; and what was read can
// be written again and read by the other end.

#include "check.h"
#include "websocket.h"

enum { INPUT_MAX = 64 * 1024, SEEN_MAX = 4 * INPUT_MAX };

// Everything that came out: data, marks of message ends, control frames, the violation.
struct seen {
	size_t n;
	uint8_t bytes[SEEN_MAX];
	bool over;
};

static void put(struct seen *seen, const void *bytes, size_t n)
{
	CHECK(seen->n + n <= SEEN_MAX);
	if (n > 0)
		memcpy(seen->bytes + seen->n, bytes, n);
	seen->n += n;
}

static void on_event(
	struct seen *seen, enum websocket_outcome outcome, const struct websocket_event *event)
{
	CHECK(!seen->over);
	if (outcome == WEBSOCKET_DATA) {
		CHECK(event->payload.n > 0 || event->last);
		put(seen, event->payload.p, event->payload.n);
		if (event->last)
			put(seen, event->text ? "|t" : "|b", 2);
		return;
	}
	uint8_t mark[] = {'|', (uint8_t)outcome, (uint8_t)(event->code >> 8), (uint8_t)event->code};
	put(seen, mark, sizeof mark);
	put(seen, event->payload.p, event->payload.n);
	CHECK(event->payload.n <= WEBSOCKET_CONTROL_MAX);
	if (outcome == WEBSOCKET_BAD)
		CHECK(event->why != NULL && strlen(event->why) <= WEBSOCKET_REASON_MAX);
	seen->over = outcome == WEBSOCKET_BAD || outcome == WEBSOCKET_CLOSE;
}

static void decode(
	struct seen *seen, enum websocket_role role, const uint8_t *data, size_t n, size_t step)
{
	static char copy[INPUT_MAX];
	struct websocket ws;

	seen->n = 0;
	seen->over = false;
	websocket_init(&ws, role);
	memcpy(copy, data, n);
	for (size_t at = 0; at < n; at += step) {
		struct span in = {copy + at, MIN(step, n - at)};
		const char *end = in.p + in.n;
		struct websocket_event event;
		enum websocket_outcome outcome;
		while ((outcome = websocket_next(&ws, &in, &event)) != WEBSOCKET_MORE) {
			CHECK(in.p + in.n == end);
			on_event(seen, outcome, &event);
		}
		CHECK(in.n == 0);
	}
}

// The same bytes as one message of the other end.
static void check_round_trip(enum websocket_role role, const uint8_t *data, size_t n)
{
	static char frame[INPUT_MAX + WEBSOCKET_HEAD_MAX];
	static struct seen seen;
	uint8_t key[WEBSOCKET_KEY_SIZE] = {1, 2, 3, (uint8_t)n};
	bool client = role == WEBSOCKET_SERVER;
	size_t head =
		websocket_head((uint8_t *)frame, WEBSOCKET_OP_BINARY, true, n, client ? key : NULL);

	memcpy(frame + head, data, n);
	if (client)
		websocket_mask(frame + head, n, key);
	decode(&seen, role, (const uint8_t *)frame, head + n, 4099);
	CHECK(seen.n == n + 2 && memcmp(seen.bytes, data, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct seen whole, other;
	static const size_t steps[] = {1, 2, 3, 13, 127};

	if (n == 0 || n > INPUT_MAX - WEBSOCKET_HEAD_MAX)
		return 0;
	enum websocket_role role = data[0] & 1 ? WEBSOCKET_CLIENT : WEBSOCKET_SERVER;
	decode(&whole, role, data + 1, n - 1, n);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		decode(&other, role, data + 1, n - 1, steps[i]);
		CHECK(other.n == whole.n && memcmp(other.bytes, whole.bytes, whole.n) == 0);
	}
	check_round_trip(role, data + 1, n - 1);
	return 0;
}
