// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "backoff.h"

#include <sys/random.h>

unsigned backoff_next(struct backoff *backoff, bool fresh)
{
	if (fresh && backoff->failures == 0) {
		backoff->failures = 1;
		return 0;
	}
	unsigned most = BACKOFF_FIRST_MS;
	for (unsigned i = 1; i < backoff->failures && most < BACKOFF_MOST_MS; i++)
		most *= 2;
	most = MIN(most, (unsigned)BACKOFF_MOST_MS);
	backoff->failures++;
	uint32_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
		random = 0;
	return most / 2 + random % (most / 2 + 1);
}
