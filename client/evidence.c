// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "evidence.h"

#include "bytes.h"
#include "hex.h"
#include "json_read.h"

void evidence_deinit(struct evidence *evidence)
{
	event_log_deinit(&evidence->log);
	for (size_t i = 0; i < evidence->n_memory; i++)
		free(evidence->memory[i]);
	*evidence = (struct evidence){0};
}

char *evidence_memory(struct evidence *evidence, size_t n)
{
	if (evidence->n_memory == ARRAY_SIZE(evidence->memory))
		return NULL;
	char *memory = malloc(n > 0 ? n : 1);
	if (memory != NULL)
		evidence->memory[evidence->n_memory++] = memory;
	return memory;
}

void evidence_set_log(struct evidence *evidence, const json_t *log)
{
	CLEANUP(json_p) json_t *array = NULL;
	struct span text = {json_string_value(log), json_string_length(log)};
	array = json_is_string(log) ? json_read(text, EVENT_LOG_MAX) : json_deep_copy(log);
	event_log_deinit(&evidence->log);
	evidence->has_log = true;
	evidence->log_malformed = !event_log_read(&evidence->log, array, &evidence->log_why);
}

void evidence_read_log(struct evidence *evidence, struct span bytes)
{
	CLEANUP(json_p) json_t *log = json_read(bytes, EVENT_LOG_MAX);
	evidence_set_log(evidence, log);
}

static bool set_text(struct evidence *evidence, struct span *out, struct span text)
{
	char *copy = evidence_memory(evidence, text.n);
	if (copy == NULL)
		return false;
	memcpy(copy, text.p, text.n);
	*out = (struct span){copy, text.n};
	return true;
}

static bool read_hex(struct evidence *evidence, struct span text, struct why *why)
{
	while (text.n > 0 && strchr(" \t\r\n", text.p[text.n - 1]) != NULL)
		text.n--;
	if (span_starts(text, SPAN("0x")))
		bytes_take(&text, 2, NULL);
	char *bytes = text.n <= 2 * QUOTE_MAX ? evidence_memory(evidence, text.n / 2) : NULL;
	if (bytes == NULL || hex_decode(bytes, text.n / 2, text) != 0)
		return why_not(why, "the quote is not hex");
	evidence->quote = (struct span){bytes, text.n / 2};
	return true;
}

bool evidence_read_object(struct evidence *evidence, const json_t *object, struct why *why)
{
	struct span quote = json_member_text(object, "quote");
	struct span compose = json_member_text(object, "app_compose");
	const json_t *log = json_object_get(object, "event_log");
	if (quote.p == NULL)
		return why_not(why, "no JSON object with a quote");
	if (!read_hex(evidence, quote, why))
		return false;
	if (log != NULL && !json_is_null(log))
		evidence_set_log(evidence, log);
	if (compose.p != NULL && !set_text(evidence, &evidence->app_compose, compose))
		return why_not(why, "out of memory");
	return true;
}

static bool read_json(struct evidence *evidence, struct span bytes, struct why *why)
{
	CLEANUP(json_p) json_t *json = json_read(bytes, EVIDENCE_MAX);
	return evidence_read_object(evidence, json, why);
}

bool evidence_read(struct evidence *evidence, struct span bytes, struct why *why)
{
	*evidence = (struct evidence){0};
	if (bytes.n == 0)
		return why_not(why, "the evidence is empty");
	// A quote begins with its version, SCALE with two zeros, DER with a sequence's tag.
	unsigned char first = (unsigned char)bytes.p[0];
	if (first == 0)
		return evidence_read_scale(evidence, bytes, why);
	if (first == 0x30 && bytes.n > 1 && (bytes.p[1] & 0x80) != 0)
		return evidence_read_certificate(evidence, bytes, why);
	if (span_starts(bytes, SPAN("-----BEGIN")))
		return evidence_read_certificate(evidence, bytes, why);
	if (first == '{')
		return read_json(evidence, bytes, why);
	if (strchr("0123456789abcdefABCDEF", first) != NULL)
		return read_hex(evidence, bytes, why);
	evidence->quote = bytes;
	return true;
}
