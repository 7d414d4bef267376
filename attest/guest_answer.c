// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "guest_answer.h"

#include "hex.h"

#include <jansson.h>

static void json_free_p(json_t **value)
{
	json_decref(*value);
}

static json_t *load(const char *text, size_t n)
{
	return json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
}

// The member NAME as text; "" where there is none.
static const char *member(const json_t *object, const char *name, size_t *n)
{
	const json_t *value = json_object_get(object, name);
	*n = json_string_length(value);
	return json_is_string(value) ? json_string_value(value) : "";
}

static char *copy(const char *text, size_t n, size_t most)
{
	return n > 0 && n <= most ? strndup(text, n) : NULL;
}

void quote_deinit(struct quote *quote)
{
	free(quote->hex);
	free(quote->event_log);
	free(quote->vm_config);
	*quote = (struct quote){0};
}

// ---- GetQuote

// Intel's layout, see "TDX DCAP Quoting Library API": version at 0, TEE type at 4, report_data in
// the body, which begins at 48 in version 4 and at 54 in version 5.
enum {
	AT_VERSION = 0,
	AT_TEE_TYPE = 4,
	REPORT_DATA_IN_BODY = 520,
	BODY_V4 = 48,
	BODY_V5 = 54,
	TEE_TDX = 0x81,
};

static bool is_about(const uint8_t *quote, size_t n, const uint8_t report_data[REPORT_DATA_SIZE])
{
	if (n < BODY_V5 + REPORT_DATA_IN_BODY + REPORT_DATA_SIZE)
		return false;
	unsigned version = (unsigned)(quote[AT_VERSION] | quote[AT_VERSION + 1] << 8);
	size_t body = version == 4 ? BODY_V4 : version == 5 ? BODY_V5 : 0;
	static const uint8_t tdx[] = {TEE_TDX, 0, 0, 0};
	return body != 0 && memcmp(quote + AT_TEE_TYPE, tdx, sizeof tdx) == 0 &&
	       memcmp(quote + body + REPORT_DATA_IN_BODY, report_data, REPORT_DATA_SIZE) == 0;
}

static enum guest_outcome read_quote(
	const json_t *answer, const uint8_t report_data[REPORT_DATA_SIZE], char **hex)
{
	static uint8_t bytes[QUOTE_MAX];
	size_t n;
	const char *text = member(answer, "quote", &n);
	if (n >= 2 && text[0] == '0' && text[1] == 'x') {
		text += 2;
		n -= 2;
	}
	if (n == 0 || n % 2 != 0)
		return GUEST_MALFORMED;
	if (n / 2 > QUOTE_MAX)
		return GUEST_TOO_LARGE;
	if (hex_decode(bytes, n / 2, (struct span){text, n}) < 0)
		return GUEST_MALFORMED;
	if (!is_about(bytes, n / 2, report_data))
		return GUEST_MISMATCH;
	*hex = malloc(n + 1);
	if (*hex == NULL)
		return GUEST_TOO_LARGE;
	hex_encode(*hex, bytes, n / 2);
	return GUEST_OK;
}

// The event log is a string that holds JSON.
static enum guest_outcome read_event_log(const json_t *answer, char **event_log)
{
	size_t n;
	const char *text = member(answer, "event_log", &n);
	if (n > EVENT_LOG_MAX)
		return GUEST_TOO_LARGE;
	CLEANUP(json_free_p) json_t *log = load(text, n);
	if (!json_is_array(log))
		return GUEST_MALFORMED;
	*event_log = json_dumps(log, JSON_COMPACT);
	if (*event_log == NULL || strlen(*event_log) > EVENT_LOG_MAX)
		return GUEST_TOO_LARGE;
	return GUEST_OK;
}

enum guest_outcome guest_answer_quote(
	struct span body, const uint8_t report_data[REPORT_DATA_SIZE], struct quote *quote)
{
	size_t n;
	*quote = (struct quote){0};
	CLEANUP(json_free_p) json_t *answer = load(body.p, body.n);
	if (!json_is_object(answer))
		return GUEST_MALFORMED;
	enum guest_outcome outcome = read_quote(answer, report_data, &quote->hex);
	if (outcome == GUEST_OK)
		outcome = read_event_log(answer, &quote->event_log);
	if (outcome != GUEST_OK) {
		quote_deinit(quote);
		return outcome;
	}
	const char *vm_config = member(answer, "vm_config", &n);
	quote->vm_config = copy(vm_config, n, EVENT_LOG_MAX);
	return GUEST_OK;
}

// ---- the others

enum guest_outcome guest_answer_info(struct span body, char **app_compose)
{
	size_t n;
	CLEANUP(json_free_p) json_t *answer = load(body.p, body.n);
	const char *text = member(answer, "tcb_info", &n);
	CLEANUP(json_free_p) json_t *info = load(text, n);
	text = member(info, "app_compose", &n);
	*app_compose = copy(text, n, APP_COMPOSE_MAX);
	if (*app_compose != NULL)
		return GUEST_OK;
	return n > APP_COMPOSE_MAX ? GUEST_TOO_LARGE : GUEST_MALFORMED;
}

enum guest_outcome guest_answer_version(struct span body, char version[VERSION_MAX + 1])
{
	size_t n;
	CLEANUP(json_free_p) json_t *answer = load(body.p, body.n);
	const char *text = member(answer, "version", &n);
	if (n == 0 || n > VERSION_MAX)
		return GUEST_MALFORMED;
	memcpy(version, text, n + 1);
	return GUEST_OK;
}

void guest_answer_error(struct span body, char why[GUEST_WHY_MAX + 1])
{
	size_t n;
	CLEANUP(json_free_p) json_t *answer = load(body.p, body.n);
	const char *text = member(answer, "error", &n);
	n = MIN(n, (size_t)GUEST_WHY_MAX);
	for (size_t i = 0; i < n; i++)
		why[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	why[n] = '\0';
}
