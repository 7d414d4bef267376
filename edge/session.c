// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "session.h"

#include "proxy_header.h"

#include <openssl/err.h>
#include <sys/socket.h>

void sessions_init(struct sessions *all, struct loop *loop, struct ipc_channel *gates)
{
	*all = (struct sessions){.loop = loop, .gates = gates};
	TAILQ_INIT(&all->handshakes);
	TAILQ_INIT(&all->offered);
}

void sessions_counted(struct sessions *all)
{
	struct instant due = instant_add_ms(all->loop->now, SESSIONS_REPORT_MS);
	if (all->report.place == 0 && loop_timer_set(all->loop, &all->report, due) < 0)
		return; // out of memory: it is told with what is counted next
}

// ---- life

static void count_handshake(struct session *session)
{
	struct session_counts *counts = &session->all->counts;
	if (SSL_is_init_finished(session->pump.ssl))
		counts->completed++;
	else
		counts->failed++;
}

static void leave_state(struct session *session)
{
	struct sessions *all = session->all;
	sessions_counted(all);
	switch (session->state) {
	case SESSION_HANDSHAKE:
		TAILQ_REMOVE(&all->handshakes, session, link);
		all->n_handshakes--;
		count_handshake(session);
		break;
	case SESSION_OFFERED:
		TAILQ_REMOVE(&all->offered, session, link);
		all->n_offered--;
		break;
	case SESSION_PUMPING: all->n_open--; break;
	}
}

static void session_free(struct session *session)
{
	leave_state(session);
	loop_timer_clear(session->all->loop, &session->deadline);
	pump_deinit(&session->pump);
	free(session);
}

static void on_over(struct pump *pump)
{
	session_free(container_of(pump, struct session, pump));
}

static void on_deadline(struct loop_timer *timer)
{
	session_free(container_of(timer, struct session, deadline));
}

bool sessions_shed(struct sessions *all)
{
	bool any = all->n_handshakes > 0;
	for (size_t n = (all->n_handshakes + 1) / 2; n > 0; n--)
		session_free(TAILQ_FIRST(&all->handshakes));
	return any;
}

// ---- to a gate

static void start_pumping(struct session *session, int pair)
{
	leave_state(session);
	session->state = SESSION_PUMPING;
	session->all->n_open++;
	loop_timer_clear(session->all->loop, &session->deadline);
	buf_wipe(&session->pump.up);
	if (pump_start(&session->pump, pair) < 0)
		session_free(session);
}

// Returns IPC_SENT, after which the session may be gone, or IPC_FULL, or a negative errno.
static int offer(struct session *session, struct span bytes)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	const struct wire_value fields[] = {
		wire_bin(session->facts.peer, PEER_SIZE),
		wire_uint(session->facts.listener),
		wire_uint(session->facts.use),
		wire_bin(bytes.p, bytes.n),
	};
	// Gates know edges by no epoch: all share the channel.
	int r = ipc_send_epoch(
		session->all->gates, 0, MSG_STREAM, pair[1], fields, ARRAY_SIZE(fields));
	close(pair[1]);
	if (r != IPC_SENT)
		close(pair[0]);
	else
		start_pumping(session, pair[0]);
	return r;
}

static void offer_first(struct session *session, struct span bytes)
{
	struct sessions *all = session->all;
	int r = all->n_offered > 0 ? IPC_FULL : offer(session, bytes);
	if (r == IPC_SENT)
		return;
	if (r != IPC_FULL || buf_add_span(&session->pump.up, bytes) < 0) {
		session_free(session);
		return;
	}
	ipc_want_writable(all->gates);
	leave_state(session);
	session->state = SESSION_OFFERED;
	TAILQ_INSERT_TAIL(&all->offered, session, link);
	all->n_offered++;
}

void sessions_offer_again(struct sessions *all)
{
	struct session *session;
	while ((session = TAILQ_FIRST(&all->offered)) != NULL) {
		int r = offer(session, buf_span(&session->pump.up));
		if (r == IPC_FULL)
			return; // it will be asked for again
		if (r < 0)
			session_free(session);
	}
}

// ---- handshake and first bytes

// Takes the header off that a proxy has put before the handshake. Returns 0, -EAGAIN when it is not
// complete, or another negative errno when it is none or never will be.
static int take_proxy_header(struct session *session)
{
	char bytes[PROXY_HEADER_MAX];
	int fd = session->pump.io.fd;
	size_t size = 0;
	ssize_t n = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	switch (proxy_header_parse(bytes, (size_t)n, session->facts.peer, &size)) {
	case 0: break;
	case PROXY_HEADER_MORE: return session->pump.io.peer_done ? -ECONNRESET : -EAGAIN;
	default: return -EBADMSG;
	}
	session->facts.proxy = false;
	return recv(fd, bytes, size, MSG_DONTWAIT) == (ssize_t)size ? 0 : -ECONNRESET;
}

static void go_on(struct session *session)
{
	static char first[STREAM_BYTES_MAX];
	struct pump *pump = &session->pump;
	int r = session->facts.proxy ? take_proxy_header(session) : 0;
	if (r < 0) {
		if (r != -EAGAIN)
			session_free(session);
		return;
	}
	if (pump->io.broken) {
		session_free(session);
		return;
	}
	// Reading does the handshake as well.
	ssize_t n = tls_io_flush(&pump->io) < 0 ? -EPIPE : pump_read(pump, first, sizeof first);
	// A session ticket has time until there is an answer; what a handshake waits for has none.
	if ((n > 0 ? tls_io_hold(&pump->io) : tls_io_flush(&pump->io)) < 0)
		n = -EPIPE;
	if (n > 0)
		offer_first(session, (struct span){first, (size_t)n});
	else if (n != -EAGAIN)
		session_free(session);
	else
		pump_watch_room(pump);
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct session *session = container_of(watch, struct session, pump.tcp);
	pump_note(&session->pump, events);
	if (session->state == SESSION_HANDSHAKE)
		go_on(session);
	else if (session->pump.io.broken)
		session_free(session);
}

void session_begin(struct sessions *all, int fd, SSL *ssl, const struct facts *facts)
{
	struct session *session = ssl != NULL ? malloc(sizeof *session) : NULL;
	if (session == NULL) {
		SSL_free(ssl);
		close(fd);
		return;
	}
	*session =
		(struct session){.all = all, .deadline = {.expired = on_deadline}, .facts = *facts};
	if (pump_init(&session->pump, all->loop, fd, ssl, on_ready) < 0) {
		free(session);
		return;
	}
	session->pump.over = on_over;
	TAILQ_INSERT_TAIL(&all->handshakes, session, link);
	all->n_handshakes++;
	sessions_counted(all);
	if (all->n_handshakes > all->max_handshakes)
		session_free(TAILQ_FIRST(&all->handshakes));
	struct instant due = instant_add_ms(all->loop->now, all->handshake_timeout_ms);
	if (loop_timer_set(all->loop, &session->deadline, due) < 0)
		session_free(session);
	else
		go_on(session);
}
