// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Head first, then the body as the head says.

#include "answer.h"

enum state { IN_HEAD, IN_LENGTH, IN_CHUNKS, UNTIL_CLOSE, COMPLETE, BROKEN };

void answer_init(struct answer *answer, bool to_head)
{
	*answer = (struct answer){.to_head = to_head};
	buf_init(&answer->bytes, HTTP_HEAD_MAX);
}

void answer_deinit(struct answer *answer)
{
	buf_wipe(&answer->bytes);
}

static enum answer_event broken(struct answer *answer, const char *why)
{
	answer->state = BROKEN;
	answer->why = why;
	return ANSWER_BAD;
}

static uint8_t body_state(const struct http_head *head)
{
	switch (head->body) {
	case HTTP_BODY_LENGTH: return head->length > 0 ? IN_LENGTH : COMPLETE;
	case HTTP_BODY_CHUNKED: return IN_CHUNKS;
	case HTTP_BODY_CLOSE: return UNTIL_CLOSE;
	case HTTP_BODY_NONE: break;
	}
	return COMPLETE;
}

// The head's SIZE bytes are there.
static enum answer_event take_head(struct answer *answer, size_t size)
{
	if (http_response_parse(&answer->head, buf_span(&answer->bytes).p, size, answer->to_head,
		    &answer->why) != HTTP_OK)
		return broken(answer, answer->why);
	if (answer->head.status < 200 && answer->head.status != 101) {
		if (++answer->interim > ANSWER_INTERIM)
			return broken(answer, "interim answers without an end");
		buf_consume(&answer->bytes, size);
		answer->scanned = 0;
		return ANSWER_MORE;
	}
	answer->state = body_state(&answer->head);
	answer->left = answer->head.length;
	return ANSWER_HEAD;
}

// Takes what may belong to the head, and gives back what does not.
static enum answer_event next_in_head(struct answer *answer, struct span *in)
{
	while (in->n > 0) {
		size_t before = buf_len(&answer->bytes), size;
		size_t n = MIN(in->n, (size_t)HTTP_HEAD_MAX - before);
		if (buf_add(&answer->bytes, in->p, n) != 0)
			return broken(answer, "no memory for it");
		struct span bytes = buf_span(&answer->bytes);
		int r = http_head_find(bytes.p, bytes.n, false, &answer->scanned, &size);
		size_t used = r == HTTP_OK ? size - before : n;
		in->p += used;
		in->n -= used;
		answer->bytes.end -= (uint32_t)(n - used);
		if (r == HTTP_MORE && buf_len(&answer->bytes) < HTTP_HEAD_MAX)
			continue;
		if (r != HTTP_OK)
			return broken(answer,
				r == HTTP_BAD ? "not an HTTP head" : "its head is too large");
		enum answer_event event = take_head(answer, size);
		if (event != ANSWER_MORE)
			return event;
	}
	return ANSWER_MORE;
}

// Takes at most LIMIT body bytes.
static enum answer_event take_data(struct span *in, struct span *data, uint64_t limit)
{
	size_t n = (size_t)MIN((uint64_t)in->n, limit);

	if (n == 0) // IN may be absent
		return ANSWER_MORE;
	*data = (struct span){in->p, n};
	in->p += n;
	in->n -= n;
	return ANSWER_DATA;
}

static enum answer_event next_chunk(struct answer *answer, struct span *in, struct span *data)
{
	switch (http_chunk_next(&answer->chunk, in, data)) {
	case HTTP_CHUNK_OK: return ANSWER_MORE;
	case HTTP_CHUNK_DATA: return ANSWER_DATA;
	case HTTP_CHUNK_END: answer->state = COMPLETE; return ANSWER_END;
	default: return broken(answer, "its chunks are malformed");
	}
}

enum answer_event answer_next(struct answer *answer, struct span *in, struct span *data)
{
	enum answer_event event;

	*data = (struct span){0};
	switch ((enum state)answer->state) {
	case IN_HEAD: return next_in_head(answer, in);
	case IN_CHUNKS: return next_chunk(answer, in, data);
	case UNTIL_CLOSE: return take_data(in, data, UINT64_MAX);
	case IN_LENGTH:
		event = take_data(in, data, answer->left);
		answer->left -= data->n;
		if (answer->left == 0)
			answer->state = COMPLETE;
		return event;
	case COMPLETE: return ANSWER_END;
	case BROKEN: break;
	}
	return ANSWER_BAD;
}

enum answer_event answer_eof(struct answer *answer)
{
	if (answer->state == UNTIL_CLOSE)
		answer->state = COMPLETE;
	if (answer->state == COMPLETE)
		return ANSWER_END;
	return answer->state == BROKEN ? ANSWER_BAD : broken(answer, "it ends too early");
}
