// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What is wrong with a request, collected so that its sender learns of all mistakes from one
// answer: a JSON array that goes into `errors` as it is, and a sentence for `detail`.

#pragma once

#include "buf.h"

enum {
	FINDINGS_MAX = 32,            // named; the rest is counted
	FINDINGS_SAID_MAX = 48 << 10, // a cap for the buffer that is enough for them
	FINDINGS_SUMMARY_SIZE = 640,
	FINDINGS_NAME_MAX = 128, // bytes of a name of the sender's own that are repeated
};

// What reading a request can come to, besides a negative errno.
enum findings_outcome {
	FINDINGS_NONE = 0,
	FINDINGS_NOT_JSON = 1, // `said` is a sentence that says where
	FINDINGS_INVALID = 2,  // `said` is the array, `summary` the sentence
};

struct findings {
	struct buf *said;
	unsigned n;
	int failed; // errno of a buffer that could not grow
	char first[FINDINGS_SUMMARY_SIZE - 32];
};

// A member: PREFIX ("" or "/limits") and NAME are written as a JSON pointer (RFC 6901). A NAME of
// {NULL, 0} is the whole document. DETAIL is a sentence.
void finding_member(
	struct findings *findings, const char *prefix, struct span name, const char *detail);
// Writes REASON, which may lack its capital and full stop, as a sentence to OUT: parsers and the
// supervisor leave that to what it is put into.
enum { FINDINGS_SENTENCE_SIZE = 600 };
struct span finding_sentence(char out[FINDINGS_SENTENCE_SIZE], struct span reason);
// The same as finding_member() for a member of the document and such a REASON.
void finding_reason(struct findings *findings, struct span name, struct span reason);
// A member that does not exist.
void finding_unknown(struct findings *findings, const char *prefix, struct span name);
// A parameter of a query.
void finding_parameter(struct findings *findings, struct span name, const char *detail);
// A field of the head.
void finding_field(struct findings *findings, struct span name, const char *detail);

// Returns FINDINGS_NONE, FINDINGS_INVALID with SUMMARY, the first of them and how many more, or a
// negative errno.
int findings_end(struct findings *findings, char summary[FINDINGS_SUMMARY_SIZE]) WARN_UNUSED;
