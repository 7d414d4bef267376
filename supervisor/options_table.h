// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The table of keys, and what can be done with the value of one. For options*.c only.

#pragma once

#include "options.h"

enum option_type {
	OPTION_NUMBER,    // uint32_t
	OPTION_DURATION,  // uint32_t, seconds; 90, 90s, 15m, 2h, 1d
	OPTION_WORD,      // an enum of 32 bits
	OPTION_PATH,      // char *
	OPTION_URL,       // char *, scheme://host[:port]
	OPTION_SECRET,    // char *; never printed, never taken from the command line
	OPTION_ADDRESSES, // struct options_addresses
	OPTION_RULES,     // struct options_rules
	OPTION_NETWORKS,  // the same, without ports
	OPTION_RANGES,    // struct options_ranges
	OPTION_POOL,      // the same, of one at most, which can do without an address
	OPTION_POOL_URL,  // char *, like OPTION_URL but with {port} in it
	OPTION_DOMAIN,    // char *
	OPTION_CONTACT,   // char *, mailto:user@host or https://...
	OPTION_PATHS,     // struct options_paths
};

enum { OPTION_KEYS = 62, OPTION_WORDS_MAX = 3, OPTION_NAME_MAX = 31 };

struct option_def {
	const char *name;
	enum option_type type;
	size_t offset;        // of the member in struct options
	const char *fallback; // the default as it would be written in a file; NULL: computed
	const char *computed; // what the default is then, in words
	uint32_t min, max;    // of numbers and durations
	const char *unit;     // of numbers, for people
	struct option_word {
		const char *name;
		uint32_t value;
	} words[OPTION_WORDS_MAX + 1]; // up to the first without a name
	const char *help;              // one line
	const char *manual;            // more, in mdoc(7); may be NULL
};

extern const struct option_def option_table[OPTION_KEYS]; // sorted by name

// The row of NAME, or NULL.
const struct option_def *option_find(struct span name);
// The row whose name is so like NAME that it may have been meant, or NULL.
const struct option_def *option_nearest(struct span name);

// Of a list: further settings of the same source add to it.
bool option_is_list(const struct option_def *def);
// May be given empty, which stands for the default.
bool option_may_be_empty(const struct option_def *def);

// Writes what values are right ("from 1 to 20000 tunnels"); empty when the help line says it all.
enum { OPTION_RANGE_MAX = 128 };
void option_range(const struct option_def *def, char out[OPTION_RANGE_MAX]);

// Parses VALUE (not empty, no control characters) into OPTIONS, replacing what was there or, for
// lists, adding to it. Returns 0, OPTIONS_INVALID with WHY set, or -ENOMEM.
enum { OPTION_WHY_MAX = 320 };
int option_set(struct options *options, const struct option_def *def, struct span value,
	char why[OPTION_WHY_MAX]) WARN_UNUSED;

// Empties the member; a secret is wiped.
void option_clear(struct options *options, const struct option_def *def);

// Appends the value in its canonical form. Returns 0 or a negative errno.
int option_format(
	const struct options *options, const struct option_def *def, struct buf *text) WARN_UNUSED;

// VALUE for a message: shortened if need be.
enum { OPTION_EXCERPT_MAX = 64 };
const char *option_excerpt(struct span value, char out[OPTION_EXCERPT_MAX]);
