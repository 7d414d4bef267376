// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// common/http_head.h and http_chunk.h as one of the parsers that are compared. Every case is read
// three times, in one piece, byte by byte and in odd pieces: with different results it ends.

#include "case.h"

#include "http_chunk.h"
#include "http_head.h"

struct reading {
	struct http_head head;
	struct http_chunk chunk;
	struct result result;
};

static void refuse(struct result *r, const char *reason, size_t at)
{
	r->verdict = VERDICT_REFUSE;
	r->reason = reason;
	r->end = at;
}

static void complete(struct result *r, size_t at)
{
	r->verdict = VERDICT_ACCEPT;
	r->reason = "";
	r->end = at;
}

static void keep(struct result *r, const char *bytes, size_t n)
{
	memcpy(r->body + r->body_n, bytes, n);
	r->body_n += n;
}

static void feed_chunks(struct reading *in, const char *bytes, size_t from, size_t to)
{
	struct span rest = {bytes + from, to - from}, data;

	for (;;) {
		switch ((enum http_chunk_outcome)http_chunk_next(&in->chunk, &rest, &data)) {
		case HTTP_CHUNK_DATA: keep(&in->result, data.p, data.n); break;
		case HTTP_CHUNK_OK: in->result.end = to; return;
		case HTTP_CHUNK_END: complete(&in->result, (size_t)(rest.p - bytes)); return;
		case HTTP_CHUNK_BAD: refuse(&in->result, "chunk", (size_t)(rest.p - bytes)); return;
		}
	}
}

// BYTES from FROM to TO have come behind the head.
static void feed_body(struct reading *in, const char *bytes, size_t from, size_t to)
{
	struct result *r = &in->result;
	size_t most = (size_t)MIN(to - from, in->head.length - r->body_n);

	switch (in->head.body) {
	case HTTP_BODY_NONE: complete(r, from); break;
	case HTTP_BODY_LENGTH:
		keep(r, bytes + from, most);
		r->end = from + most;
		if (r->body_n == in->head.length)
			complete(r, from + most);
		break;
	case HTTP_BODY_CHUNKED: feed_chunks(in, bytes, from, to); break;
	case HTTP_BODY_CLOSE:
		keep(r, bytes + from, to - from);
		r->end = to;
		break;
	}
}

static void describe_head(struct reading *in, bool request)
{
	static const char *const framings[] = {[HTTP_BODY_NONE] = "none",
		[HTTP_BODY_LENGTH] = "length",
		[HTTP_BODY_CHUNKED] = "chunked",
		[HTTP_BODY_CLOSE] = "close"};
	static char status[12];
	struct result *r = &in->result;

	snprintf(status, sizeof status, "%u", in->head.status);
	r->start = request ? in->head.method_text.p : status;
	r->start_n = request ? in->head.method_text.n : strlen(status);
	r->target = in->head.target.p;
	r->target_n = in->head.target.n;
	r->minor = in->head.minor;
	r->length = in->head.length;
	r->framing = framings[in->head.body];
	if (in->head.body == HTTP_BODY_LENGTH && r->length == 0)
		r->framing = "none";
	r->n_fields = in->head.n_fields;
	for (size_t i = 0; i < r->n_fields; i++) {
		r->fields[i].name = in->head.fields[i].name.p;
		r->fields[i].name_n = in->head.fields[i].name.n;
		r->fields[i].value = in->head.fields[i].value.p;
		r->fields[i].value_n = in->head.fields[i].value.n;
	}
	r->reason = "body";
}

// Returns the size of the head, or 0 when the result is there.
static size_t parse_head(struct reading *in, enum case_kind kind, const char *bytes, size_t size)
{
	const char *why = NULL;
	int r = kind == CASE_REQUEST ? http_request_parse(&in->head, bytes, size, &why)
				     : http_response_parse(&in->head, bytes, size,
					       kind == CASE_RESPONSE_TO_HEAD, &why);

	if (r != HTTP_OK) {
		refuse(&in->result, why, size);
		return 0;
	}
	describe_head(in, kind == CASE_REQUEST);
	return size;
}

// STEP bytes at a time; with 0 pieces of sizes that N makes up.
static void read_case(
	struct reading *in, enum case_kind kind, const char *bytes, size_t n, size_t step)
{
	struct result *r = &in->result;
	size_t scanned = 0, size = 0, head = 0;
	uint32_t seed = (uint32_t)n + 1;

	memset(&in->chunk, 0, sizeof in->chunk);
	memset(r, 0, offsetof(struct result, body));
	r->n_fields = 0;
	r->verdict = VERDICT_MORE;
	r->reason = "head";
	r->framing = "";
	for (size_t have = 0, before; have < n && r->verdict == VERDICT_MORE;) {
		seed = seed * 1664525 + 1013904223;
		before = have;
		have = MIN(n, have + (step > 0 ? step : (seed >> 16) % 23 + 1));
		if (head == 0) {
			int found =
				http_head_find(bytes, have, kind == CASE_REQUEST, &scanned, &size);
			if (found == HTTP_BAD)
				refuse(r, "line", 0);
			else if (found == HTTP_TOO_LARGE)
				refuse(r, "large", 0);
			if (found == HTTP_OK)
				before = head = parse_head(in, kind, bytes, size);
		}
		if (head > 0)
			feed_body(in, bytes, before, have);
	}
	if (r->verdict == VERDICT_MORE && head > 0 && in->head.body == HTTP_BODY_CLOSE)
		complete(r, n); // what comes after a case is the end of its connection
}

static bool same(const struct result *a, const struct result *b)
{
	return a->verdict == b->verdict && strcmp(a->reason, b->reason) == 0 && a->end == b->end &&
	       a->n_fields == b->n_fields && a->body_n == b->body_n &&
	       strcmp(a->framing, b->framing) == 0 && memcmp(a->body, b->body, a->body_n) == 0;
}

int main(void)
{
	static struct reading whole, pieces;
	static char bytes[CASE_MAX];
	enum case_kind kind;
	size_t n;

	while (case_read(&kind, bytes, &n)) {
		read_case(&whole, kind, bytes, n, CASE_MAX);
		for (size_t step = 0; step < 2; step++) {
			read_case(&pieces, kind, bytes, n, step);
			if (!same(&whole.result, &pieces.result))
				errx(1, "in pieces another result: %s, not %s\n%.*s",
					pieces.result.reason, whole.result.reason, (int)n, bytes);
		}
		case_write(&whole.result);
	}
	return 0;
}
