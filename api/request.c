// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "request.h"

static void split_target(struct request *request)
{
	struct span path = request->head.path;
	const char *mark = path.n > 0 ? memchr(path.p, '?', path.n) : NULL;
	request->path = path;
	if (mark == NULL)
		return;
	request->path.n = (size_t)(mark - path.p);
	request->query = (struct span){mark + 1, path.n - request->path.n - 1};
}

struct request *request_new(struct buf *in, size_t size, int *r, const char **why)
{
	struct request *request = calloc(1, sizeof *request + size);
	if (request == NULL)
		return NULL;
	memcpy(request->bytes, buf_span(in).p, size);
	buf_wipe_front(in, size);
	request->size = size;
	buf_init(&request->body, REQUEST_BODY_MAX);
	*r = http_request_parse(&request->head, request->bytes, size, why);
	if (*r != HTTP_OK)
		return request;
	split_target(request);
	if (request->head.body == HTTP_BODY_LENGTH)
		request->left = request->head.length;
	return request;
}

void request_free(struct request *request)
{
	if (request == NULL)
		return;
	buf_wipe(&request->body);
	explicit_bzero(request->bytes, request->size);
	free(request);
}

bool request_has_body(const struct request *request)
{
	return request->head.body == HTTP_BODY_CHUNKED || request->left > 0;
}

static int take_length(struct request *request, struct buf *in)
{
	size_t n = MIN(buf_len(in), request->left);
	if (n > 0) {
		int r = buf_add(&request->body, buf_span(in).p, n);
		if (r < 0)
			return r == -ENOBUFS ? REQUEST_TOO_LARGE : r;
		buf_wipe_front(in, n);
		request->left -= n;
	}
	return request->left == 0 ? 0 : REQUEST_MORE;
}

static int take_chunks(struct request *request, struct buf *in)
{
	for (;;) {
		struct span rest = buf_span(in), data;
		size_t had = rest.n;
		int outcome = http_chunk_next(&request->chunk, &rest, &data);
		int r = outcome == HTTP_CHUNK_DATA ? buf_add_span(&request->body, data) : 0;
		if (had > rest.n)
			buf_wipe_front(in, had - rest.n);
		if (r < 0)
			return r == -ENOBUFS ? REQUEST_TOO_LARGE : r;
		if (outcome == HTTP_CHUNK_END)
			return 0;
		if (outcome != HTTP_CHUNK_DATA)
			return outcome == HTTP_CHUNK_OK ? REQUEST_MORE : REQUEST_BAD;
	}
}

int request_take_body(struct request *request, struct buf *in)
{
	if (request->left > REQUEST_BODY_MAX)
		return REQUEST_TOO_LARGE;
	return request->head.body == HTTP_BODY_CHUNKED ? take_chunks(request, in)
						       : take_length(request, in);
}
