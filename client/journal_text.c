// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The form for people. A line of a request has the time, what was asked, how it was answered, how
// long that took and how much it was; on a terminal the path is shortened to make it fit.

#include "clean.h"
#include "journal_form.h"
#include "terminal.h"
#include "tunnel_text.h"
#include "when.h"

#include <inttypes.h>
#include <stdio.h>

enum { WORDS_MAX = 32 };

// "999 B", "1.5 kB", "12 MB": three digits at most.
static const char *size_words(uint64_t bytes, char out[WORDS_MAX])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	size_t unit = 0;
	uint64_t tenths = bytes <= UINT64_MAX / 10 ? bytes * 10 : UINT64_MAX;
	for (; tenths >= 10000; unit++)
		tenths /= 1000;
	if (unit > 0 && tenths < 100)
		snprintf(out, WORDS_MAX, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10,
			units[unit]);
	else
		snprintf(out, WORDS_MAX, "%" PRIu64 " %s", tenths / 10, units[unit]);
	return out;
}

// "12 ms", "1.2 s", "95 s".
static const char *wait_words(int64_t us, char out[WORDS_MAX])
{
	int64_t ms = (us + 500) / 1000;
	if (ms < 1000)
		snprintf(out, WORDS_MAX, "%" PRId64 " ms", ms);
	else if (ms < 10000)
		snprintf(out, WORDS_MAX, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
	else
		snprintf(out, WORDS_MAX, "%" PRId64 " s", ms / 1000);
	return out;
}

// ---- ready

static const char *on(const struct journal *journal, const char *code)
{
	return journal->colour ? code : "";
}

static const char *off(const struct journal *journal)
{
	return journal->colour ? "\033[0m" : "";
}

// Once, before anybody has come: straight to standard error, as tunnel create writes it.
static void text_ready(const struct journal *journal, FILE *out, const struct journal_tunnel *t)
{
	(void)out;
	if (journal->options.quiet)
		return;
	fprintf(stderr, "%sleads to%s  %s\n", terminal_on(stderr, STYLE_DIM),
		terminal_off(stderr, STYLE_DIM), t->target);
	tunnel_print_access(stderr, t->document);
	fprintf(stderr, "%sCtrl-C%s    %s\n\n", terminal_on(stderr, STYLE_DIM),
		terminal_off(stderr, STYLE_DIM),
		t->attached ? "stops serving it; the tunnel stays" : "ends it");
	fflush(stderr);
}

// ---- a request

static const char *status_colour(const struct journal *journal, unsigned status)
{
	static const char *const colours[] = {
		"\033[31m", "\033[36m", "\033[32m", "\033[36m", "\033[33m", "\033[31m"};
	if (!journal->colour)
		return "";
	return colours[status / 100 < ARRAY_SIZE(colours) ? status / 100 : 0];
}

static void text_request(
	const struct journal *journal, FILE *out, const struct sniff_report *request)
{
	enum {
		METHOD = 7,
		AROUND = sizeof "00:00:00 " - 1 + METHOD + sizeof " " - 1 +
			 sizeof "  200 9999 ms 9999 kB" - 1
	};
	char took[WORDS_MAX], size[WORDS_MAX], status[WORDS_MAX] = "---";
	fprintf(out, "%s ", journal->clock);
	clean_print_cell(out, request->method, METHOD);
	fputc(' ', out);
	if (journal->columns > 0)
		clean_print_cell(
			out, request->path, journal->columns - AROUND - (request->cut ? 4 : 0));
	else
		clean_print(out, request->path);
	if (request->status != 0)
		snprintf(status, sizeof status, "%u", request->status);
	fprintf(out, "  %s%s%s %7s %7s%s\n", status_colour(journal, request->status), status,
		off(journal), wait_words(request->us, took), size_words(request->bytes_out, size),
		request->cut ? " cut" : "");
}

// ---- the rest

static void line(const struct journal *journal, FILE *out, const char *text)
{
	fprintf(out, "%s%s ", on(journal, "\033[33m"), journal->clock);
	clean_print(out, span_of(text));
	fprintf(out, "%s\n", off(journal));
}

static void text_link(const struct journal *journal, FILE *out, enum journal_link what,
	const char *reason, unsigned wait_ms)
{
	char text[512];
	if (what == JOURNAL_LINK_RENEWED)
		return; // nothing anybody would notice
	if (what == JOURNAL_LINK_BACK)
		snprintf(text, sizeof text, "connected again");
	else if (wait_ms == 0)
		snprintf(text, sizeof text, "lost the server (%s), trying again", reason);
	else
		snprintf(text, sizeof text, "no server (%s), next try in %u.%u s", reason,
			wait_ms / 1000, wait_ms % 1000 / 100);
	line(journal, out, text);
}

static void text_expiring(const struct journal *journal, FILE *out, unsigned seconds)
{
	char text[128], left[WHEN_WORDS_SIZE];
	when_words(seconds, left);
	snprintf(text, sizeof text, "the tunnel ends in %s; tunnel extend moves the end", left);
	line(journal, out, text);
}

// Why it ended otherwise is the sentence with which the program fails.
static void text_closed(const struct journal *journal, FILE *out, const char *why, int code)
{
	if (code == 0 && !journal->options.quiet)
		line(journal, out, why);
}

const struct journal_form journal_text_form = {
	.ready = text_ready,
	.request = text_request,
	.link = text_link,
	.expiring = text_expiring,
	.note = line,
	.closed = text_closed,
};
