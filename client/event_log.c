// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "event_log.h"

#include "bytes.h"
#include "crypto.h"
#include "event_digest.h"

static bool extend(uint8_t rtmr[MEASUREMENT_SIZE], const uint8_t *digest)
{
	const struct digest_input input = {
		{bytes_of(rtmr, MEASUREMENT_SIZE), bytes_of(digest, MEASUREMENT_SIZE)}};
	return digest_make(EVP_sha384(), &input, rtmr);
}

// The digest an event stands for.
static bool digest_of(
	const struct event *event, size_t index, uint8_t out[MEASUREMENT_SIZE], struct why *why)
{
	if (event->type != EVENT_RUNTIME) {
		if (event->rtmr == 3)
			return why_not(why, "event %zu of RTMR3 is no runtime event", index);
		if (event->digest.p == NULL)
			return why_not(why, "event %zu has no digest", index);
		memcpy(out, event->digest.p, MEASUREMENT_SIZE);
		return true;
	}
	if (!event_digest_make(event, out))
		return why_not(why, "event %zu: its preimage is not what it says", index);
	if (event->digest.p != NULL && memcmp(out, event->digest.p, MEASUREMENT_SIZE) != 0)
		return why_not(why, "event %zu: its digest is not what it says", index);
	return true;
}

bool event_log_replay(
	const struct event_log *log, unsigned rtmr, uint8_t out[MEASUREMENT_SIZE], struct why *why)
{
	uint8_t digest[MEASUREMENT_SIZE];
	memset(out, 0, MEASUREMENT_SIZE);
	for (size_t i = 0; i < log->n; i++) {
		if (log->events[i].rtmr != rtmr)
			continue;
		if (!digest_of(&log->events[i], i, digest, why))
			return false;
		if (!extend(out, digest))
			return why_not(why, "out of memory");
	}
	return true;
}

static bool is_boot(const struct event *event)
{
	return event->rtmr == 3 && event->type == EVENT_RUNTIME;
}

const struct event *event_log_boot_next(const struct event_log *log, const struct event *at)
{
	if (at != NULL && span_eq(at->name, SPAN("system-ready")))
		return NULL;
	for (size_t i = at == NULL ? 0 : (size_t)(at - log->events) + 1; i < log->n; i++)
		if (is_boot(&log->events[i]))
			return &log->events[i];
	return NULL;
}

const struct event *event_log_boot(const struct event_log *log, const char *name)
{
	const struct event *event = NULL;
	while ((event = event_log_boot_next(log, event)) != NULL)
		if (span_eq(event->name, span_of(name)))
			return event;
	return NULL;
}

// Sizes of what a boot leaves; names not listed may have any.
static bool size_fits(const struct event *event)
{
	static const struct {
		struct span name;
		size_t size;
		bool or_empty;
	} sizes[] = {
		{SPAN_INIT("system-preparing"), 0, false},
		{SPAN_INIT("app-id"), 20, false},
		{SPAN_INIT("compose-hash"), 32, false},
		{SPAN_INIT("rootfs-hash"), 32, false},
		{SPAN_INIT("init-script-hash"), 32, false},
		{SPAN_INIT("instance-id"), 20, true},
		{SPAN_INIT("boot-mr-done"), 0, false},
		{SPAN_INIT("os-image-hash"), 32, false},
		{SPAN_INIT("system-ready"), 0, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		if (span_eq(event->name, sizes[i].name))
			return event->payload.n == sizes[i].size ||
			       (sizes[i].or_empty && event->payload.n == 0);
	return true;
}

static bool check_event(const struct event_log *log, const struct event *event, struct why *why)
{
	static const char *const once[] = {"app-id", "compose-hash"};
	if (memchr(event->name.p != NULL ? event->name.p : "", ':', event->name.n) != NULL)
		return why_not(why, "a boot event has a colon in its name");
	if (!size_fits(event))
		return why_not(why, "%.*s has %zu bytes", (int)MIN(event->name.n, 40),
			event->name.p, event->payload.n);
	for (size_t i = 0; i < ARRAY_SIZE(once); i++)
		if (span_eq(event->name, span_of(once[i])) && event_log_boot(log, once[i]) != event)
			return why_not(why, "%s is there twice", once[i]);
	return true;
}

bool event_log_check_boot(const struct event_log *log, struct why *why)
{
	const struct event *event = NULL;
	while ((event = event_log_boot_next(log, event)) != NULL)
		if (!check_event(log, event, why))
			return false;
	return (event_log_boot(log, "compose-hash") != NULL &&
		       event_log_boot(log, "app-id") != NULL) ||
	       why_not(why, "the boot left no app-id or no compose-hash");
}
