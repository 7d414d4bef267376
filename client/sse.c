// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Lines end with LF, CR LF or CR; an empty one ends an event.

#include "sse.h"

void sse_init(struct sse *sse)
{
	*sse = (struct sse){.retry_ms = -1};
	buf_init(&sse->data, SSE_DATA_MAX);
	buf_init(&sse->line, SSE_LINE_MAX);
}

void sse_deinit(struct sse *sse)
{
	buf_reset(&sse->data);
	buf_reset(&sse->line);
}

void sse_restart(struct sse *sse)
{
	sse_deinit(sse);
	sse->event[0] = '\0';
	sse->after_cr = sse->shown = sse->started = false;
}

// What ID becomes counts for the next connection: no NUL (the standard), and nothing that cannot
// stand in a field.
static void take_id(struct sse *sse, struct span value)
{
	if (value.n > SSE_ID_MAX)
		return;
	for (size_t i = 0; i < value.n; i++)
		if ((uint8_t)value.p[i] < 0x20 || (uint8_t)value.p[i] > 0x7e)
			return;
	memcpy(sse->id, value.p, value.n);
	sse->id[value.n] = '\0';
}

static void take_retry(struct sse *sse, struct span value)
{
	int64_t ms = 0;

	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9' || ms > 24 * 3600 * 1000)
			return;
		ms = ms * 10 + (value.p[i] - '0');
	}
	if (value.n > 0)
		sse->retry_ms = ms;
}

static void take_name(struct sse *sse, struct span value)
{
	size_t n = MIN(value.n, (size_t)SSE_NAME_MAX);

	memcpy(sse->event, value.p, n);
	sse->event[n] = '\0';
}

static int take_data(struct sse *sse, struct span value)
{
	int r = buf_add_span(&sse->data, value);

	return r != 0 ? r : buf_add(&sse->data, "\n", 1);
}

static int take_field(struct sse *sse, struct span line)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct span name = {line.p, colon != NULL ? (size_t)(colon - line.p) : line.n};
	struct span value = {line.p + line.n, 0};

	if (colon != NULL)
		value = (struct span){colon + 1, (size_t)(line.p + line.n - colon - 1)};
	if (value.n > 0 && value.p[0] == ' ')
		value = (struct span){value.p + 1, value.n - 1};
	if (span_eq(name, SPAN("data")))
		return take_data(sse, value);
	if (span_eq(name, SPAN("event")))
		take_name(sse, value);
	else if (span_eq(name, SPAN("id")))
		take_id(sse, value);
	else if (span_eq(name, SPAN("retry")))
		take_retry(sse, value);
	return 0; // comments have an empty name; others are to be ignored
}

// The line that has been gathered is complete.
static enum sse_event take_line(struct sse *sse)
{
	struct span line = buf_span(&sse->line);
	enum sse_event event = SSE_MORE;

	if (!sse->started && span_starts(line, SPAN("\xef\xbb\xbf")))
		line = (struct span){line.p + 3, line.n - 3};
	sse->started = true;
	if (line.n > 0) {
		event = take_field(sse, line) != 0 ? SSE_BAD : SSE_MORE;
	} else if (buf_len(&sse->data) > 0) {
		sse->data.end--; // the last line feed is not a part
		if (sse->event[0] == '\0')
			take_name(sse, SPAN("message"));
		sse->shown = true;
		event = SSE_EVENT;
	} else {
		sse->event[0] = '\0';
	}
	buf_reset(&sse->line);
	return event;
}

static void forget_shown(struct sse *sse)
{
	if (sse->shown) {
		buf_reset(&sse->data);
		sse->event[0] = '\0';
		sse->shown = false;
	}
}

enum sse_event sse_next(struct sse *sse, struct span *in)
{
	enum sse_event event = SSE_MORE;

	forget_shown(sse);
	while (event == SSE_MORE && in->n > 0) {
		size_t n = 0;
		if (sse->after_cr && in->p[0] == '\n') {
			in->p++;
			in->n--;
		}
		sse->after_cr = false;
		while (n < in->n && in->p[n] != '\n' && in->p[n] != '\r')
			n++;
		if (buf_add(&sse->line, in->p, n) != 0)
			return SSE_BAD;
		bool ended = n < in->n;
		sse->after_cr = ended && in->p[n] == '\r';
		in->p += n + ended;
		in->n -= n + ended;
		if (ended)
			event = take_line(sse);
	}
	return event;
}
