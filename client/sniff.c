// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "sniff.h"

#include "http_head.h"

enum side_state {
	SIDE_HEAD = 0,
	SIDE_LENGTH,
	SIDE_CHUNKED,
	SIDE_CLOSE, // until the end of the connection
};

struct sniff_record {
	struct instant begun;
	uint64_t bytes_in, bytes_out;
	unsigned status;
	bool to_head;
	uint8_t method_size;
	uint16_t path_size;
	char text[]; // the method, then the path
};

void sniff_init(struct sniff *sniff)
{
	*sniff = (struct sniff){0};
	buf_init(&sniff->request.head, SNIFF_HEAD_MAX);
	buf_init(&sniff->response.head, SNIFF_HEAD_MAX);
}

void sniff_deinit(struct sniff *sniff)
{
	buf_reset(&sniff->request.head);
	buf_reset(&sniff->response.head);
	free(sniff->record);
	sniff->record = NULL;
	sniff->done = true;
}

static struct sniff_record *record_new(const struct http_head *head, struct instant now)
{
	size_t method = MIN(head->method_text.n, (size_t)SNIFF_METHOD_MAX);
	size_t path = MIN(head->path.n, (size_t)SNIFF_PATH_MAX);
	struct sniff_record *record = malloc(sizeof *record + method + path);
	if (record == NULL)
		return NULL;
	*record = (struct sniff_record){
		.begun = now,
		.to_head = head->method == HTTP_HEAD,
		.method_size = (uint8_t)method,
		.path_size = (uint16_t)path,
	};
	memcpy(record->text, head->method_text.p, method);
	if (path > 0)
		memcpy(record->text + method, head->path.p, path);
	return record;
}

static void report(struct sniff *sniff, bool cut, struct instant now, struct sniff_sink *sink)
{
	struct sniff_record *record = sniff->record;
	struct sniff_report told = {
		.method = {record->text, record->method_size},
		.path = {record->text + record->method_size, record->path_size},
		.status = record->status,
		.us = instant_diff_us(now, record->begun),
		.bytes_in = record->bytes_in,
		.bytes_out = record->bytes_out,
		.cut = cut,
	};
	sniff->record = NULL;
	sink->report(sink, &told);
	free(record);
}

// ---- bodies

static void begin_body(struct sniff_side *side, const struct http_head *head)
{
	switch (head->body) {
	case HTTP_BODY_NONE: side->state = SIDE_HEAD; break;
	case HTTP_BODY_LENGTH:
		side->left = head->length;
		side->state = side->left > 0 ? SIDE_LENGTH : SIDE_HEAD;
		break;
	case HTTP_BODY_CHUNKED:
		side->chunk = (struct http_chunk){0};
		side->state = SIDE_CHUNKED;
		break;
	case HTTP_BODY_CLOSE: side->state = SIDE_CLOSE; break;
	}
}

// Takes what of *IN belongs to the chunked body and counts it. Returns whether it made sense.
static bool take_chunks(struct sniff_side *side, struct span *in, uint64_t *bytes)
{
	struct span data;
	for (;;) {
		switch (http_chunk_next(&side->chunk, in, &data)) {
		case HTTP_CHUNK_OK: return true;
		case HTTP_CHUNK_DATA: *bytes += data.n; break;
		case HTTP_CHUNK_END: side->state = SIDE_HEAD; return true;
		default: return false;
		}
	}
}

static bool take_body(struct sniff_side *side, struct span *in, uint64_t *bytes)
{
	if (side->state == SIDE_CHUNKED)
		return take_chunks(side, in, bytes);
	size_t n = in->n;
	if (side->state == SIDE_LENGTH) {
		n = (size_t)MIN((uint64_t)n, side->left);
		side->left -= n;
		if (side->left == 0)
			side->state = SIDE_HEAD;
	}
	*bytes += n;
	*in = (struct span){in->p + n, in->n - n};
	return true;
}

// ---- heads

// Finds a head at the start of *IN, behind what came before. Returns it and takes it off *IN; the
// absent span when there is none yet. *OK is false when there will never be one.
static struct span take_head(struct sniff_side *side, struct span *in, bool request, bool *ok)
{
	const struct span none = {NULL, 0};
	size_t before = buf_len(&side->head), added = 0, size = 0;
	struct span all = *in;
	if (before > 0) {
		added = MIN(in->n, (size_t)SNIFF_HEAD_MAX - before);
		*ok = buf_add(&side->head, in->p, added) == 0;
		if (!*ok)
			return none;
		all = buf_span(&side->head);
	}
	int found = http_head_find(all.p, all.n, request, &side->scanned, &size);
	if (found == HTTP_MORE) {
		*ok = before > 0 ? added == in->n : buf_add(&side->head, in->p, in->n) == 0;
		*in = (struct span){in->p + in->n, 0};
		return none;
	}
	*ok = found == HTTP_OK;
	if (found != HTTP_OK)
		return none;
	side->scanned = 0;
	*in = (struct span){in->p + (size - before), in->n - (size - before)};
	return (struct span){all.p, size};
}

static bool request_head(struct sniff *sniff, struct span text, struct instant now)
{
	struct http_head head;
	if (sniff->record != NULL || http_request_parse(&head, text.p, text.n, NULL) != HTTP_OK)
		return false;
	sniff->record = record_new(&head, now);
	if (sniff->record == NULL)
		return false;
	begin_body(&sniff->request, &head);
	return true;
}

// Whether reading goes on.
static bool response_head(struct sniff *sniff, struct span text)
{
	struct http_head head;
	bool to_head = sniff->record->to_head;
	if (http_response_parse(&head, text.p, text.n, to_head, NULL) != HTTP_OK)
		return false;
	if (head.status < 200 && head.status != 101)
		return true; // the answer is still to come
	sniff->record->status = head.status;
	if (head.status != 101)
		begin_body(&sniff->response, &head);
	return true;
}

// ---- the two directions

void sniff_request(struct sniff *sniff, struct span bytes, struct instant now)
{
	struct sniff_side *side = &sniff->request;
	while (bytes.n > 0 && !sniff->done) {
		bool ok = true;
		if (side->state == SIDE_HEAD) {
			struct span head = take_head(side, &bytes, true, &ok);
			ok = ok && (head.p == NULL || request_head(sniff, head, now));
			if (head.p != NULL)
				buf_reset(&side->head);
		} else {
			uint64_t ignored = 0;
			ok = take_body(side, &bytes,
				sniff->record != NULL ? &sniff->record->bytes_in : &ignored);
		}
		if (!ok)
			sniff_deinit(sniff);
	}
}

// After a head or a piece of a body of the answer: whether it is over, and so told.
static void settle(struct sniff *sniff, struct instant now, struct sniff_sink *sink)
{
	unsigned status = sniff->record->status;
	if (status == 0 || sniff->response.state != SIDE_HEAD)
		return;
	report(sniff, false, now, sink);
	if (status == 101)
		sniff_deinit(sniff);
}

void sniff_response(
	struct sniff *sniff, struct span bytes, struct instant now, struct sniff_sink *sink)
{
	struct sniff_side *side = &sniff->response;
	while (bytes.n > 0 && !sniff->done) {
		bool ok = sniff->record != NULL; // an answer to nothing is not HTTP
		if (ok && side->state == SIDE_HEAD) {
			struct span head = take_head(side, &bytes, false, &ok);
			ok = ok && (head.p == NULL || response_head(sniff, head));
			if (head.p != NULL)
				buf_reset(&side->head);
		} else if (ok) {
			ok = take_body(side, &bytes, &sniff->record->bytes_out);
		}
		if (ok)
			settle(sniff, now, sink);
		else
			sniff_deinit(sniff);
	}
}

void sniff_response_end(struct sniff *sniff, struct instant now, struct sniff_sink *sink)
{
	if (sniff->done || sniff->record == NULL || sniff->response.state != SIDE_CLOSE)
		return;
	sniff->response.state = SIDE_HEAD;
	settle(sniff, now, sink);
	sniff_deinit(sniff); // nothing can follow
}

void sniff_end(struct sniff *sniff, struct instant now, struct sniff_sink *sink)
{
	if (!sniff->done && sniff->record != NULL)
		report(sniff, true, now, sink);
	sniff_deinit(sniff);
}
