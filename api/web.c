// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "web.h"

#include "web_packed.h"

const struct web_file *web_file(struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (span_eq(span_of(files[i].name), name))
			return &files[i];
	return NULL;
}
