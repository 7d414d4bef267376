// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "collateral.h"

#include <jansson.h>

bool collateral_set(struct collateral *collateral, char *text, size_t n)
{
	json_t *object = n > 0 ? json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
	bool good = json_is_object(object);
	json_decref(object);
	if (good) {
		free((char *)(uintptr_t)collateral->text.p);
		collateral->text = (struct span){text, n};
	} else {
		free(text);
	}
	return good;
}

static enum guest_outcome take(struct collateral *collateral, struct span body)
{
	char *text = body.n <= COLLATERAL_MAX ? malloc(body.n + 1) : NULL;
	if (text == NULL)
		return GUEST_TOO_LARGE;
	if (body.n > 0)
		memcpy(text, body.p, body.n);
	return collateral_set(collateral, text, body.n) ? GUEST_OK : GUEST_MALFORMED;
}

static void start(struct collateral *collateral)
{
	struct instant due = instant_add_ms(instant_now(), COLLATERAL_CALL_MS);
	// Without memory for a timer what there is stays.
	if (loop_timer_set(collateral->loop, &collateral->deadline, due) == 0)
		collateral->connect(collateral);
}

static void on_again(struct loop_timer *timer)
{
	start(container_of(timer, struct collateral, again));
}

static int64_t next_pause(struct collateral *collateral, enum guest_outcome outcome)
{
	int64_t ms = outcome == GUEST_OK ? COLLATERAL_REFRESH_MS : collateral->pause_ms;
	collateral->pause_ms = outcome == GUEST_OK ? COLLATERAL_RETRY_FIRST_MS
						   : MIN(2 * ms, COLLATERAL_RETRY_MOST_MS);
	return ms;
}

static void end(struct collateral *collateral, enum guest_outcome outcome)
{
	loop_timer_clear(collateral->loop, &collateral->deadline);
	struct instant due = instant_add_ms(instant_now(), next_pause(collateral, outcome));
	bool news = collateral->pending || outcome == GUEST_OK || outcome != collateral->state;
	if (loop_timer_set(collateral->loop, &collateral->again, due) < 0)
		outcome = GUEST_TOO_LARGE;
	collateral->pending = false;
	collateral->state = outcome;
	if (news)
		collateral->changed(collateral);
}

static void on_done(struct guest_call *call, enum guest_outcome outcome, struct span body)
{
	struct collateral *collateral = container_of(call, struct collateral, call);
	end(collateral, outcome == GUEST_OK ? take(collateral, body) : outcome);
}

static void on_deadline(struct loop_timer *timer)
{
	struct collateral *collateral = container_of(timer, struct collateral, deadline);
	guest_call_stop(&collateral->call);
	end(collateral, GUEST_SLOW);
}

void collateral_start(struct collateral *collateral, struct loop *loop)
{
	collateral->loop = loop;
	collateral->fetched = collateral->pending = true;
	collateral->pause_ms = COLLATERAL_RETRY_FIRST_MS;
	collateral->deadline.expired = on_deadline;
	collateral->again.expired = on_again;
	guest_call_init(&collateral->call, loop, on_done);
	start(collateral);
}

// Whether it waits for a connection.
static bool waits(const struct collateral *collateral)
{
	return collateral->fetched && collateral->deadline.place != 0 &&
	       collateral->call.watch.fd < 0;
}

void collateral_connected(struct collateral *collateral, int fd, struct span host, struct span path)
{
	if (!waits(collateral))
		close(fd);
	else if (guest_call_get(&collateral->call, fd, host, path) < 0)
		end(collateral, GUEST_UNAVAILABLE);
}

void collateral_unavailable(struct collateral *collateral)
{
	if (waits(collateral))
		end(collateral, GUEST_UNAVAILABLE);
}

const char *collateral_state(const struct collateral *collateral)
{
	if (!collateral->fetched)
		return NULL;
	if (collateral->pending)
		return "pending";
	return collateral->state == GUEST_OK ? "fetched" : guest_outcome_name(collateral->state);
}
