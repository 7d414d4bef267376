// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Terminals.

#include "terminal.h"

#include <sys/ioctl.h>

bool terminal_is(FILE *stream)
{
	return isatty(fileno(stream)) == 1;
}

size_t terminal_width(FILE *stream)
{
	struct winsize size = {0};

	if (!terminal_is(stream))
		return 0;
	if (ioctl(fileno(stream), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return MAX((size_t)size.ws_col, 40);
}

static bool colours(FILE *stream)
{
	const char *none = getenv("NO_COLOR"), *kind = getenv("TERM");

	return (none == NULL || none[0] == '\0') && kind != NULL && strcmp(kind, "dumb") != 0 &&
	       terminal_is(stream);
}

const char *terminal_on(FILE *stream, enum terminal_style style)
{
	static const char *const codes[] = {
		[STYLE_NONE] = "",
		[STYLE_BOLD] = "\033[1m",
		[STYLE_DIM] = "\033[2m",
		[STYLE_GOOD] = "\033[32m",
		[STYLE_WARN] = "\033[33m",
		[STYLE_BAD] = "\033[31m",
	};

	return colours(stream) ? codes[style] : "";
}

const char *terminal_off(FILE *stream, enum terminal_style style)
{
	return style != STYLE_NONE && colours(stream) ? "\033[0m" : "";
}

void terminal_wrap(FILE *out, size_t indent, const char *text)
{
	enum { WIDTH = 79 };
	size_t at = indent;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");
		if (at > indent && at + 1 + n > WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', out);
			at++;
		}
		fwrite(text, 1, n, out);
		at += n;
		text += n + (text[n] == ' ');
	}
	fputc('\n', out);
}
