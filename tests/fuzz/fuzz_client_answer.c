// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Whatever a server sends: the same answer in one piece and in pieces of any size, and nothing is
// consumed that is not its.

#include "answer.h"
#include "check.h"

struct seen {
	enum answer_event last;
	unsigned status;
	struct buf body;
	size_t left;
};

static void feed(struct seen *seen, const uint8_t *data, size_t n, size_t step, bool to_head)
{
	struct answer answer;
	struct span all = {(const char *)data, n};
	enum answer_event event = ANSWER_MORE;

	answer_init(&answer, to_head);
	buf_init(&seen->body, 1 << 20);
	while (all.n > 0 && event != ANSWER_END && event != ANSWER_BAD) {
		struct span piece = {all.p, all.n < step ? all.n : step}, run;
		size_t before = piece.n;
		do {
			event = answer_next(&answer, &piece, &run);
			CHECK(event != ANSWER_DATA || run.n > 0);
			if (event == ANSWER_DATA)
				CHECK(buf_add_span(&seen->body, run) == 0);
		} while (event == ANSWER_HEAD || event == ANSWER_DATA);
		CHECK(event != ANSWER_MORE || piece.n == 0);
		all.p += before - piece.n;
		all.n -= before - piece.n;
	}
	seen->last = event == ANSWER_MORE ? answer_eof(&answer) : event;
	CHECK(seen->last == ANSWER_END || (seen->last == ANSWER_BAD && answer.why != NULL));
	seen->status = seen->last == ANSWER_END ? answer.head.status : 0;
	seen->left = seen->last == ANSWER_END ? all.n : 0;
	answer_deinit(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct seen whole, pieces;

	if (n < 1 || n > 64 * 1024)
		return 0;
	bool to_head = data[0] & 0x80;
	size_t step = 1 + (data[0] & 0x7f);
	feed(&whole, data + 1, n - 1, n, to_head);
	feed(&pieces, data + 1, n - 1, step, to_head);
	CHECK(whole.last == pieces.last && whole.status == pieces.status);
	if (whole.last == ANSWER_END) {
		CHECK(whole.left == pieces.left);
		CHECK(span_eq(buf_span(&whole.body), buf_span(&pieces.body)));
	}
	buf_reset(&whole.body);
	buf_reset(&pieces.body);
	return 0;
}
