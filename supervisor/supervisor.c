// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "supervisor.h"

#include "log.h"
#include "prepare.h"
#include "relay_channel.h"

#include <signal.h>
#include <sys/signalfd.h>

// ---- the end

static void on_stop_timer(struct loop_timer *timer)
{
	struct supervisor *supervisor = container_of(timer, struct supervisor, stop_timer);
	struct process *api = &supervisor->api.child.process;

	if (process_alive(api) && !api->killed) {
		process_log(api, LOG_WARNING, "did not stop in time");
		process_kill(api);
		int r = loop_timer_set(&supervisor->loop, timer,
			instant_add_ms(instant_now(), SUPERVISOR_KILL_MS));
		if (r == 0)
			return;
	}
	// What is not reaped yet has been killed and dies with us at the latest.
	loop_stop(&supervisor->loop, supervisor->loop.status);
}

static void kill_relay(struct tunnel *tunnel)
{
	process_kill(&tunnel->relay);
}

// Agents are told by the relay, which exits then; all others are killed at once.
static void end_relay(struct tunnel *tunnel)
{
	resolve_cancel(&tunnel->resolve);
	if (relay_drain(tunnel))
		tunnel->supervisor->n_draining++;
	else
		process_kill(&tunnel->relay);
}

// Agents may have come by an edge, so edges go when relays are gone.
static void end_drain(struct supervisor *supervisor)
{
	loop_timer_clear(&supervisor->loop, &supervisor->drain_timer);
	tunnels_each(&supervisor->tunnels, kill_relay);
	edges_kill(&supervisor->edges);
}

static void on_drain_timer(struct loop_timer *timer)
{
	end_drain(container_of(timer, struct supervisor, drain_timer));
}

void supervisor_drained(struct supervisor *supervisor)
{
	if (--supervisor->n_draining == 0)
		end_drain(supervisor);
}

static void drain(struct supervisor *supervisor)
{
	tunnels_each(&supervisor->tunnels, end_relay);
	supervisor->drain_timer.expired = on_drain_timer;
	int r = loop_timer_set(&supervisor->loop, &supervisor->drain_timer,
		instant_add_ms(instant_now(), SUPERVISOR_DRAIN_MS));
	if (r < 0 || supervisor->n_draining == 0)
		end_drain(supervisor);
}

static void stop(struct supervisor *supervisor, int status)
{
	struct loop *loop = &supervisor->loop;

	if (supervisor->stopping)
		return;
	// Told like other ends: what is told from now on is a last word.
	tunnels_each(&supervisor->tunnels, tunnel_sign_no_more);
	supervisor->stopping = true;
	loop->status = status;
	gates_kill(&supervisor->gates);
	process_kill(&supervisor->attest.child.process);
	tls_keys_stop(&supervisor->tls_keys);
	drain(supervisor);
	api_stop(&supervisor->api);
	supervisor->stop_timer.expired = on_stop_timer;
	int64_t ms = (int64_t)supervisor->options->stop_timeout * 1000;
	int r = loop_timer_set(loop, &supervisor->stop_timer, instant_add_ms(instant_now(), ms));
	if (r < 0 || supervisor->n_processes == 0)
		loop_stop(loop, status);
}

static void stop_in_order(struct supervisor *supervisor)
{
	if (!supervisor->stopping)
		log_info("stopping: tunnels go on at the next start");
	stop(supervisor, EXIT_SUCCESS);
}

void supervisor_fail(struct supervisor *supervisor, const char *why)
{
	log_error("cannot go on: %s", why);
	stop(supervisor, EXIT_FAILURE);
}

void supervisor_process_gone(struct supervisor *supervisor)
{
	if (supervisor->stopping && supervisor->n_processes == 0)
		loop_stop(&supervisor->loop, supervisor->loop.status);
}

// ---- signals

static void on_signal(struct loop_watch *watch, uint32_t events)
{
	struct supervisor *supervisor = container_of(watch, struct supervisor, signals);
	struct signalfd_siginfo info;

	while (read(watch->fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGHUP)
			tls_keys_reload(&supervisor->tls_keys);
		else
			stop_in_order(supervisor);
	}
}

static int watch_signals(struct supervisor *supervisor)
{
	struct loop *loop = &supervisor->loop;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	CLEANUP(close_p) int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	supervisor->signals.ready = on_signal;
	int r = loop_watch(loop, &supervisor->signals, fd, EPOLLIN);
	if (r == 0)
		(void)take_fd(&fd);
	return r;
}

// ---- the beginning

void supervisor_child_proven(struct supervisor *supervisor)
{
	if (supervisor->announced || !supervisor->api.child.proven ||
		!gates_proven(&supervisor->gates) || !edges_proven(&supervisor->edges))
		return;
	supervisor->announced = true;
	char text[LISTENERS_TEXT_MAX];
	listeners_format(&supervisor->listeners, text);
	log_info("ready: listening on %s", text);
}

uid_t supervisor_uid(const struct supervisor *supervisor, unsigned offset)
{
	return supervisor->separate ? supervisor->uids.base + offset : (uid_t)-1;
}

static int init_parts(struct supervisor *supervisor)
{
	struct loop *loop = &supervisor->loop;
	int r = watch_signals(supervisor);

	if (r == 0)
		r = expiry_init(&supervisor->expiry, loop);
	if (r == 0)
		r = tunnels_init(&supervisor->tunnels, loop, supervisor->options->max_tunnels,
			tunnel_start_relay);
	if (r < 0)
		return r;
	resolver_init(&supervisor->resolver, supervisor);
	attest_init(&supervisor->attest, supervisor);
	r = api_init(&supervisor->api, supervisor);
	if (r == 0)
		r = gates_init(&supervisor->gates, supervisor, gates_count(supervisor->options));
	if (r == 0)
		r = edges_init(&supervisor->edges, supervisor, edges_count(supervisor->options));
	return r;
}

int supervisor_init(
	struct supervisor *supervisor, struct options *options, const struct source *source)
{
	*supervisor = (struct supervisor){
		.options = options,
		.source = source,
		.started_at = wall_now(),
		.started_on = instant_now(),
		.collateral_fd = -1,
		.roots_fd = -1,
		.void_fd = -1,
		.state_dir_fd = -1,
		.state_fd = -1,
		.signals = {.fd = -1},
		.expiry = {.watch = {.fd = -1}},
		.api = {.visitors_in = -1, .visitors_out = -1},
		.edges = {.streams_in = -1, .streams_out = -1},
		.collateral_url = {.supervisor = supervisor},
	};
	tls_keys_init(&supervisor->tls_keys, supervisor);
	tally_init(&supervisor->tally);
	int r = prepare(supervisor, options);
	if (r < 0)
		return r; // has been logged
	r = loop_init(&supervisor->loop);
	if (r == 0)
		r = init_parts(supervisor);
	if (r < 0)
		log_error("cannot start: %s", strerror(-r));
	return r;
}

int supervisor_run(struct supervisor *supervisor)
{
	gates_start(&supervisor->gates);
	edges_start(&supervisor->edges);
	child_start(&supervisor->api.child);
	attest_start(&supervisor->attest);
	int r = loop_run(&supervisor->loop);
	if (r < 0) {
		log_error("cannot go on: epoll: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	if (r == EXIT_SUCCESS)
		log_info("stopped");
	return r;
}
