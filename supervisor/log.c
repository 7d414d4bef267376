// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "log_line.h"

#include "utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>

static_assert(LOG_LINE_MAX <= PIPE_BUF, "a pipe that is ready takes a whole line");

static enum log_format chosen = LOG_FORMAT_TEXT;
static enum log_level least_level = LOG_INFO;
static uint64_t lost; // lines nobody could read in time
static uint64_t all_written, all_limited, all_unread;

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

void log_init(enum log_format format, enum log_level least)
{
	chosen = format;
	least_level = least;
}

// ---- one line

// Room for the last character's escape, a quote, a brace, the line end.
enum { TAIL = 12 };

void log_line_add(struct log_line *line, const char *format, ...)
{
	va_list args;

	// Only used for parts that are short by their nature; the text goes by
	// log_line_add_escaped().
	va_start(args, format);
	int n = vsnprintf(line->out + line->n, LOG_LINE_MAX - line->n, format, args);
	va_end(args);
	if (n > 0)
		line->n = MIN(line->n + (size_t)n, (size_t)LOG_LINE_MAX - 1);
}

// The length of the well-formed UTF-8 character TEXT begins with, 0 if it does not.
static size_t character_length(struct span text)
{
	for (size_t n = 1; n <= MIN(text.n, (size_t)4); n++)
		if (utf8_valid((struct span){text.p, n}))
			return n;
	return 0;
}

// U+0000 to U+001F, U+007F to U+009F: what would end the line or move a terminal's cursor.
static unsigned control_character(struct span text, size_t n)
{
	unsigned char first = (unsigned char)text.p[0];

	if (n == 1)
		return first < 0x20 || first == 0x7f ? 0x100u | first : 0;
	if (n == 2 && first == 0xc2 && (unsigned char)text.p[1] < 0xa0)
		return 0x100u | (unsigned char)text.p[1];
	return 0;
}

// \u00xx is an escape in all three forms.
void log_line_add_escaped(struct log_line *line, struct span text, bool quoted)
{
	while (text.n > 0 && line->n + TAIL < LOG_LINE_MAX) {
		size_t n = character_length(text);
		unsigned control = n > 0 ? control_character(text, n) : 0;
		if (n == 0) {
			log_line_add(line, "\\ufffd");
			n = 1;
		} else if (control != 0) {
			log_line_add(line, "\\u%04x", control & 0xff);
		} else if (text.p[0] == '\\' || (quoted && text.p[0] == '"')) {
			log_line_add(line, "\\%c", text.p[0]);
		} else {
			memcpy(line->out + line->n, text.p, n);
			line->n += n;
		}
		text = (struct span){text.p + n, text.n - n};
	}
}

static void add_text_form(
	struct log_line *line, const char *level, const struct log_about *about, struct span text)
{
	log_line_add(line, " %-7s ", level);
	if (about->role != NULL)
		log_line_add(line, "%s", about->role);
	if (about->pid != 0)
		log_line_add(line, "[%d]", (int)about->pid);
	if (about->tunnel != NULL)
		log_line_add(line, "%s%s", about->role != NULL || about->pid != 0 ? " " : "",
			about->tunnel);
	if (about->role != NULL || about->pid != 0 || about->tunnel != NULL)
		log_line_add(line, ": ");
	log_line_add_escaped(line, text, false);
}

static void add_logfmt_form(
	struct log_line *line, const char *level, const struct log_about *about, struct span text)
{
	log_line_add(line, " level=%s", level);
	if (about->role != NULL)
		log_line_add(line, " role=%s", about->role);
	if (about->pid != 0)
		log_line_add(line, " pid=%d", (int)about->pid);
	if (about->tunnel != NULL)
		log_line_add(line, " tunnel=%s", about->tunnel);
	log_line_add(line, " msg=\"");
	log_line_add_escaped(line, text, true);
	log_line_add(line, "\"");
}

static void add_json_form(
	struct log_line *line, const char *level, const struct log_about *about, struct span text)
{
	log_line_add(line, "\",\"level\":\"%s\"", level);
	if (about->role != NULL)
		log_line_add(line, ",\"role\":\"%s\"", about->role);
	if (about->pid != 0)
		log_line_add(line, ",\"pid\":%d", (int)about->pid);
	if (about->tunnel != NULL)
		log_line_add(line, ",\"tunnel\":\"%s\"", about->tunnel);
	log_line_add(line, ",\"msg\":\"");
	log_line_add_escaped(line, text, true);
	log_line_add(line, "\"}");
}

size_t log_format_line(char out[LOG_LINE_MAX], enum log_format format, int64_t seconds,
	enum log_level level, const struct log_about *about, struct span text)
{
	static const struct {
		const char *start;
		void (*add)(struct log_line *line, const char *level, const struct log_about *about,
			struct span text);
	} forms[] = {
		[LOG_FORMAT_TEXT] = {"", add_text_form},
		[LOG_FORMAT_LOGFMT] = {"ts=", add_logfmt_form},
		[LOG_FORMAT_JSON] = {"{\"ts\":\"", add_json_form},
	};
	static const struct log_about nothing;
	char time[RFC3339_SIZE];
	struct log_line line = {.out = out};

	rfc3339_format(seconds, time);
	log_line_add(&line, "%s%s", forms[format].start, time);
	forms[format].add(&line, level_names[level], about != NULL ? about : &nothing, text);
	line.out[line.n++] = '\n';
	return line.n;
}

// ---- writing

// Without waiting: poll() says that a pipe has room for a line, and others take what they are
// given.
static bool put(const char *line, size_t n)
{
	struct pollfd pollfd = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&pollfd, 1, 0) != 1 || (pollfd.revents & POLLOUT) == 0)
		return false;
	if (write(STDERR_FILENO, line, n) <= 0)
		return false;
	all_written++;
	return true;
}

static bool put_text(enum log_level level, const struct log_about *about, const char *text)
{
	char line[LOG_LINE_MAX];

	return put(line, log_format_line(line, chosen, wall_now(), level, about, span_of(text)));
}

void log_write(enum log_level level, const struct log_about *about, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	if (level > least_level)
		return;
	if (lost > 0) {
		snprintf(text, sizeof text, "%" PRIu64 " lines were lost: nobody read them", lost);
		if (put_text(LOG_WARNING, NULL, text))
			lost = 0;
	}
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (lost > 0 || !put_text(level, about, text)) {
		lost++;
		all_unread++;
	}
}

void log_line_write(const struct log_line *line)
{
	if (lost > 0 || !put(line->out, line->n)) {
		lost++;
		all_unread++;
	}
}

enum log_format log_chosen_format(void)
{
	return chosen;
}

void log_count_limited(uint64_t n)
{
	all_limited += n;
}

void log_totals(uint64_t *written, uint64_t *limited, uint64_t *unread)
{
	*written = all_written;
	*limited = all_limited;
	*unread = all_unread;
}

bool log_limit_pass_rate(struct log_limit *limit, struct instant now, uint32_t rate, uint32_t burst,
	uint64_t *dropped)
{
	const int64_t cost_us = MAX(1, 1000000 / (int64_t)rate);
	struct instant spent = {MAX(limit->full.us, now.us) + cost_us};

	if (instant_diff_us(spent, now) > burst * cost_us) {
		limit->dropped++;
		all_limited++;
		return false;
	}
	limit->full = spent;
	*dropped = limit->dropped;
	limit->dropped = 0;
	return true;
}

bool log_limit_pass(struct log_limit *limit, struct instant now, uint64_t *dropped)
{
	return log_limit_pass_rate(limit, now, LOG_RATE, LOG_BURST, dropped);
}
