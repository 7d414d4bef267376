// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Looking up keys in the table, by their names and by what may have been meant.

#include "options_table.h"

#include <assert.h>

static_assert(sizeof(enum attestation) == sizeof(uint32_t), "words are stored as uint32_t");
static_assert(sizeof(enum backend_reuse) == sizeof(uint32_t), "words are stored as uint32_t");
static_assert(sizeof(enum sandbox_mode) == sizeof(uint32_t), "words are stored as uint32_t");
static_assert(sizeof(enum request_log_mode) == sizeof(uint32_t), "words are stored as uint32_t");
static_assert(sizeof(enum tls_insecure) == sizeof(uint32_t), "words are stored as uint32_t");
static_assert(sizeof(enum log_format) == sizeof(uint32_t), "words are stored as uint32_t");

const struct option_def *option_find(struct span name)
{
	for (size_t i = 0; i < OPTION_KEYS; i++)
		if (span_eq(span_of(option_table[i].name), name))
			return &option_table[i];
	return NULL;
}

// Number of single-character changes between two names (Levenshtein), case left aside, one row of
// the table at a time.
static size_t distance(struct span a, struct span b)
{
	size_t row[OPTION_NAME_MAX + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t change =
				diagonal + (ascii_lower(a.p[i - 1]) != ascii_lower(b.p[j - 1]));
			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[b.n];
}

const struct option_def *option_nearest(struct span name)
{
	const struct option_def *nearest = NULL;
	size_t least = name.n / 3 + 1;

	if (name.n > OPTION_NAME_MAX)
		return NULL;
	for (size_t i = 0; i < OPTION_KEYS; i++) {
		size_t d = distance(span_of(option_table[i].name), name);
		if (d <= least && (nearest == NULL || d < least)) {
			nearest = &option_table[i];
			least = d;
		}
	}
	return nearest;
}

bool option_is_list(const struct option_def *def)
{
	return def->type == OPTION_ADDRESSES || def->type == OPTION_RULES ||
	       def->type == OPTION_NETWORKS || def->type == OPTION_RANGES ||
	       def->type == OPTION_PATHS;
}

bool option_may_be_empty(const struct option_def *def)
{
	return def->fallback == NULL && def->type != OPTION_SECRET;
}
