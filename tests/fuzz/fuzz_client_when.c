// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Times: what is accepted lies within bounds, and is shown in words that fit.

#include "check.h"
#include "when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum { NOW = 1800000000 };
	struct span text = {(const char *)data, n};
	char words[WHEN_WORDS_SIZE];
	const char *why = NULL;
	int64_t seconds = 0, point = 0;

	if (when_away(text, NOW, &seconds, &why) == 0) {
		CHECK(seconds >= 1 && seconds <= WHEN_MAX);
		when_words(seconds, words);
		CHECK(strlen(words) >= 2 && strlen(words) < sizeof words);
	} else {
		CHECK(why != NULL && seconds == 0);
	}
	if (when_point(text, &point) == 0)
		CHECK(point > -2 * 86400 && point < INT64_C(253402300800) + 2 * 86400);
	return 0;
}
