// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "evidence_view.h"

#include "hex.h"
#include "web.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>

enum { STATEMENT_TEXT_MAX = 64 * 1024, DIGEST_DIGITS = 64 };

static const struct span absent = {NULL, 0};

void evidence_view_deinit(struct evidence_view *view)
{
	json_decref(view->instance);
	*view = (struct evidence_view){0};
}

// ---- reading

// The JSON in TEXT, which is base64; NULL: it is not that, or there is no memory.
static json_t *decode(const char *text)
{
	size_t size = text != NULL ? strlen(text) : 0;
	if (size == 0 || size > STATEMENT_TEXT_MAX)
		return NULL;
	char *bytes = malloc(size);
	int n = bytes != NULL ? base64_decode(bytes, size, span_of(text)) : -1;
	json_t *said = n > 0 ? json_loadb(bytes, (size_t)n, 0, NULL) : NULL;
	free(bytes);
	return said;
}

int evidence_view_read(struct evidence_view *view, struct span document)
{
	json_t *whole = json_loadb(document.p, document.n, 0, NULL);
	json_t *instance = json_object_get(whole, "instance");
	const char *state = json_string_value(json_object_get(instance, "quote_state"));
	evidence_view_deinit(view);
	snprintf(view->quote_state, sizeof view->quote_state, "%s", state != NULL ? state : "");
	view->instance = decode(json_string_value(json_object_get(instance, "statement")));
	json_decref(whole);
	return view->instance != NULL ? 0 : -EBADMSG;
}

// ---- words

// Why there is no quote, in the middle of a sentence.
static struct span why_not(const char *state)
{
	static const struct {
		const char *state;
		struct span words;
	} known[] = {
		{"pending", SPAN_INIT("it is still waiting for one")},
		{"unavailable",
			SPAN_INIT("there is no guest service: it does not run in a dstack machine, "
				  "or has no access to its socket")},
		{"slow", SPAN_INIT("the guest service did not answer in time")},
		{"cut_off", SPAN_INIT("the guest service’s answer was cut off")},
		{"too_large", SPAN_INIT("the guest service’s answer was too large")},
		{"malformed", SPAN_INIT("the guest service’s answer could not be read")},
		{"error", SPAN_INIT("the guest service says that it failed")},
		{"mismatch", SPAN_INIT("the guest service gave a quote about something else")},
	};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i].state, state) == 0)
			return known[i].words;
	return SPAN("for a reason that this page has no words for");
}

static struct span text_of(json_t *object, const char *name)
{
	return span_of(json_string_value(json_object_get(object, name)));
}

// HEX as browsers show fingerprints: upper case, in pairs.
static struct span format_fingerprint(struct span hex, char out[DIGEST_DIGITS * 3 / 2])
{
	size_t n = 0;
	for (size_t i = 0; i < hex.n && i < DIGEST_DIGITS; i++) {
		if (i > 0 && i % 2 == 0)
			out[n++] = ':';
		out[n++] = (char)toupper((unsigned char)hex.p[i]);
	}
	return (struct span){out, n};
}

static int add_keys(struct buf *out, json_t *list)
{
	const struct web_file *file = web_file(SPAN("key.html"));
	size_t i;
	json_t *entry;
	json_array_foreach(list, i, entry)
	{
		char fingerprint[DIGEST_DIGITS * 3 / 2];
		bool from_file = json_is_true(json_object_get(entry, "from_file"));
		const struct template_value values[] = {
			{"key", format_fingerprint(text_of(entry, "spki_sha256"), fingerprint)},
			{"file", from_file ? SPAN("") : absent},
		};
		int r = template_fill(out, file->plain, values, ARRAY_SIZE(values));
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_programs(struct buf *out, json_t *list)
{
	const struct web_file *file = web_file(SPAN("program.html"));
	size_t i;
	json_t *entry;
	json_array_foreach(list, i, entry)
	{
		const struct template_value values[] = {
			{"name", text_of(entry, "name")},
			{"hash", text_of(entry, "sha256")},
		};
		int r = template_fill(out, file->plain, values, ARRAY_SIZE(values));
		if (r < 0)
			return r;
	}
	return 0;
}

int evidence_view_values(struct template_value values[EVIDENCE_VALUES],
	const struct evidence_view *view, bool quoted, bool plain, struct buf *keys,
	struct buf *programs)
{
	json_t *tls = json_object_get(view->instance, "tls");
	json_t *source = json_object_get(view->instance, "source");
	bool keyed = json_array_size(tls) > 0;
	int r = add_keys(keys, tls);
	if (r == 0)
		r = add_programs(programs, json_object_get(view->instance, "components"));
	if (r < 0)
		return r;
	const struct template_value said[] = {
		{"evidence", SPAN("")},
		{"quoted", quoted ? SPAN("") : absent},
		{"unquoted", quoted ? absent : why_not(view->quote_state)},
		{"keys", keyed ? buf_span(keys) : absent, .markup = true},
		{"keyless", keyed ? absent : SPAN("")},
		{"plain", keyed && plain ? SPAN("") : absent},
		{"version", text_of(source, "version")},
		{"tree", text_of(source, "tree_sha256")},
		{"config", text_of(view->instance, "config_sha256")},
		{"started", text_of(view->instance, "started_at")},
		{"key", text_of(view->instance, "instance_key")},
		{"programs", buf_span(programs), .markup = true},
	};
	static_assert(ARRAY_SIZE(said) <= EVIDENCE_VALUES, "they have room");
	memset(values, 0, EVIDENCE_VALUES * sizeof values[0]);
	memcpy(values, said, sizeof said);
	return 0;
}
