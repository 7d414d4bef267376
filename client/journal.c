// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "journal.h"

#include "api.h"
#include "clean.h"
#include "journal_form.h"
#include "qr.h"
#include "terminal.h"

enum { QR_TEXT_MAX = 128 * 1024, COLUMNS_LEAST = 60, COLUMNS_DEFAULT = 80 };

// What was written since the last time becomes lines.
static void emit(struct journal *journal, struct lines *lines)
{
	if (fflush(journal->text) == 0 && journal->text_size > 0)
		lines_add(lines, (struct span){journal->text_bytes, journal->text_size});
	rewind(journal->text);
}

// Most lines are written in the second of the one before.
static void set_clock(struct journal *journal)
{
	struct tm local;
	time_t now = (time_t)wall_now();
	if (now == journal->second)
		return;
	journal->second = now;
	if (localtime_r(&now, &local) == NULL ||
		strftime(journal->clock, sizeof journal->clock, "%H:%M:%S", &local) == 0)
		snprintf(journal->clock, sizeof journal->clock, "--:--:--");
}

#define EMIT(journal, event, ...)                                                                \
	do {                                                                                     \
		set_clock(journal);                                                              \
		(journal)->form->event((journal), (journal)->text, __VA_ARGS__);                 \
		emit((journal), (journal)->form->to_stdout ? &(journal)->out : &(journal)->err); \
	} while (0)

static void on_request(struct sniff_sink *sink, const struct sniff_report *request)
{
	struct journal *journal = container_of(sink, struct journal, requests);
	if (!journal->options.quiet)
		EMIT(journal, request, request);
}

int journal_init(struct journal *journal, struct loop *loop, const struct journal_options *options)
{
	static const struct journal_form *const forms[] = {
		[JOURNAL_TEXT] = &journal_text_form,
		[JOURNAL_JSON] = &journal_json_form,
	};
	*journal = (struct journal){
		.options = *options,
		.form = forms[options->form],
		.requests.report = on_request,
		.columns = terminal_width(stderr),
		.colour = terminal_on(stderr, STYLE_BOLD)[0] != '\0',
	};
	if (journal->columns > 0)
		journal->columns = MAX(journal->columns, (size_t)COLUMNS_LEAST);
	lines_init(&journal->out, loop, STDOUT_FILENO);
	lines_init(&journal->err, loop, STDERR_FILENO);
	journal->text = open_memstream(&journal->text_bytes, &journal->text_size);
	return journal->text == NULL ? -errno : 0;
}

void journal_deinit(struct journal *journal)
{
	lines_deinit(&journal->out);
	lines_deinit(&journal->err);
	if (journal->text != NULL)
		fclose(journal->text);
	free(journal->text_bytes);
}

static void draw_qr(struct journal *journal, const char *url)
{
	struct buf text;
	buf_init(&text, QR_TEXT_MAX);
	size_t columns = journal->columns > 0 ? journal->columns : COLUMNS_DEFAULT;
	int r = qr_draw(&text, url, (unsigned)columns, journal->colour);
	if (r == 0)
		lines_add(&journal->err, buf_span(&text));
	else if (r == QR_TOO_WIDE)
		journal_note(journal, "The QR code needs a wider terminal");
	else if (r == QR_TOO_LONG)
		journal_note(journal, "The link is too long for a QR code");
	buf_reset(&text);
}

void journal_ready(struct journal *journal, const struct journal_tunnel *tunnel)
{
	const char *url = api_text(tunnel->document, "url");
	const char *share = api_text(tunnel->document, "share_url");
	if (!journal->form->to_stdout) { // the one line for programs, whatever else is told
		clean_print(journal->text, span_of(url));
		fputc('\n', journal->text);
		emit(journal, &journal->out);
	}
	EMIT(journal, ready, tunnel);
	if (journal->options.qr)
		draw_qr(journal, share[0] != '\0' ? share : url);
}

void journal_link(
	struct journal *journal, enum journal_link what, const char *reason, unsigned wait_ms)
{
	if (!journal->options.quiet)
		EMIT(journal, link, what, reason, wait_ms);
}

void journal_expiring(struct journal *journal, unsigned seconds)
{
	EMIT(journal, expiring, seconds);
}

void journal_note(struct journal *journal, const char *format, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	EMIT(journal, note, text);
}

void journal_closed(struct journal *journal, const char *why, int code)
{
	EMIT(journal, closed, why, code);
}
