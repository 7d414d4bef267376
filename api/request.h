// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One request to the API: its head, kept for as long as it is being answered, and its body.

#pragma once

#include "buf.h"
#include "http_chunk.h"
#include "http_head.h"
#include "token.h"

enum { REQUEST_BODY_MAX = 64 * 1024 };

struct request {
	struct http_head head;
	struct span path, query; // of the target; {NULL, 0}: none
	struct buf body;
	struct http_chunk chunk; // private, like `left`
	uint64_t left;
	const void *route; // for the server: what `begin` found out
	struct span id;
	struct token caller; // whose token it was sent with, where one is asked for
	size_t size;
	char bytes[]; // the head, which everything above points into
};

enum request_outcome {
	REQUEST_MORE = 1, // the body has not ended yet; all of the input was taken
	REQUEST_BAD = 2,  // malformed
	REQUEST_TOO_LARGE = 3,
};

// Takes a head of SIZE bytes off the front of IN, wiping it there. Returns NULL without memory. *R
// is what http_request_parse() said, *WHY its reason.
struct request *request_new(struct buf *in, size_t size, int *r, const char **why);
// Wipes and frees it. Harmless on NULL.
void request_free(struct request *request);

bool request_has_body(const struct request *request);

// The id of the token that limits what the caller sees; NULL: nothing does.
static inline const char *request_scope(const struct request *request)
{
	return token_is_owner(request->caller.id) ? NULL : request->caller.id;
}

// Moves what belongs to the body from IN, wiping it there. Returns 0 when the body is complete, an
// outcome, or -ENOMEM.
int request_take_body(struct request *request, struct buf *in) WARN_UNUSED;

// Drops N bytes from the front of a buffer, wiping them: heads hold tokens.
static inline void buf_wipe_front(struct buf *buf, size_t n)
{
	if (buf->base != NULL)
		explicit_bzero(buf->base + buf->start, n);
	buf_consume(buf, n);
}
