// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Sentences about failures.

#include "failure.h"

#include "clean.h"

#include <stdarg.h>
#include <stdio.h>

int failure_set(struct failure *failure, enum exit_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(failure->text, sizeof failure->text, format, args);
	va_end(args);
	return (int)code;
}

void failure_print(const struct failure *failure)
{
	fputs("tunnel: ", stderr);
	clean_print(stderr, span_of(failure->text));
	fputc('\n', stderr);
}
