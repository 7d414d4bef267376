// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Tunnels in words.

#include "tunnel_text.h"

#include "api.h"
#include "clean.h"
#include "terminal.h"

#include <inttypes.h>

static void print_label(FILE *out, const char *label)
{
	fprintf(out, "%s%-9s%s ", terminal_on(out, STYLE_DIM), label, terminal_off(out, STYLE_DIM));
}

static void print_line(FILE *out, const char *label, const char *text)
{
	if (text[0] == '\0')
		return;
	print_label(out, label);
	clean_print(out, span_of(text));
	fputc('\n', out);
}

static bool is(const json_t *tunnel, const char *name, const char *value)
{
	return strcmp(api_text(tunnel, name), value) == 0;
}

void tunnel_left(const json_t *tunnel, char out[TUNNEL_LEFT_SIZE])
{
	int64_t end;

	if (is(tunnel, "state", "active") &&
		when_point(span_of(api_text(tunnel, "expires_at")), &end) == 0)
		when_words(end - wall_now(), out);
	else
		snprintf(out, TUNNEL_LEFT_SIZE, "%s", api_text(tunnel, "state"));
}

static void print_end(FILE *out, const json_t *tunnel)
{
	char left[TUNNEL_LEFT_SIZE];
	bool active = is(tunnel, "state", "active");
	const char *at = api_text(tunnel, active ? "expires_at" : "ended_at");

	tunnel_left(tunnel, left);
	print_label(out, active ? "ends" : "state");
	fputs(active ? "in " : "", out);
	clean_print(out, span_of(left));
	if (at[0] != '\0') {
		fputs(active ? ", at " : " since ", out);
		clean_print(out, span_of(at));
	}
	fputc('\n', out);
}

void tunnel_print_access(FILE *out, const json_t *tunnel)
{
	const char *secret = api_text(tunnel, "secret");

	print_line(out, "share", api_text(tunnel, "share_url"));
	if (is(tunnel, "auth", "none"))
		print_line(out, "visitors", "need the URL and nothing else");
	else if (secret[0] == '\0')
		print_line(out, "visitors", "need the secret that was shown when it was made");
	else if (is(tunnel, "auth", "basic"))
		print_line(out, "visitors", "log in with any user name and this password:");
	else
		print_line(
			out, "programs", "send the header Authorization: Bearer and this secret:");
	print_line(out, "secret", secret);
	print_end(out, tunnel);
}

static void print_limits(FILE *out, const json_t *limits)
{
	static const struct {
		const char *name, *words;
	} known[] = {
		{"connections", "connections at once"},
		{"requests", "requests in all"},
		{"bytes", "bytes in all"},
		{"request_rate", "requests a second"},
	};
	const char *before = "";

	if (!json_is_object(limits))
		return;
	print_label(out, "limits");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const json_t *value = json_object_get(limits, known[i].name);
		if (!json_is_integer(value))
			continue;
		fprintf(out, "%s%" JSON_INTEGER_FORMAT " %s", before, json_integer_value(value),
			known[i].words);
		before = ", ";
	}
	fputs(before[0] == '\0' ? "none\n" : "\n", out);
}

static json_int_t counter(const json_t *counters, const char *name)
{
	return json_integer_value(json_object_get(counters, name));
}

// 1234567 as "1.2 MB".
static void bytes_words(json_int_t bytes, char *out, size_t size)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)MAX(bytes, 0);
	size_t unit = 0;

	while (value >= 1000 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1000;
		unit++;
	}
	snprintf(out, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void print_counters(FILE *out, const json_t *counters)
{
	char in[32], sent[32];

	if (!json_is_object(counters))
		return;
	bytes_words(counter(counters, "bytes_in"), in, sizeof in);
	bytes_words(counter(counters, "bytes_out"), sent, sizeof sent);
	print_label(out, "requests");
	fprintf(out, "%" JSON_INTEGER_FORMAT ", %s in, %s out\n", counter(counters, "requests"), in,
		sent);
	print_label(out, "visitors");
	fprintf(out, "%" JSON_INTEGER_FORMAT " connections, %" JSON_INTEGER_FORMAT " open now\n",
		counter(counters, "connections"), counter(counters, "open"));
	if (json_object_get(counters, "agents") != NULL) {
		print_label(out, "agents");
		fprintf(out, "%" JSON_INTEGER_FORMAT "\n", counter(counters, "agents"));
	}
	print_line(out, "last used", api_text(counters, "last_activity"));
}

void tunnel_print_all(FILE *out, const json_t *tunnel)
{
	json_t *urls = json_object_get(tunnel, "urls"), *url;
	size_t i;

	print_line(out, "id", api_text(tunnel, "id"));
	print_line(out, "name", api_text(tunnel, "name"));
	json_array_foreach(urls, i, url) if (json_is_string(url))
		print_line(out, i == 0 ? "url" : "or", json_string_value(url));
	print_end(out, tunnel);
	print_line(out, "backend",
		is(tunnel, "mode", "pull") ? "what an agent serves" : api_text(tunnel, "backend"));
	print_line(out, "auth", api_text(tunnel, "auth"));
	print_line(out, "made by", api_text(tunnel, "token"));
	print_line(out, "made at", api_text(tunnel, "created_at"));
	print_limits(out, json_object_get(tunnel, "limits"));
	print_counters(out, json_object_get(tunnel, "counters"));
}

// Jansson leaves DEL as it is. It can only be inside a text.
static int write_json(const char *bytes, size_t n, void *out)
{
	while (n > 0) {
		const char *del = memchr(bytes, 0x7f, n);
		size_t before = del != NULL ? (size_t)(del - bytes) : n;
		fwrite(bytes, 1, before, out);
		if (del != NULL)
			fputs("\\u007f", out);
		bytes += before + (del != NULL);
		n -= before + (del != NULL);
	}
	return ferror(out) ? -1 : 0;
}

int tunnel_print_json(FILE *out, const json_t *document, int compact)
{
	size_t flags = JSON_ENSURE_ASCII | (compact ? JSON_COMPACT : JSON_INDENT(2));

	if (json_dump_callback(document, write_json, out, flags) != 0)
		return -EIO;
	fputc('\n', out);
	return 0;
}
