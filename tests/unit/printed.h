// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Committed documents, and what programs print for them. TUNNELD_SOURCE is the root of the source
// tree (default: the current folder).

#pragma once

#include "util.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static inline char *read_page(const char *name)
{
	const char *root = getenv("TUNNELD_SOURCE");
	char path[PATH_MAX];
	char *text = calloc(1, 256 * 1024);

	assert_non_null(text);
	snprintf(path, sizeof path, "%s/%s", root != NULL ? root : ".", name);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	assert_true(fread(text, 1, 256 * 1024 - 1, file) > 0);
	fclose(file);
	return text;
}

// What stands in PAGE between the lines `.\" BEGIN name` and `.\" END name`; PAGE is cut there.
static inline const char *page_section(char *page, const char *name)
{
	char begin[64], end[64];

	snprintf(begin, sizeof begin, ".\\\" BEGIN %s\n", name);
	snprintf(end, sizeof end, ".\\\" END %s\n", name);
	char *first = strstr(page, begin), *last = strstr(page, end);
	assert_true(first != NULL && last != NULL && first < last);
	*last = '\0';
	return first + strlen(begin);
}
