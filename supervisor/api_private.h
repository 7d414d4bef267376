// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Between api_channel.c, which has the worker's life and tells it things, and api_requests.c, which
// does what it asks for.

#pragma once

#include "api_channel.h"
#include "counters.h"

extern const struct ipc_handlers api_handlers;

struct api *api_of(struct ipc_channel *channel);

// Sends one message; a worker that does not read is killed.
void api_send(
	struct api *api, enum message type, int fd, const struct wire_value *values, size_t n);

#define api_post(api, type, fd, ...)                                      \
	api_send(api, type, fd, (const struct wire_value[]){__VA_ARGS__}, \
		sizeof((const struct wire_value[]){__VA_ARGS__}) / sizeof(struct wire_value))

void api_put_counters(struct wire_value *fields, const uint64_t counters[COUNTERS_N]);
void api_tell_end(struct api *api, struct span id, enum end_reason reason,
	const uint64_t counters[COUNTERS_N]);
// If the tunnel has one.
void api_tell_receipt(struct api *api, const struct tunnel *tunnel);
// It is told from the beginning what lives, then what has ended.
void api_snapshot_start(struct api *api);
