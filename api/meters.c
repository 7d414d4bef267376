// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "meters.h"

#include "tunnel_json.h"
#include "worker.h"

static struct meters *meters_of(struct pending *pending)
{
	return container_of(pending, struct meters, pending);
}

// ---- which tunnels

// Those of the round that begins, taken over from the one before it.
struct roll {
	const struct meters *meters;
	struct meter *all;
	size_t n, size,
		old; // OLD: of the earlier ones, which are in the same order, this comes next
	bool incomplete;
};

static struct meter *roll_add(struct roll *roll)
{
	if (roll->n == roll->size) {
		size_t size = MAX(roll->size * 2, (size_t)16);
		struct meter *all = reallocarray(roll->all, size, sizeof *all);
		if (all == NULL)
			return NULL;
		roll->all = all;
		roll->size = size;
	}
	return &roll->all[roll->n++];
}

static bool collect(const struct tunnel *tunnel, void *arg)
{
	struct roll *roll = arg;
	const struct meters *meters = roll->meters;
	if (!events_counted(&meters->worker->events, tunnel->token))
		return true;
	struct meter *meter = roll_add(roll);
	roll->incomplete = meter == NULL;
	if (meter == NULL)
		return false;
	while (roll->old < meters->n && meters->all[roll->old].seq > tunnel->seq)
		roll->old++;
	if (roll->old < meters->n && meters->all[roll->old].seq == tunnel->seq) {
		*meter = meters->all[roll->old];
		return true;
	}
	*meter = (struct meter){.seq = tunnel->seq};
	memcpy(meter->id, tunnel->id, sizeof meter->id);
	memcpy(meter->token, tunnel->token, sizeof meter->token);
	return true;
}

static void call_the_roll(struct meters *meters)
{
	struct worker *worker = meters->worker;
	struct roll roll = {.meters = meters};
	int r = store_tunnels_list(
		worker->store, NULL, TUNNEL_ACTIVE, INT64_MAX, UINT32_MAX, collect, &roll);
	if (r < 0)
		worker_log_store(worker, "looking for tunnels to count", r);
	if (roll.incomplete)
		worker_log(worker, LOG_ERROR, "counters are not told: out of memory");
	free(meters->all);
	meters->all = roll.all;
	meters->n = roll.n;
	meters->next = 0;
}

// ---- a round

static void rest(struct meters *meters, int64_t ms)
{
	struct instant due = instant_add_ms(instant_now(), ms);
	if (loop_timer_set(&meters->worker->loop, &meters->timer, due) < 0)
		worker_log(meters->worker, LOG_ERROR, "counters are not told: out of memory");
}

static void on_counters(struct pending *pending, const struct ipc_message *message);

static void ask_next(struct meters *meters)
{
	struct worker *worker = meters->worker;
	while (meters->next < meters->n) {
		uint64_t request = pending_start(&worker->pendings, &meters->pending,
			MSG_COUNTERS_GET, METERS_PATIENCE_MS, on_counters);
		if (request != 0 &&
			ipc_post(&worker->control, MSG_COUNTERS_GET, -1, wire_uint(request),
				wire_str(span_of(meters->all[meters->next].id))) == IPC_SENT)
			return;
		pending_stop(&meters->pending);
		meters->next++; // its turn comes again with the next round
	}
	meters->rounds++;
	rest(meters, METERS_PAUSE_MS);
	events_go_on(&worker->events);
}

// A tunnel that has ended meanwhile has no counters: its end is told as an event.
static void on_counters(struct pending *pending, const struct ipc_message *message)
{
	struct meters *meters = meters_of(pending);
	struct meter *meter = &meters->all[meters->next++];
	if (message != NULL) {
		struct tunnel_counters now = tunnel_counters_read(message->fields + 1);
		bool grown = now.connections >= meter->counters.connections;
		if (grown &&
			(meter->changed == 0 || memcmp(&now, &meter->counters, sizeof now) != 0)) {
			meter->counters = now;
			meter->changed = meters->rounds + 1;
		}
	}
	ask_next(meters);
}

static void on_timer(struct loop_timer *timer)
{
	struct meters *meters = container_of(timer, struct meters, timer);
	call_the_roll(meters);
	ask_next(meters);
}

// ---- streams

void meters_init(struct meters *meters, struct worker *worker)
{
	*meters = (struct meters){.worker = worker, .timer.expired = on_timer};
}

void meters_watch(struct meters *meters)
{
	if (meters->watchers++ == 0)
		rest(meters, 0);
}

void meters_unwatch(struct meters *meters)
{
	if (--meters->watchers > 0)
		return;
	pending_stop(&meters->pending);
	loop_timer_clear(&meters->worker->loop, &meters->timer);
	free(meters->all);
	meters->all = NULL;
	meters->n = 0;
}

static int add_event(struct buf *out, const struct meter *meter)
{
	int r = buf_printf(out, "event: counters\ndata: {\"id\":\"%s\",\"counters\":", meter->id);
	if (r == 0)
		r = tunnel_json_counters(out, &meter->counters);
	return r == 0 ? buf_printf(out, "}\n\n") : r;
}

int meters_tell(const struct meters *meters, struct meters_place *place, const char *token,
	struct buf *out, size_t most)
{
	if (place->told == meters->rounds)
		return 0;
	if (place->telling == 0) {
		place->telling = meters->rounds;
		place->before = INT64_MAX;
	}
	for (size_t i = 0; i < meters->n; i++) {
		const struct meter *meter = &meters->all[i];
		bool wanted = token[0] == '\0' || strcmp(meter->token, token) == 0;
		if (!wanted || meter->seq >= place->before || meter->changed <= place->told)
			continue;
		if (buf_len(out) >= most)
			return 0;
		int r = add_event(out, meter);
		if (r < 0)
			return r;
		place->before = meter->seq;
	}
	place->told = place->telling;
	place->telling = 0;
	return 0;
}
