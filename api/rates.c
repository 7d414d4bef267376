// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "rates.h"

enum { FULL_AFTER_MS = 60 * 1000 };

void rates_init(struct rates *rates, uint64_t per_minute)
{
	*rates = (struct rates){.per_minute = per_minute};
	TAILQ_INIT(&rates->all);
}

static void forget(struct rates *rates, struct rate *rate)
{
	TAILQ_REMOVE(&rates->all, rate, link);
	rates->n--;
	free(rate);
}

void rates_deinit(struct rates *rates)
{
	while (!TAILQ_EMPTY(&rates->all))
		forget(rates, TAILQ_FIRST(&rates->all));
}

static void forget_quiet(struct rates *rates, struct instant now)
{
	struct rate *last;
	while ((last = TAILQ_LAST(&rates->all, rate_list)) != NULL &&
		(rates->n > RATES_MAX ||
			instant_reached(now, instant_add_ms(last->bucket.last, FULL_AFTER_MS))))
		forget(rates, last);
}

// The rate of ID, moved to the front, or NULL.
static struct rate *find(struct rates *rates, const char *id)
{
	struct rate *rate;
	TAILQ_FOREACH(rate, &rates->all, link)
	if (strcmp(rate->id, id) == 0) {
		TAILQ_REMOVE(&rates->all, rate, link);
		TAILQ_INSERT_HEAD(&rates->all, rate, link);
		return rate;
	}
	return NULL;
}

unsigned rates_take(struct rates *rates, const char *id, struct instant now)
{
	if (rates->per_minute == 0)
		return 0;
	struct rate *rate = find(rates, id);
	if (rate == NULL) {
		rate = calloc(1, sizeof *rate);
		if (rate == NULL)
			return 1;
		bucket_init(&rate->bucket, rates->per_minute, now);
		memcpy(rate->id, id, strnlen(id, sizeof rate->id - 1));
		TAILQ_INSERT_HEAD(&rates->all, rate, link);
		rates->n++;
	}
	unsigned wait_s = bucket_take(&rate->bucket, now);
	forget_quiet(rates, now);
	return wait_s;
}
