// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "event_log.h"

#include "bytes.h"
#include "hex.h"
#include "json_read.h"

void event_log_deinit(struct event_log *log)
{
	free(log->events);
	free(log->memory);
	json_decref(log->json);
	*log = (struct event_log){0};
}

struct event *event_log_add(struct event_log *log)
{
	if (log->n == EVENTS_MAX)
		return NULL;
	if ((log->n & (log->n - 1)) == 0) { // a power of two: full
		size_t room = log->n > 0 ? 2 * log->n : 1;
		struct event *more = reallocarray(log->events, room, sizeof *more);
		if (more == NULL)
			return NULL;
		log->events = more;
	}
	log->events[log->n] = (struct event){.version = 1};
	return &log->events[log->n++];
}

// Decodes hex to *MEMORY, which has room for it, and moves that on.
static bool take_hex(const json_t *object, const char *name, struct span *out, char **memory)
{
	struct span text = json_member_text(object, name);
	if (text.p == NULL || hex_decode(*memory, text.n / 2, text) != 0)
		return false;
	*out = (struct span){*memory, text.n / 2};
	*memory += out->n;
	return true;
}

static bool read_numbers(struct event *event, const json_t *object)
{
	uint64_t rtmr, type, version = 1;
	if (!json_member_number(object, "imr", RTMRS - 1, &rtmr) ||
		!json_member_number(object, "event_type", UINT32_MAX, &type))
		return false;
	if (json_object_get(object, "version") != NULL &&
		(!json_member_number(object, "version", 2, &version) || version < 1))
		return false;
	event->rtmr = (unsigned)rtmr;
	event->type = (uint32_t)type;
	event->version = (unsigned)version;
	return true;
}

static bool read_event(struct event *event, const json_t *object, char **memory)
{
	event->name = json_member_text(object, "event");
	if (!read_numbers(event, object) || event->name.p == NULL ||
		!take_hex(object, "event_payload", &event->payload, memory) ||
		!take_hex(object, "digest", &event->digest, memory))
		return false;
	if (event->digest.n == 0)
		event->digest.p = NULL;
	else if (event->digest.n != MEASUREMENT_SIZE)
		return false;
	return json_object_get(object, "preimage") == NULL ||
	       take_hex(object, "preimage", &event->preimage, memory);
}

// Bytes that all texts of the array can decode to.
static size_t decoded_size(const json_t *array)
{
	static const char *const names[] = {"event_payload", "digest", "preimage"};
	size_t size = 0;
	for (size_t i = 0; i < json_array_size(array); i++)
		for (size_t j = 0; j < ARRAY_SIZE(names); j++)
			size += json_member_text(json_array_get(array, i), names[j]).n / 2;
	return size;
}

bool event_log_read(struct event_log *log, json_t *array, struct why *why)
{
	size_t size = decoded_size(array);
	*log = (struct event_log){0};
	if (!json_is_array(array) || json_array_size(array) > EVENTS_MAX || size > EVENT_LOG_MAX)
		return why_not(why, "the event log is no array, or too long");
	log->json = json_incref(array);
	log->memory = malloc(size + 1);
	char *memory = log->memory;
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct event *event = event_log_add(log);
		if (event == NULL || memory == NULL)
			return why_not(why, "out of memory");
		if (!read_event(event, json_array_get(array, i), &memory))
			return why_not(why, "event %zu is malformed", i);
	}
	return true;
}
