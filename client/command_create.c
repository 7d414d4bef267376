// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunnel create: asks the server for a tunnel. Its members are made here for tunnel up, too.

#include "command_create.h"

#include "account.h"
#include "api.h"
#include "clean.h"
#include "handlers.h"
#include "hex.h"
#include "tunnel_text.h"
#include "when.h"

#include <sys/random.h>

// Options that are members as they stand.
static const struct {
	enum option_id option;
	const char *member;
} text_members[] = {
	{OPTION_AUTH, "auth"},
	{OPTION_NAME, "name"},
	{OPTION_PREFIX, "prefix"},
	{OPTION_ORIGIN, "origin"},
};

static const struct {
	enum option_id option;
	const char *member;
} limit_members[] = {
	{OPTION_CONNECTIONS, "connections"},
	{OPTION_REQUESTS, "requests"},
	{OPTION_BYTES, "bytes"},
	{OPTION_RATE, "request_rate"},
};

// A whole number from 1 on; with k, M, G or T behind it, that times 1000, 1000000 ...
static bool parse_count(const char *text, json_int_t *ret)
{
	static const char units[] = "kMGT";
	const char *unit;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (errno != 0 || number < 1)
		return false;
	unit = end[0] != '\0' ? strchr(units, end[0]) : NULL;
	if (end[0] != '\0' && (unit == NULL || end[1] != '\0'))
		return false;
	for (const char *u = units; unit != NULL && u <= unit; u++)
		if (__builtin_mul_overflow(number, 1000, &number))
			return false;
	*ret = number;
	return true;
}

static int set_member(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value) == 0 ? 0 : -ENOMEM;
}

static int add_limits(json_t *body, const struct invocation *invocation, struct failure *failure)
{
	json_t *limits = json_object();
	json_int_t count;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(limit_members); i++) {
		const char *text = invocation->values[limit_members[i].option];
		if (text == NULL)
			continue;
		if (!parse_count(text, &count))
			r = failure_set(failure, EXIT_CODE_USAGE,
				"--%s: '%s' is no whole number from 1 on; k, M, G may stand behind it",
				option_table[limit_members[i].option].name, text);
		else
			r = set_member(limits, limit_members[i].member, json_integer(count));
	}
	if (r == 0 && json_object_size(limits) > 0)
		return set_member(body, "limits", limits);
	json_decref(limits);
	return r;
}

static int add_timeout(json_t *body, const struct invocation *invocation, struct failure *failure)
{
	const char *text = invocation->values[OPTION_TIMEOUT], *why;
	int64_t seconds;

	if (text == NULL)
		return 0;
	if (when_away(span_of(text), wall_now(), &seconds, &why) != 0)
		return failure_set(failure, EXIT_CODE_USAGE, "--timeout: '%s': %s", text, why);
	return set_member(body, "timeout", json_integer(seconds));
}

int create_members(json_t **ret, const struct invocation *invocation, struct failure *failure)
{
	json_t *body = json_object();
	int r = body != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(text_members); i++) {
		const char *text = invocation->values[text_members[i].option];
		json_t *value = text != NULL ? json_string(text) : NULL;
		if (text != NULL && value == NULL)
			r = failure_set(failure, EXIT_CODE_USAGE, "--%s: it is not UTF-8",
				option_table[text_members[i].option].name);
		else if (text != NULL)
			r = set_member(body, text_members[i].member, value);
	}
	if (r == 0)
		r = add_timeout(body, invocation, failure);
	if (r == 0)
		r = add_limits(body, invocation, failure);
	if (r != 0)
		json_decref(body);
	else
		*ret = body;
	return r;
}

int create_tunnel(
	const struct settings *settings, json_t *body, json_t **ret, struct failure *failure)
{
	uint8_t random[16];
	char key[2 * sizeof random + 1], fields[64];
	int r;

	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -EIO;
	hex_encode(key, random, sizeof random);
	snprintf(fields, sizeof fields, "Idempotency-Key: %s\r\n", key);
	const struct api_call call = {
		.method = "POST", .path = "/_api/tunnels", .body = body, .fields = fields};
	r = api_call(settings, &call, ret, failure);
	// A lost answer is asked for again: under the same key there is one tunnel.
	if (r == EXIT_CODE_UNREACHABLE)
		r = api_call(settings, &call, ret, failure);
	if (r == 0 && (!tunnel_id_ok(span_of(api_text(*ret, "id"))) ||
			      api_text(*ret, "url")[0] == '\0')) {
		json_decref(*ret);
		r = failure_set(failure, EXIT_CODE_UNREACHABLE,
			"what %s calls a tunnel has no id or no url", settings->server.host);
	}
	return r;
}

// PORT and HOST:PORT stand for http.
static int add_backend(json_t *body, const char *operand, struct failure *failure)
{
	bool port = strspn(operand, "0123456789") == strlen(operand);
	bool whole = strstr(operand, "://") != NULL || strncmp(operand, "unix:", 5) == 0;
	const char *front = whole ? "" : port ? "http://127.0.0.1:" : "http://";
	json_t *value = json_sprintf("%s%s", front, operand);

	if (value == NULL)
		return failure_set(
			failure, EXIT_CODE_USAGE, "the backend '%s' is not UTF-8", operand);
	return set_member(body, "backend", value);
}

static void print_created(const json_t *tunnel)
{
	clean_print(stdout, span_of(api_text(tunnel, "url")));
	fputc('\n', stdout);
	fflush(stdout);
	tunnel_print_access(stderr, tunnel);
	if (strcmp(api_text(tunnel, "mode"), "pull") == 0) {
		fprintf(stderr,
			"\nNobody serves it yet. Where the service is, run:\n    tunnel up PORT --attach ");
		clean_print(stderr, span_of(api_text(tunnel, "id")));
		fputc('\n', stderr);
	}
}

int create_run(const struct invocation *invocation, struct failure *failure)
{
	struct account account = {0};
	json_t *body = NULL, *tunnel;
	int r = create_members(&body, invocation, failure);

	if (r != 0)
		return r;
	if (invocation->n_operands > 0)
		r = add_backend(body, invocation->operands[0], failure);
	if (r == 0)
		r = account_open(&account, invocation, failure);
	if (r == 0)
		r = create_tunnel(&account.verified, body, &tunnel, failure);
	account_close(&account);
	json_decref(body);
	if (r != 0)
		return r;
	if (option_given(invocation, OPTION_JSON))
		r = tunnel_print_json(stdout, tunnel, 0);
	else
		print_created(tunnel);
	json_decref(tunnel);
	return r;
}
