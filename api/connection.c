// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "connection_private.h"

#include "answer.h"
#include "ending.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { DRAIN_ROUNDS = 16 };

static enum step step_waiting(struct connection *c);
static enum step step_sending(struct connection *c);
static enum step step_streaming(struct connection *c);
static enum step step_upgrading(struct connection *c);
static enum step step_lingering(struct connection *c);
static enum step step_broken(struct connection *c);

static enum step (*const steps[CONNECTION_STATES])(struct connection *c) = {
	[CONNECTION_HEAD] = connection_step_head,
	[CONNECTION_BODY] = connection_step_body,
	[CONNECTION_WAITING] = step_waiting,
	[CONNECTION_SENDING] = step_sending,
	[CONNECTION_STREAMING] = step_streaming,
	[CONNECTION_UPGRADING] = step_upgrading,
	[CONNECTION_LINGERING] = step_lingering,
	[CONNECTION_BROKEN] = step_broken,
};

// ---- small things

void connection_set_deadline(struct connection *c, int64_t ms)
{
	struct instant due = instant_add_ms(instant_now(), ms);
	if (loop_timer_set(c->set->loop, &c->deadline, due) < 0)
		c->state = CONNECTION_BROKEN;
}

enum step connection_wait_for(struct connection *c, uint32_t events)
{
	if (c->events != events && loop_rewatch(c->set->loop, &c->watch, events) < 0)
		return STEP_OVER;
	c->events = events;
	return STEP_WAIT;
}

// ---- the answer

void connection_wait(struct connection *c, struct connection_waiter *waiter)
{
	assert(c->state == CONNECTION_BODY && c->waiter == NULL);
	c->waiter = waiter;
	c->state = CONNECTION_WAITING;
}

void connection_forget(struct connection *c)
{
	c->waiter = NULL;
}

static size_t body_size(struct span answer)
{
	const char *end = answer.n > 0 ? memmem(answer.p, answer.n, "\r\n\r\n", 4) : NULL;
	return end != NULL ? (size_t)(answer.p + answer.n - end) - 4 : 0;
}

void connection_answered(struct connection *c, int r)
{
	if (c->line != NULL && r == 0)
		c->bytes_out = body_size(buf_span(&c->out));
	c->state = r == 0 ? CONNECTION_SENDING : CONNECTION_BROKEN;
	connection_set_deadline(c, c->set->patience_ms);
	if (!c->running)
		loop_task_set(c->set->loop, &c->task);
}

static void tell_waiter(struct connection *c, bool lost)
{
	struct connection_waiter *waiter = c->waiter;
	c->waiter = NULL;
	if (waiter != NULL)
		waiter->over(waiter, lost);
}

// Nothing is read meanwhile; the peer's end is noted.
static enum step step_waiting(struct connection *c)
{
	return connection_wait_for(c, c->peer_ended ? 0 : EPOLLRDHUP);
}

static void log_request(struct connection *c, bool cut)
{
	struct request_entry entry = {
		.status = c->status,
		.code = c->code,
		.bytes_in = c->bytes_in,
		.bytes_out = c->bytes_out,
		.ours = c->status != 0,
		.cut = cut,
		.peer = {(const char *)c->facts.peer, PEER_SIZE},
	};
	if (c->line != NULL)
		request_line_end(&c->set->log, c->line, &entry);
	c->line = NULL;
}

static enum step answer_sent(struct connection *c)
{
	int r = ending_say(c->watch.fd, c->facts.local, ENDING_LEFT);
	if (r == ENDING_AGAIN)
		return connection_wait_for(c, EPOLLOUT);
	log_request(c, false);
	// A peer that has ended its side may be gone altogether: the end will tell whether it has
	// taken an answer that somebody cares about.
	if (!c->peer_ended)
		tell_waiter(c, false);
	c->state = CONNECTION_LINGERING;
	c->peer_ended = false;
	c->privileged = c->waiter != NULL;
	buf_wipe(&c->in);
	connection_set_deadline(c, CONNECTION_LINGER_MS);
	return STEP_AGAIN;
}

// Sends `out`. Returns STEP_AGAIN when that is done; ALSO: what else to wait for.
static enum step send_out(struct connection *c, uint32_t also)
{
	while (buf_len(&c->out) > 0) {
		struct span out = buf_span(&c->out);
		ssize_t n = send(c->watch.fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return connection_wait_for(c, EPOLLOUT | also);
		if (n < 0)
			return STEP_OVER;
		buf_wipe_front(&c->out, (size_t)n); // one answer holds a secret
		connection_set_deadline(c, c->set->patience_ms);
	}
	return STEP_AGAIN;
}

static enum step step_sending(struct connection *c)
{
	enum step step = send_out(c, 0);
	return step == STEP_AGAIN ? answer_sent(c) : step;
}

// ---- an answer without an end

// Events are small and few: the kernel would take them for a quarter of an hour before it says that
// nobody is there, or for ever if somebody is and does not read (tcp(7)).
static void give_up_in_time(struct connection *c)
{
	const unsigned ms = (unsigned)c->set->patience_ms;
	if (c->facts.local)
		(void)ending_say(c->watch.fd, true, ENDING_NEVER); // the edge has the socket
	setsockopt(c->watch.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

void connection_stream(struct connection *c, struct connection_waiter *waiter, int r)
{
	assert(c->state == CONNECTION_BODY && c->waiter == NULL);
	c->waiter = waiter;
	connection_answered(c, r);
	if (r < 0)
		return;
	c->state = CONNECTION_STREAMING;
	give_up_in_time(c);
	c->set->n[c->kind]--; // streams have a limit of their own
	c->kind = CONNECTION_STREAM;
	c->set->n[c->kind]++;
}

void connection_go_on(struct connection *c)
{
	if (!c->running)
		loop_task_set(c->set->loop, &c->task);
}

static enum step step_streaming(struct connection *c)
{
	if (c->peer_ended)
		return STEP_OVER;
	for (;;) {
		enum step step = send_out(c, EPOLLRDHUP);
		if (step != STEP_AGAIN)
			return step;
		connection_set_deadline(c, c->set->patience_ms);
		if (c->state != CONNECTION_STREAMING)
			return STEP_AGAIN;
		bool more = c->waiter->more(c->waiter, &c->out);
		c->bytes_out += buf_len(&c->out);
		if (!more)
			break;
	}
	loop_timer_clear(c->set->loop, &c->deadline); // it may be silent for as long as it likes
	return connection_wait_for(c, EPOLLRDHUP);
}

// ---- another protocol

void connection_upgrade(struct connection *c, int r)
{
	assert(c->state == CONNECTION_BODY);
	connection_answered(c, r);
	if (c->state == CONNECTION_SENDING)
		c->state = CONNECTION_UPGRADING;
}

// Whoever takes it over belongs to a tunnel: what is cut at its end has to look cut.
static void reset_when_closed(struct connection *c)
{
	static const struct linger reset = {.l_onoff = 1};
	setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static enum step step_upgrading(struct connection *c)
{
	enum step step = send_out(c, 0);
	if (step != STEP_AGAIN)
		return step;
	log_request(c, false);
	reset_when_closed(c);
	c->set->server->upgraded(c, buf_span(&c->in));
	return STEP_OVER;
}

// ---- the end

static bool has_error(int fd)
{
	int error = 0;
	socklen_t n = sizeof error;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error != 0;
}

// Reads what still comes, so that closing does not reset the connection under an answer that the
// peer has not read. Returns STEP_AGAIN at the peer's end.
static enum step drain(struct connection *c)
{
	static char scratch[16 * 1024];
	for (int i = 0; i < DRAIN_ROUNDS; i++) {
		ssize_t n = recv(c->watch.fd, scratch, sizeof scratch, MSG_DONTWAIT);
		if (n == 0)
			return STEP_AGAIN;
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? STEP_WAIT : STEP_OVER;
		c->drained += (size_t)n;
		if (c->drained > CONNECTION_LINGER_MAX)
			return STEP_OVER;
	}
	return STEP_WAIT;
}

static enum step step_lingering(struct connection *c)
{
	if (!c->peer_ended) {
		enum step step = drain(c);
		if (step != STEP_AGAIN)
			return step == STEP_WAIT ? connection_wait_for(c, EPOLLIN) : step;
		c->peer_ended = true;
	}
	// Both sides have ended. Whoever waits also wants to know whether the peer acknowledged
	// the answer or reset the connection: the kernel says so by hanging up.
	if (c->waiter != NULL && !c->hung_up)
		return connection_wait_for(c, 0);
	c->lost = has_error(c->watch.fd);
	return STEP_OVER;
}

static enum step step_broken(struct connection *c)
{
	return STEP_OVER;
}

void connection_close(struct connection *c)
{
	struct connections *set = c->set;
	int fd = c->watch.fd;
	log_request(c, c->kind != CONNECTION_STREAM); // any end of those is as good as another
	TAILQ_REMOVE(&set->all, c, link);
	set->n[c->kind]--;
	loop_timer_clear(set->loop, &c->deadline);
	loop_task_clear(&c->task);
	loop_unwatch(set->loop, &c->watch);
	close(fd);
	connection_forget_request(c);
	buf_wipe(&c->in);
	buf_wipe(&c->out);
	tell_waiter(c, c->lost);
	free(c);
}

// ---- driving it

static void run(struct connection *c)
{
	enum step step;
	c->running = true;
	do
		step = steps[c->state](c);
	while (step == STEP_AGAIN);
	c->running = false;
	if (step == STEP_OVER)
		connection_close(c);
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct connection *c = container_of(watch, struct connection, watch);
	if (events & (EPOLLHUP | EPOLLERR))
		c->hung_up = true;
	if (events & EPOLLRDHUP)
		c->peer_ended = true;
	if (c->hung_up && (c->state == CONNECTION_WAITING || c->state == CONNECTION_STREAMING))
		c->state = CONNECTION_BROKEN;
	run(c);
}

static void on_task(struct loop_task *task)
{
	run(container_of(task, struct connection, task));
}

static void on_deadline(struct loop_timer *timer)
{
	struct connection *c = container_of(timer, struct connection, deadline);
	switch (c->state) {
	case CONNECTION_HEAD:
		connection_refuse(c, CODE_REQUEST_TIMEOUT,
			"The head of the request did not arrive within head_timeout.");
		return;
	case CONNECTION_BODY:
		connection_forget_request(c);
		connection_refuse(c, CODE_REQUEST_TIMEOUT,
			"The body of the request did not arrive within api_timeout.");
		return;
	case CONNECTION_LINGERING: c->lost = false; break;
	case CONNECTION_WAITING:
	case CONNECTION_SENDING:
	case CONNECTION_STREAMING:
	case CONNECTION_UPGRADING:
	case CONNECTION_BROKEN:
	case CONNECTION_STATES:
	default: break;
	}
	connection_close(c);
}

// ---- the beginning

// Returns whether C could be set up; if not it only has to be freed.
static bool start(struct connection *c, int fd, struct span bytes, const char *tunnel)
{
	static const struct linger orderly = {.l_onoff = 0};
	if (tunnel != NULL)
		memcpy(c->tunnel, tunnel, strnlen(tunnel, sizeof c->tunnel - 1));
	// Visitor sockets reset when they are closed: what a tunnel needs, not what we want here.
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &orderly, sizeof orderly);
	buf_init(&c->in, CONNECTION_IN_MAX);
	buf_init(&c->out, CONNECTION_ANSWER_MAX);
	if (bytes.n > 0 && buf_add_span(&c->in, bytes) < 0)
		return false;
	if (loop_watch(c->set->loop, &c->watch, fd, 0) < 0) {
		buf_wipe(&c->in);
		return false;
	}
	return true;
}

static struct connection *connection_new(struct connections *set, enum connection_kind kind, int fd,
	struct span bytes, const char *tunnel)
{
	CLEANUP(close_p) int owned = fd;
	if (!connections_find_place(set, &kind, tunnel))
		return NULL;
	struct connection *c = malloc(sizeof *c);
	if (c == NULL)
		return NULL;
	*c = (struct connection){
		.set = set,
		.watch = {.fd = -1, .ready = on_ready},
		.deadline.expired = on_deadline,
		.task.run = on_task,
		.kind = kind,
		.state = CONNECTION_HEAD,
		.lost = true,
	};
	if (!start(c, fd, bytes, tunnel)) {
		free(c);
		return NULL;
	}
	take_fd(&owned);
	TAILQ_INSERT_TAIL(&set->all, c, link);
	set->n[kind]++;
	return c;
}

void connection_serve(struct connections *set, int fd, const struct facts *facts, struct span own,
	struct span bytes)
{
	struct connection *c = connection_new(set, CONNECTION_SERVED, fd, bytes, NULL);
	if (c == NULL)
		return;
	c->facts = *facts;
	memcpy(c->own, own.p, MIN(own.n, sizeof c->own - 1));
	connection_set_deadline(c, c->set->head_ms);
	run(c);
}

struct connection *connection_for_page(
	struct connections *set, int fd, bool local, const char *tunnel)
{
	struct connection *c =
		connection_new(set, CONNECTION_PAGE, fd, (struct span){NULL, 0}, tunnel);
	if (c != NULL)
		c->facts.local = local;
	return c;
}
