// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "document.h"

#include "utf8.h"

#include <stdio.h>

#define NUMBER_MAX 9007199254740991.0 // 2^53 - 1: what every JSON reader can hold (RFC 7493)

// ---- values

struct span document_text(const json_t *value)
{
	if (!json_is_string(value))
		return (struct span){NULL, 0};
	return (struct span){json_string_value(value), json_string_length(value)};
}

bool document_number(struct document *document, const char *prefix, const char *name,
	const json_t *value, uint64_t max, uint64_t *ret)
{
	char detail[96];
	double most = max != 0 ? (double)max : NUMBER_MAX;
	double number = json_is_number(value) ? json_number_value(value) : 0;
	if (number >= 1 && number <= most && (double)(uint64_t)number == number) {
		*ret = (uint64_t)number;
		return true;
	}
	snprintf(detail, sizeof detail, "Must be a whole number from 1 to %.0f.", most);
	finding_member(&document->findings, prefix, span_of(name), detail);
	return false;
}

void document_name(struct document *document, const char *name, const json_t *value,
	char out[TUNNEL_NAME_MAX + 1])
{
	struct span text = document_text(value);
	if (text.p == NULL || text.n > TUNNEL_NAME_MAX || !utf8_plain(text)) {
		finding_member(&document->findings, "", span_of(name),
			"Must be a text of at most 128 bytes without control characters.");
		return;
	}
	memcpy(out, text.p, text.n);
	out[text.n] = '\0';
}

// ---- the document

static void read_member(struct document *document, const struct document_member *members, size_t n,
	struct span name, json_t *value)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq(name, span_of(members[i].name))) {
			members[i].read(document, members[i].name, value);
			return;
		}
	finding_unknown(&document->findings, "", name);
}

static void read_object(
	struct document *document, json_t *object, const struct document_member *members, size_t n)
{
	if (!json_is_object(object)) {
		finding_member(&document->findings, "", (struct span){NULL, 0},
			"The document must be an object.");
		return;
	}
	for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
		struct span name = {json_object_iter_key(i), json_object_iter_key_len(i)};
		read_member(document, members, n, name, json_object_iter_value(i));
	}
	for (size_t i = 0; i < n; i++)
		if (members[i].missing != NULL && json_object_get(object, members[i].name) == NULL)
			finding_member(&document->findings, "", span_of(members[i].name),
				members[i].missing);
}

// jansson takes some failures to allocate for bad syntax and passes over others, with a part of the
// text lost: so they are noted here.
static bool out_of_memory;

static void *noting_malloc(size_t n)
{
	void *p = malloc(n);
	if (p == NULL)
		out_of_memory = true;
	return p;
}

void document_prepare_process(void)
{
	json_set_alloc_funcs(noting_malloc, free);
}

static int say_not_json(struct buf *said, struct span body, const json_error_t *error)
{
	if (body.n == 0)
		return buf_printf(said, "The body is empty: send a JSON object.");
	const char *what = "The body is not valid JSON";
	if (json_error_code(error) == json_error_duplicate_key)
		what = "The body names a member twice";
	else if (json_error_code(error) == json_error_numeric_overflow)
		what = "The body has a number beyond all bounds";
	return buf_printf(said, "%s (line %d, column %d).", what, error->line, error->column);
}

int document_read(struct document *document, struct span body,
	const struct document_member *members, size_t n, char summary[FINDINGS_SUMMARY_SIZE])
{
	json_error_t error;
	out_of_memory = false;
	json_t *object = json_loadb(body.p != NULL ? body.p : "", body.n,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL,
		&error);
	if (out_of_memory) {
		json_decref(object);
		return -ENOMEM;
	}
	if (object == NULL) {
		int r = say_not_json(document->findings.said, body, &error);
		return r < 0 ? r : FINDINGS_NOT_JSON;
	}
	read_object(document, object, members, n);
	json_decref(object);
	return findings_end(&document->findings, summary);
}
