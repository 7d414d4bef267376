// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The form for programs: one JSON object a line, with `event` and `time` first.

#include "api.h"
#include "journal_form.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdio.h>

// What is no UTF-8 is taken as Latin-1, so that the line is JSON whatever was said.
static void string(FILE *out, struct span text)
{
	bool utf8 = utf8_valid(text);
	fputc('"', out);
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = (uint8_t)text.p[i];
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void begin(FILE *out, const char *event)
{
	char time[RFC3339_SIZE];
	rfc3339_format(wall_now(), time);
	fprintf(out, "{\"event\":\"%s\",\"time\":\"%s\"", event, time);
}

static void member(FILE *out, const char *name, struct span value)
{
	if (value.p == NULL)
		return;
	fprintf(out, ",\"%s\":", name);
	string(out, value);
}

static void end(FILE *out)
{
	fputs("}\n", out);
}

static void json_ready(
	const struct journal *journal, FILE *out, const struct journal_tunnel *tunnel)
{
	static const char *const members[] = {
		"id", "url", "share_url", "secret", "auth", "name", "expires_at"};
	(void)journal;
	begin(out, "ready");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const char *text = api_text(tunnel->document, members[i]);
		if (text[0] != '\0')
			member(out, members[i], span_of(text));
	}
	member(out, "target", span_of(tunnel->target));
	end(out);
}

static void json_request(
	const struct journal *journal, FILE *out, const struct sniff_report *request)
{
	char status[16] = "null";
	(void)journal;
	begin(out, "request");
	member(out, "method", request->method);
	member(out, "path", request->path);
	if (request->status != 0)
		snprintf(status, sizeof status, "%u", request->status);
	fprintf(out,
		",\"status\":%s,\"ms\":%" PRId64 ".%03d,\"bytes_in\":%" PRIu64
		",\"bytes_out\":%" PRIu64 ",\"cut\":%s",
		status, request->us / 1000, (int)(request->us % 1000), request->bytes_in,
		request->bytes_out, request->cut ? "true" : "false");
	end(out);
}

static void json_link(const struct journal *journal, FILE *out, enum journal_link what,
	const char *reason, unsigned wait_ms)
{
	static const char *const states[] = {
		[JOURNAL_LINK_LOST] = "lost",
		[JOURNAL_LINK_BACK] = "connected",
		[JOURNAL_LINK_RENEWED] = "renewed",
	};
	(void)journal;
	begin(out, "reconnect");
	member(out, "state", span_of(states[what]));
	member(out, "reason", span_of(reason));
	if (what == JOURNAL_LINK_LOST)
		fprintf(out, ",\"wait_ms\":%u", wait_ms);
	end(out);
}

static void json_expiring(const struct journal *journal, FILE *out, unsigned seconds)
{
	(void)journal;
	begin(out, "expiring");
	fprintf(out, ",\"seconds\":%u", seconds);
	end(out);
}

static void json_note(const struct journal *journal, FILE *out, const char *text)
{
	(void)journal;
	begin(out, "note");
	member(out, "text", span_of(text));
	end(out);
}

static void json_closed(const struct journal *journal, FILE *out, const char *why, int code)
{
	(void)journal;
	begin(out, "closed");
	member(out, "reason", span_of(why));
	fprintf(out, ",\"code\":%d", code);
	end(out);
}

const struct journal_form journal_json_form = {
	.to_stdout = true,
	.ready = json_ready,
	.request = json_request,
	.link = json_link,
	.expiring = json_expiring,
	.note = json_note,
	.closed = json_closed,
};
