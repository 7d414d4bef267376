// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "template.h"

// Appends TEXT so that it is text in HTML, in an attribute too.
static int add_text(struct buf *out, struct span text)
{
	int r = 0;
	for (size_t i = 0; i < text.n && r == 0; i++) {
		switch (text.p[i]) {
		case '<': r = buf_printf(out, "&lt;"); break;
		case '>': r = buf_printf(out, "&gt;"); break;
		case '&': r = buf_printf(out, "&amp;"); break;
		case '"': r = buf_printf(out, "&quot;"); break;
		default: r = buf_add(out, &text.p[i], 1); break;
		}
	}
	return r;
}

static const struct template_value *find(
	const struct template_value *values, size_t n, struct span name)
{
	static const struct template_value absent = {.name = ""};
	for (size_t i = 0; i < n; i++)
		if (span_eq(span_of(values[i].name), name))
			return &values[i];
	return &absent;
}

// Takes off TEXT what comes before MARK, and MARK itself; or all.
static struct span take(struct span *text, struct span mark)
{
	const char *at = text->n > 0 ? memmem(text->p, text->n, mark.p, mark.n) : NULL;
	struct span taken = *text;
	size_t gone = text->n;
	if (at != NULL) {
		taken.n = (size_t)(at - text->p);
		gone = taken.n + mark.n;
	}
	*text = (struct span){text->p + gone, text->n - gone};
	return taken;
}

int template_fill(struct buf *out, struct span text, const struct template_value *values, size_t n)
{
	unsigned hidden = 0; // parts we are in, from the first that is left out
	int r = 0;
	while (text.n > 0 && r == 0) {
		struct span plain = take(&text, SPAN("{{"));
		if (hidden == 0)
			r = buf_add_span(out, plain);
		struct span name = take(&text, SPAN("}}"));
		if (r < 0 || name.n == 0)
			break;
		bool part = name.p[0] == '?';
		const struct template_value *value =
			find(values, n, (struct span){name.p + part, name.n - part});
		if (part)
			hidden += hidden > 0 || value->text.p == NULL;
		else if (name.p[0] == '/')
			hidden -= hidden > 0;
		else if (hidden == 0)
			r = value->markup ? buf_add_span(out, value->text)
					  : add_text(out, value->text);
	}
	return r;
}
