// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One character at a time: its bytes, and whether they may be shown.

#include "clean.h"

#include "utf8.h"

enum { ESCAPE_SIZE = sizeof "\\u{10ffff}" };

// Bytes of the first character of TEXT, or 0 when it is not well-formed UTF-8.
static size_t character_size(struct span text)
{
	uint8_t first = (uint8_t)text.p[0];
	size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	return n <= text.n && utf8_valid((struct span){text.p, n}) ? n : 0;
}

static uint32_t code_point(const char *p, size_t n)
{
	static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code = (uint8_t)p[0] & masks[n];

	for (size_t i = 1; i < n; i++)
		code = code << 6 | ((uint8_t)p[i] & 0x3f);
	return code;
}

static bool is_harmless(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} refused[] = {
		{0, 0x1f},          // C0
		{0x7f, 0x9f},       // DEL and C1
		{0x61c, 0x61c},     // Arabic letter mark
		{0x200b, 0x200f},   // zero width, and marks of direction
		{0x2028, 0x202e},   // separators of lines and paragraphs, embeddings and overrides
		{0x2060, 0x206f},   // joiners, isolates
		{0xfeff, 0xfeff},   // byte order mark
		{0xfff9, 0xfffb},   // interlinear annotation
		{0xe0000, 0xe007f}, // tags
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (code >= refused[i].first && code <= refused[i].last)
			return false;
	return true;
}

// Takes one character off TEXT and returns it as it may be shown; SPACE is for an escape.
static struct span next_shown(struct span *text, char space[ESCAPE_SIZE])
{
	size_t n = character_size(*text);
	struct span shown = {text->p, n};

	if (n == 0) {
		n = 1;
		shown = (struct span){space,
			(size_t)snprintf(space, ESCAPE_SIZE, "\\x%02x", (uint8_t)text->p[0])};
	} else if (!is_harmless(code_point(text->p, n))) {
		uint32_t code = code_point(text->p, n);
		shown = (struct span){space,
			(size_t)snprintf(space, ESCAPE_SIZE, n == 1 ? "\\x%02x" : "\\u{%x}", code)};
	}
	text->p += n;
	text->n -= n;
	return shown;
}

int clean_add(struct buf *out, struct span text)
{
	char space[ESCAPE_SIZE];
	int r = 0;

	while (r == 0 && text.n > 0)
		r = buf_add_span(out, next_shown(&text, space));
	return r;
}

void clean_print(FILE *out, struct span text)
{
	char space[ESCAPE_SIZE];

	while (text.n > 0) {
		struct span shown = next_shown(&text, space);
		fwrite(shown.p, 1, shown.n, out);
	}
}

size_t clean_width(struct span text)
{
	char space[ESCAPE_SIZE];
	size_t width = 0;

	while (text.n > 0) {
		struct span shown = next_shown(&text, space);
		width += shown.p == space ? shown.n : 1;
	}
	return width;
}

void clean_print_cell(FILE *out, struct span text, size_t width)
{
	char space[ESCAPE_SIZE];
	size_t dots = clean_width(text) > width ? MIN(width, (size_t)3) : 0, used = 0;

	while (text.n > 0) {
		struct span shown = next_shown(&text, space);
		size_t n = shown.p == space ? shown.n : 1;
		if (used + n + dots > width)
			break;
		fwrite(shown.p, 1, shown.n, out);
		used += n;
	}
	fprintf(out, "%.*s%*s", (int)dots, "...", (int)(width - used - dots), "");
}
