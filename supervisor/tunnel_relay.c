// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The relay of a tunnel: from the start of its process until that has been reaped, and its
// replacement after a crash.

#include "agent_memory.h"
#include "agents.h"
#include "origins.h"
#include "relay_channel.h"
#include "request_lines.h"
#include "seal.h"
#include "spawn.h"
#include "supervisor.h"

#include <assert.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { RELAY_VISITORS_FD = 4, RELAY_COUNTERS_FD = 5, RELAY_QUEUE_MAX = 8 * 1024 };

// ---- counters

static void page_unmap(struct tunnel *tunnel)
{
	tunnel_counters(tunnel, tunnel->counters);
	tunnel->counters[COUNTER_OPEN] = 0; // nothing is open without a relay
	tunnel->counters[COUNTER_AGENTS] = 0;
	if (tunnel->page != NULL) {
		request_lines_left(&tunnel->relay, &tunnel->page->log);
		tally_page_gone(&tunnel->supervisor->tally, tunnel->page);
		munmap(tunnel->page, COUNTERS_SIZE);
	}
	tunnel->page = NULL;
}

void tunnel_counters(const struct tunnel *tunnel, uint64_t counters[COUNTERS_N])
{
	const struct counters *page = tunnel->page;

	if (page == NULL) {
		memmove(counters, tunnel->counters, sizeof tunnel->counters);
		return;
	}
	const _Atomic uint64_t *const all[COUNTERS_N] = {&page->connections, &page->open,
		&page->requests, &page->bytes_in, &page->bytes_out, &page->last_activity,
		&page->agents};
	for (size_t i = 0; i < COUNTERS_N; i++)
		counters[i] = counter_get(all[i]);
}

// Makes the page, with what the tunnel has counted so far, and maps it here. The relay cannot
// change its size, so reading it here never faults. Returns the memfd or a negative errno.
static int page_make(struct tunnel *tunnel)
{
	CLEANUP(close_p) int fd = memfd_create("counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, COUNTERS_SIZE) < 0 ||
		pwrite(fd, tunnel->counters, sizeof tunnel->counters, 0) !=
			sizeof tunnel->counters ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	void *page = mmap(NULL, COUNTERS_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	tunnel->page = page;
	return take_fd(&fd);
}

// ---- end of a relay

static void on_timer(struct loop_timer *timer);

static bool crashes_too_often(struct tunnel *tunnel)
{
	struct instant now = instant_now();
	struct instant *latest = &tunnel->crashes[tunnel->n_crashes++ % TUNNEL_CRASHES_MAX];

	*latest = now;
	if (tunnel->n_crashes < TUNNEL_CRASHES_MAX)
		return false;
	struct instant first = tunnel->crashes[tunnel->n_crashes % TUNNEL_CRASHES_MAX];
	return instant_diff_us(now, first) < (int64_t)TUNNEL_CRASHES_WITHIN_S * 1000000;
}

// The gates keep the route: until the next relay is there their visitors wait.
static void pause_then_start(struct tunnel *tunnel, int64_t ms)
{
	struct loop *loop = &tunnel->supervisor->loop;

	tunnel->state = TUNNEL_CRASHED;
	if (loop_timer_set(loop, &tunnel->timer, instant_add_ms(instant_now(), ms)) < 0)
		tunnel_end(tunnel, END_FAILED);
}

static void crashed(struct tunnel *tunnel)
{
	tunnel->supervisor->tally.now.process_restarts[ROLE_RELAY]++;
	if (crashes_too_often(tunnel)) {
		tunnel_log(tunnel, LOG_ERROR, "its relay ended %d times within %d s",
			TUNNEL_CRASHES_MAX, TUNNEL_CRASHES_WITHIN_S);
		tunnel_end(tunnel, END_FAILED);
		return;
	}
	pause_then_start(tunnel, (int64_t)TUNNEL_PAUSE_MS << MIN(tunnel->n_crashes - 1, 4));
}

static void relay_over(struct tunnel *tunnel)
{
	switch (tunnel->state) {
	case TUNNEL_ENDING: tunnel_ended(tunnel); break;
	case TUNNEL_STARTING:
	case TUNNEL_LIVE:
		if (tunnel->lived)
			crashed(tunnel);
		else
			tunnel_fail(tunnel, CODE_INTERNAL, "its relay did not start");
		break;
	case TUNNEL_RESOLVING:
	case TUNNEL_QUEUED:
	case TUNNEL_CRASHED:
	case TUNNEL_SIGNING:
	case TUNNEL_ENDED:
	case TUNNEL_STATES: assert(false); // they have no relay
	}
}

static void on_gone(struct process *process)
{
	struct tunnel *tunnel = container_of(process, struct tunnel, relay);
	struct supervisor *supervisor = tunnel->supervisor;

	if (process->uid != (uid_t)-1)
		uids_give(&supervisor->uids, process->uid);
	if (tunnel->starting) {
		tunnel->starting = false;
		tunnels_start_over(&supervisor->tunnels);
	}
	close_p(&tunnel->visitors_fd);
	page_unmap(tunnel);
	resolve_cancel(&tunnel->resolve);
	relay_dials_forget(tunnel);
	if (tunnel->pull)
		agent_memory_given(supervisor);
	loop_timer_clear(&supervisor->loop, &tunnel->timer);
	if (!supervisor->stopping)
		relay_over(tunnel);
	else if (tunnel->draining)
		supervisor_drained(supervisor);
}

static void on_timer(struct loop_timer *timer)
{
	struct tunnel *tunnel = container_of(timer, struct tunnel, timer);

	if (tunnel->state == TUNNEL_CRASHED) {
		tunnel->state = TUNNEL_QUEUED;
		tunnels_enqueue(&tunnel->supervisor->tunnels, tunnel);
		return;
	}
	process_log(&tunnel->relay, LOG_ERROR, "is not ready after %d ms", TUNNEL_READY_MS);
	process_kill(&tunnel->relay);
}

// ---- start

// Returns 0 with the process started, or a negative errno.
static int start(struct tunnel *tunnel, uid_t uid)
{
	struct supervisor *supervisor = tunnel->supervisor;
	CLEANUP(close_p) int visitors_in = -1;
	CLEANUP(close_p) int visitors_out = -1;
	CLEANUP(close_p) int page_fd = page_make(tunnel);
	int pair[2];

	if (page_fd < 0)
		return page_fd;
	int r = ipc_pair(pair);
	if (r < 0)
		return r;
	visitors_in = pair[0];
	visitors_out = pair[1];
	// Visitors go one way: what a relay writes there would reach gates.
	if (shutdown(visitors_out, SHUT_WR) < 0)
		return -errno;
	const struct spawn_fd fds[] = {
		{visitors_out, RELAY_VISITORS_FD},
		{page_fd, RELAY_COUNTERS_FD},
	};
	r = process_start(&tunnel->relay, supervisor,
		&(struct process_request){
			.role = ROLE_RELAY,
			.handlers = &relay_handlers,
			.queue_max = RELAY_QUEUE_MAX,
			.uid = uid,
			.root_fd = supervisor->void_fd,
			.fds = fds,
			.n_fds = ARRAY_SIZE(fds),
			.tunnel = tunnel->id,
			.gone = on_gone,
		});
	if (r < 0)
		return r;
	tunnel->relay.control.writable = relay_on_writable;
	if (tunnel->pull)
		agent_memory_taken(supervisor);
	tunnel->visitors_fd = take_fd(&visitors_in);
	return 0;
}

static void start_failed(struct tunnel *tunnel, int error)
{
	if (process_may_log(&tunnel->supervisor->api.child.process))
		tunnel_log(tunnel, LOG_ERROR, "its relay cannot be started: %s", strerror(-error));
	if (tunnel->lived && process_is_exhaustion(error))
		pause_then_start(tunnel, TUNNEL_AGAIN_MS);
	else if (tunnel->lived)
		crashed(tunnel);
	else
		tunnel_fail(
			tunnel, CODE_DRAINING, "no relay can be started now: %s", strerror(-error));
}

void tunnel_start_relay(struct tunnel *tunnel)
{
	struct supervisor *supervisor = tunnel->supervisor;
	struct loop *loop = &supervisor->loop;
	uid_t uid = (uid_t)-1;

	expiry_run(&supervisor->expiry);
	if (supervisor->stopping || tunnel_over(tunnel))
		return;
	int r = loop_timer_set(
		loop, &tunnel->timer, instant_add_ms(instant_now(), TUNNEL_READY_MS));
	tunnel->timer.expired = on_timer;
	if (r == 0 && supervisor->separate && uids_take(&supervisor->uids, &uid) != 0)
		r = -EUSERS;
	if (r == 0)
		r = start(tunnel, uid);
	if (r == 0) {
		tunnel->state = TUNNEL_STARTING;
		tunnel->starting = true;
		tunnels_start_begun(&supervisor->tunnels);
		return;
	}
	if (uid != (uid_t)-1)
		uids_give(&supervisor->uids, uid);
	loop_timer_clear(loop, &tunnel->timer);
	page_unmap(tunnel);
	start_failed(tunnel, r);
}

static int set_up(struct tunnel *tunnel, struct instant end)
{
	const struct options *options = tunnel->supervisor->options;
	int r = origins_send(&tunnel->relay);

	if (r != IPC_SENT)
		return r;
	r = ipc_post(&tunnel->relay.control, MSG_RELAY_SETUP, -1,
		wire_bin(tunnel->config, tunnel->config_size),
		wire_bin(tunnel->secret_hash.bytes, sizeof tunnel->secret_hash.bytes),
		wire_uint((uint64_t)options->head_timeout * 1000),
		wire_uint((uint64_t)options->idle_timeout * 1000),
		wire_uint((uint64_t)options->connect_timeout * 1000),
		wire_uint(options->failure_rate), wire_uint(request_lines_rate(options)),
		wire_uint((uint64_t)options->agent_grace * 1000), wire_uint((uint64_t)end.us),
		wire_bool(options->interstitial == INTERSTITIAL_YES));
	return r == IPC_SENT && tunnel->pull ? agent_memory_tell(tunnel) : r;
}

// When it is over: from now on for a tunnel that has not lived yet.
static struct instant end_of(const struct tunnel *tunnel)
{
	struct instant end = instant_add_ms(instant_now(), (int64_t)tunnel->life_ms);

	if (tunnel->lived)
		return tunnel->expiry.due;
	if (tunnel->deadline_us > 0)
		end.us = MIN(end.us, (int64_t)tunnel->deadline_us);
	return end;
}

// The life begins: sets the end. Returns 0 or -ENOMEM.
static int come_alive(struct tunnel *tunnel, struct instant end)
{
	struct supervisor *supervisor = tunnel->supervisor;
	int r = expiry_set(&supervisor->expiry, &tunnel->expiry, end);
	if (r < 0)
		return r;
	tunnel->born = instant_add_ms(end, -(int64_t)tunnel->life_ms);
	tunnel->lived = true;
	tally_spawned(&supervisor->tally, instant_diff_us(instant_now(), tunnel->asked_at));
	return 0;
}

int tunnel_on_ready(struct ipc_channel *channel, struct ipc_message *message)
{
	struct tunnel *tunnel = tunnel_of_channel(channel);
	struct supervisor *supervisor = tunnel->supervisor;
	bool first = !tunnel->lived;
	struct instant end = end_of(tunnel);

	channel->phase = PHASE_RUN;
	if (tunnel->state != TUNNEL_STARTING)
		return 0; // has been ended meanwhile
	if (!process_inspect(&tunnel->relay, message->fields[0].number, &tunnel->relay_report) ||
		set_up(tunnel, end) != 0 || (first && come_alive(tunnel, end) < 0)) {
		process_kill(&tunnel->relay);
		return 0;
	}
	tunnel->relay_landlock = message->fields[0].number & SEAL_LANDLOCK;
	loop_timer_clear(channel->loop, &tunnel->timer);
	tunnel->starting = false;
	tunnels_start_over(&supervisor->tunnels);
	tunnel->state = TUNNEL_LIVE;
	tunnels_move(&supervisor->tunnels, tunnel, LIST_LIVING);
	gates_route_add(&supervisor->gates);
	agents_go_on(tunnel);
	if (first)
		api_spawned(&supervisor->api, tunnel);
	return 0;
}
