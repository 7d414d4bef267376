// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "why.h"

#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>

bool why_not(struct why *why, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(why->text, sizeof why->text, format, arguments);
	va_end(arguments);
	// What was cut within a character is no text for JSON any more.
	bool whole = utf8_valid(span_of(why->text));
	for (char *p = why->text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || (!whole && (*p & 0x80) != 0))
			*p = '?';
	return false;
}
