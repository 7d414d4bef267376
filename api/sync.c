// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "sync.h"

#include "id_list.h"
#include "worker.h"

// ---- what does not agree

// Rows that are `starting` while no POST waits for them: of a predecessor of this worker, or their
// end could not be stored. Whatever the supervisor made of them is ended by end_strays().
static void fail_orphans(struct worker *worker)
{
	struct id_list list = {0};
	int r = store_tunnels_list(worker->store, NULL, TUNNEL_STARTING, INT64_MAX, UINT32_MAX,
		id_list_collect, &list);
	for (size_t i = 0; i < list.n && r >= 0; i++) {
		if (creation_find(worker, list.ids[i]) != NULL)
			continue;
		worker_send_end(worker, 0, list.ids[i], END_FAILED);
		r = store_tunnel_end(worker->store, list.ids[i], TUNNEL_FAILED, wall_now(), NULL,
			(struct store_cause){"worker", "the request for it was lost"});
	}
	if (r < 0)
		worker_log_store(worker, "looking for lost requests", r);
	id_list_deinit(&list);
}

static void end_strays(struct worker *worker)
{
	struct id_list list = {0};
	int r = store_live_strays(worker->store, id_list_collect, &list);
	if (r < 0)
		worker_log_store(worker, "looking for tunnels that should not live", r);
	for (size_t i = 0; i < list.n; i++) {
		worker_log(worker, LOG_WARNING, "tunnel %s lives without a record: it is ended",
			list.ids[i]);
		worker_send_end(worker, 0, list.ids[i], END_FAILED);
	}
	id_list_deinit(&list);
}

static bool add_missing(const struct tunnel *tunnel, void *arg)
{
	restore_add(arg, tunnel);
	return true;
}

// ---- the supervisor's words

int sync_on_live(struct ipc_channel *channel, struct ipc_message *message)
{
	struct worker *worker = container_of(channel, struct worker, control);
	char id[TUNNEL_ID_MAX + 1] = "";
	struct span given = message->fields[0].bytes;
	memcpy(id, given.p, MIN(given.n, sizeof id - 1));
	struct tunnel_counters counters = tunnel_counters_read(message->fields + 2);
	restore_cancel(worker, id);
	int r = store_live_add(worker->store, id, (int64_t)message->fields[1].number, &counters);
	if (r < 0)
		worker_log_store(worker, "noting what lives", r);
	return 0;
}

static void write_down(struct worker *worker)
{
	struct id_list moved = {0};
	int r = store_live_moved(worker->store, worker->settings.boot_id, id_list_collect, &moved);
	if (r >= 0)
		r = store_live_merge(worker->store, worker->settings.boot_id, instant_now());
	if (r < 0)
		worker_log_store(worker, "writing down counters", r);
	for (size_t i = 0; i < moved.n && r >= 0; i++)
		events_publish_id(&worker->events, EVENT_UPDATED, moved.ids[i]);
	id_list_deinit(&moved);
}

static void set_timer(struct worker *worker, int64_t ms)
{
	struct instant due = instant_add_ms(instant_now(), ms);
	if (loop_timer_set(&worker->loop, &worker->sync.timer, due) < 0)
		worker_log(worker, LOG_ERROR, "counters are not written down any more: %s",
			"out of memory");
}

static void ask(struct worker *worker)
{
	struct sync *sync = &worker->sync;
	uint64_t n = 0;
	if (!sync->under_way && store_tunnels_count(worker->store, NULL, &n) == 0 && n > 0)
		sync->under_way = ipc_send(&worker->control, MSG_SNAPSHOT, -1, NULL, 0) == IPC_SENT;
}

int sync_on_live_done(struct ipc_channel *channel, struct ipc_message *message)
{
	struct worker *worker = container_of(channel, struct worker, control);
	struct sync *sync = &worker->sync;
	bool first = !sync->done;
	sync->done = true;
	sync->under_way = false;
	set_timer(worker, SYNC_EVERY_MS);
	ends_flush(&worker->ends);
	fail_orphans(worker);
	end_strays(worker);
	revocations_end_disowned(worker);
	write_down(worker);
	if (first) {
		int r = store_live_missing(worker->store, add_missing, worker);
		if (r < 0)
			worker_log_store(worker, "looking for tunnels to restore", r);
	}
	int r = store_live_clear(worker->store);
	if (r < 0)
		worker_log_store(worker, "forgetting what lives", r);
	if (first) {
		revocations_watch(worker);
		worker_serve(worker);
	}
	return 0;
}

static void on_timer(struct loop_timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, sync.timer);
	if (worker->sync.done) {
		set_timer(worker, SYNC_EVERY_MS);
		ask(worker);
	} else {
		worker_log(worker, LOG_WARNING, "the supervisor does not say what lives");
		worker_serve(worker);
	}
}

void sync_init(struct worker *worker)
{
	worker->sync = (struct sync){.under_way = true, .timer.expired = on_timer};
	set_timer(worker, WORKER_SYNC_PATIENCE_MS);
}

void sync_soon(struct worker *worker)
{
	const struct sync *sync = &worker->sync;
	struct instant soon = instant_add_ms(instant_now(), SYNC_SOON_MS);
	if (sync->done && (sync->timer.place == 0 || sync->timer.due.us > soon.us))
		set_timer(worker, SYNC_SOON_MS);
}

void sync_write_down(struct worker *worker)
{
	ends_flush(&worker->ends);
	write_down(worker);
	int r = store_checkpoint_remaining(worker->store, worker->settings.boot_id, instant_now());
	if (r < 0)
		worker_log_store(worker, "writing down remaining times", r);
}
