// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "failures.h"

enum {
	MINUTE_US = 60 * 1000 * 1000,
	FIRST_SIZE = 16, // records that the first failure makes room for
	WHO_SIZE = 16,
};

// What a failure costs is a share of a minute, and nobody can owe more than a whole one.
struct failure {
	uint8_t who[WHO_SIZE];
	int64_t clear_us; // when nothing is owed any more
};

static void who_is(uint8_t who[WHO_SIZE], const uint8_t peer[PEER_SIZE])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool ipv4 = memcmp(peer, mapped, sizeof mapped) == 0;
	memset(who, 0, WHO_SIZE);
	memcpy(who, peer, ipv4 ? WHO_SIZE : WHO_SIZE / 2);
}

static bool make_room(struct failures *failures)
{
	if (failures->n < failures->size)
		return true;
	size_t size = failures->size == 0 ? FIRST_SIZE : 4u * failures->size;
	struct failure *records = reallocarray(failures->records, size, sizeof *records);
	if (records == NULL)
		return false;
	failures->records = records;
	failures->size = (uint16_t)size;
	return true;
}

// The record of WHO, in front of all others. NULL without memory.
static struct failure *find(struct failures *failures, const uint8_t who[WHO_SIZE])
{
	struct failure found = {.clear_us = 0};
	size_t i = 0;
	while (i < failures->n && memcmp(failures->records[i].who, who, WHO_SIZE) != 0)
		i++;
	if (i < failures->n) {
		found = failures->records[i];
	} else {
		memcpy(found.who, who, WHO_SIZE);
		if (i == FAILURES_MAX)
			i--; // the last one gives way
		else if (make_room(failures))
			failures->n++;
		else
			return NULL;
	}
	memmove(failures->records + 1, failures->records, i * sizeof *failures->records);
	failures->records[0] = found;
	return failures->records;
}

unsigned failures_note(struct failures *failures, const uint8_t peer[PEER_SIZE], struct instant now)
{
	uint8_t who[WHO_SIZE];
	if (failures->per_minute == 0)
		return 0;
	who_is(who, peer);
	struct failure *failure = find(failures, who);
	if (failure == NULL)
		return 0;
	int64_t cost = MAX(1, MINUTE_US / (int64_t)failures->per_minute);
	int64_t owed = MAX(0, failure->clear_us - now.us) + cost;
	if (owed > MINUTE_US)
		return (unsigned)((owed - MINUTE_US + 999999) / 1000000);
	failure->clear_us = now.us + owed;
	return 0;
}

void failures_deinit(struct failures *failures)
{
	free(failures->records);
	failures->records = NULL;
	failures->n = failures->size = 0;
}
