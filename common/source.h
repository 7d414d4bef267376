// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Which source a program was made from. Every program has it in itself, also as a line of text that
// `strings PROGRAM | grep tunneld-source` finds; scripts/source-hash has the formula. It is the
// build's word about itself: what makes it worth believing is docs/verify.md.

#pragma once

struct source {
	const char *version;
	const char *commit;      // for people: 40 or 64 hex digits, with "-modified", or "unknown"
	const char *tree_sha256; // lower-case hex
};

extern const struct source source_built;
