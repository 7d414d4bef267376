// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "token_request.h"

#include "document.h"

struct reader {
	struct document document;
	struct token_request *request;
	uint64_t max_quota;
};

static struct reader *reader_of(struct document *document)
{
	return container_of(document, struct reader, document);
}

static void read_name(struct document *document, const char *name, json_t *value)
{
	document_name(document, name, value, reader_of(document)->request->name);
}

static void read_quota(struct document *document, const char *name, json_t *value)
{
	struct reader *reader = reader_of(document);
	document_number(document, "", name, value, reader->max_quota, &reader->request->quota);
}

static void read_life(struct document *document, const char *name, json_t *value)
{
	document_number(
		document, "", name, value, TOKEN_LIFE_MAX_S, &reader_of(document)->request->life_s);
}

static const struct document_member members[] = {
	{"name", read_name, NULL},
	{"quota", read_quota, NULL},
	{"life", read_life, NULL},
};

int token_request_parse(
	struct token_request *request, struct span body, uint64_t max_quota, struct buf *said)
{
	*request = (struct token_request){
		.quota = MIN((uint64_t)TOKEN_QUOTA_DEFAULT, max_quota),
		.life_s = TOKEN_LIFE_DEFAULT_S,
	};
	struct reader reader = {
		.document.findings.said = said, .request = request, .max_quota = max_quota};
	return document_read(
		&reader.document, body, members, ARRAY_SIZE(members), request->summary);
}
