// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "pump.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

enum {
	SCRATCH = 64 * 1024,
	GO_ON = 0,
	OVER = 1, // `over` has been called
};

static const uint32_t arrivals = EPOLLIN | EPOLLRDHUP | EPOLLET;

// What is in hand, within one step of one pump.
static char scratch[SCRATCH];

// ---- life

static void on_tcp_ready(struct loop_watch *watch, uint32_t events);
static void on_pair_ready(struct loop_watch *watch, uint32_t events);
static void on_timer(struct loop_timer *timer);
static void on_task(struct loop_task *task);

// A new key of the peer (RFC 8446 section 4.6.3) costs it a few bytes and us as much as kilobytes,
// and OpenSSL takes one behind the other without letting anybody else have a turn.
static void on_message(
	int sent, int version, int type, const void *bytes, size_t n, SSL *ssl, void *data)
{
	struct pump *pump = data;
	if (sent || type != SSL3_RT_HANDSHAKE || n == 0 ||
		*(const uint8_t *)bytes != SSL3_MT_KEY_UPDATE)
		return;
	uint64_t allowed = PUMP_NEW_KEYS + ((pump->received + pump->io.written) >> 20);
	pump->io.broken |= ++pump->new_keys > allowed;
}

int pump_init(struct pump *pump, struct loop *loop, int fd, SSL *ssl,
	void (*ready)(struct loop_watch *, uint32_t))
{
	*pump = (struct pump){
		.loop = loop,
		.ssl = ssl,
		.tcp = {.fd = -1, .ready = ready},
		.pair = {.fd = -1, .ready = on_pair_ready},
		.timer = {.expired = on_timer},
		.task = {.run = on_task},
		.said = -1,
	};
	tls_io_init(&pump->io, fd);
	SSL_set_msg_callback(ssl, on_message);
	SSL_set_msg_callback_arg(ssl, pump);
	buf_init(&pump->up, SCRATCH);
	BIO *bio = tls_io_bio(&pump->io);
	if (bio != NULL)
		SSL_set_bio(ssl, bio, bio);
	int r = bio == NULL ? -ENOMEM : loop_watch(loop, &pump->tcp, fd, arrivals);
	if (r < 0) {
		SSL_free(ssl);
		close(fd);
	}
	return r;
}

void pump_deinit(struct pump *pump)
{
	int fd = pump->io.fd, pair = pump->pair.fd;
	loop_timer_clear(pump->loop, &pump->timer);
	loop_task_clear(&pump->task);
	loop_unwatch(pump->loop, &pump->tcp); // of a backend's the supervisor may still have a copy
	close(fd);
	if (pair >= 0) {
		loop_forget(pump->loop, &pump->pair);
		close(pair);
	}
	SSL_free(pump->ssl);
	tls_io_deinit(&pump->io);
	buf_wipe(&pump->up);
}

static int over(struct pump *pump)
{
	pump->over(pump);
	return OVER;
}

// Lets the kernel deliver what it has.
static int over_in_order(struct pump *pump)
{
	static const struct linger off = {0};
	setsockopt(pump->io.fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
	return over(pump);
}

// ---- up: from the peer

ssize_t pump_read(struct pump *pump, char *bytes, size_t size)
{
	size_t n = 0;
	ERR_clear_error();
	int r = SSL_read_ex(pump->ssl, bytes, size, &n);
	int why = r == 1 ? SSL_ERROR_NONE : SSL_get_error(pump->ssl, r);
	pump->received += n;
	switch (why) {
	case SSL_ERROR_NONE: return (ssize_t)n;
	case SSL_ERROR_WANT_READ: return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN: return 0;
	default: return -ECONNRESET;
	}
}

// Sends what the pair did not take before. Returns whether all is gone.
static bool flush_up(struct pump *pump, const char *bytes, size_t n)
{
	ssize_t sent = 0;
	if (pump->pair_writable)
		do
			sent = send(pump->pair.fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN)
		pump->pair_hung_up = true;
	pump->pair_writable = sent == (ssize_t)n;
	size_t gone = (size_t)MAX(sent, 0);
	if (bytes == buf_span(&pump->up).p)
		buf_consume(&pump->up, gone);
	else if (gone < n && buf_add(&pump->up, bytes + gone, n - gone) < 0)
		pump->pair_hung_up = true;
	return gone == n;
}

// Fills scratch from the peer. Returns how many bytes there are, 0 at its end, or as pump_read(),
// and adds to *MOVED.
static ssize_t gather(struct pump *pump, size_t *moved)
{
	size_t n = 0;
	ssize_t more = 0;
	while (n < SCRATCH && *moved < PUMP_ROUND &&
		(more = pump_read(pump, scratch + n, SCRATCH - n)) > 0) {
		n += (size_t)more;
		*moved += MAX((size_t)more, (size_t)PUMP_RECORD);
	}
	if (tls_io_flush(&pump->io) < 0)
		return -EPIPE;
	pump->heard |= more == 0 && n < SCRATCH;
	if (more < 0 && more != -EAGAIN)
		return more;
	return n > 0 || pump->heard ? (ssize_t)n : -EAGAIN;
}

// Nobody wants what still comes.
static bool drains(const struct pump *pump)
{
	return pump->said >= ENDING_WHOLE;
}

static int pass_end(struct pump *pump)
{
	if (!pump->heard || pump->passed || buf_len(&pump->up) > 0)
		return GO_ON;
	pump->passed = true;
	if (pump->pair.fd >= 0)
		shutdown(pump->pair.fd, SHUT_WR);
	return GO_ON;
}

static int move_up(struct pump *pump, size_t *moved)
{
	struct span waiting = buf_span(&pump->up);
	if (waiting.n > 0 && !drains(pump) && !flush_up(pump, waiting.p, waiting.n))
		return GO_ON;
	while (!pump->heard && pump->drained < PUMP_DRAIN_MAX && *moved < PUMP_ROUND &&
		(pump->io.readable || SSL_has_pending(pump->ssl))) {
		ssize_t n = gather(pump, moved);
		if (n == -EAGAIN)
			return GO_ON;
		if (n < 0) // cut; or gone without a word after it has our end, as many do
			return pump->answered && tls_io_delivered(&pump->io) ? over_in_order(pump)
									     : over(pump);
		if (drains(pump))
			pump->drained += (size_t)n;
		else if (n > 0 && !flush_up(pump, scratch, (size_t)n))
			return GO_ON;
	}
	return pass_end(pump);
}

// ---- down: to the peer

// If the end was said, says it to the peer behind all that has been written.
static int answer_end(struct pump *pump)
{
	if (pump->said < 0 || tls_io_pending(&pump->io))
		return GO_ON;
	if (!pump->answered) {
		ERR_clear_error();
		SSL_shutdown(pump->ssl);
		pump->answered = true;
		if (tls_io_flush_last(&pump->io) < 0)
			return over(pump);
	}
	if (!pump->finished && !tls_io_pending(&pump->io)) {
		pump->finished = true;
		shutdown(pump->io.fd, SHUT_WR);
	}
	return GO_ON;
}

// Nobody else waits for the peer any more, or what there is to send is little and rare: one that
// takes nothing would stay for good.
static void limit_stall(struct pump *pump)
{
	static const unsigned ms = PUMP_STALLED_MS;
	setsockopt(pump->io.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

// Once the other end has hung up, what it said last decides, so all is read that scratch can hold.
static ssize_t read_pair(struct pump *pump, int *said)
{
	size_t n = 0;
	ssize_t got;
	bool goes_on;
	do {
		got = ending_read(pump->pair.fd, scratch + n, SCRATCH - n, said);
		n += (size_t)MAX(got, 0);
		goes_on = *said == ENDING_NEVER;
		if (goes_on) {
			limit_stall(pump);
			*said = -1;
		}
	} while ((goes_on || (pump->pair_hung_up && got > 0)) && *said < 0 && n < SCRATCH);
	return n > 0 || *said >= 0 ? (ssize_t)n : got;
}

// Takes what the other end of the pair has sent. Returns GO_ON or OVER, with *N bytes in scratch.
static int take_down(struct pump *pump, size_t *n)
{
	int said;
	*n = 0;
	ssize_t got = read_pair(pump, &said);
	// Less than asked for: it is empty now, the next edge will tell, unless there is none.
	pump->pair_readable = got == SCRATCH || said >= 0 || (got > 0 && pump->pair_done);
	if (got == -EAGAIN)
		return GO_ON;
	if (got < 0 || (pump->said >= 0 && got > 0))
		return over(pump);
	if (said == ENDING_LEFT)
		limit_stall(pump);
	pump->said = MAX(pump->said, (int8_t)said);
	// Who has hung up without leaving its word was killed: nothing more is delivered.
	if (pump->pair_hung_up && pump->said != ENDING_LEFT)
		return over(pump);
	*n = (size_t)got;
	return GO_ON;
}

static int move_down(struct pump *pump, size_t *moved)
{
	if (tls_io_flush(&pump->io) < 0)
		return over(pump);
	while (pump->pair_readable && pump->said != ENDING_LEFT && !tls_io_pending(&pump->io) &&
		*moved < PUMP_ROUND) {
		size_t n;
		if (take_down(pump, &n) == OVER)
			return OVER;
		size_t written = 0;
		ERR_clear_error();
		if (n > 0 && SSL_write_ex(pump->ssl, scratch, n, &written) != 1)
			return over(pump);
		// What the end is said behind leaves with it.
		if (pump->said < 0 && tls_io_flush(&pump->io) < 0)
			return over(pump);
		*moved += n;
	}
	return answer_end(pump);
}

// ---- the end

static bool ends(const struct pump *pump)
{
	return pump->answered && pump->said >= ENDING_WHOLE;
}

// Nothing more is wanted from the peer: it is over when it has all and has ended too, or has had
// time to. Not before, although both may have ended: closing the pair could overtake what its other
// end has not read.
static int close_when_delivered(struct pump *pump)
{
	if (!ends(pump))
		return GO_ON;
	bool delivered = tls_io_delivered(&pump->io);
	bool patient = !pump->heard && pump->ticks < PUMP_LINGER_TICKS;
	if (delivered && !patient)
		return over_in_order(pump);
	if (loop_timer_set(
		    pump->loop, &pump->timer, instant_add_ms(pump->loop->now, PUMP_TICK_MS)) < 0)
		return over(pump);
	return GO_ON;
}

static int hung_up(struct pump *pump)
{
	if (!pump->pair_hung_up || pump->pair.fd < 0)
		return GO_ON;
	if (pump->said != ENDING_LEFT && !tls_io_pending(&pump->io)) {
		size_t moved = 0;
		pump->pair_readable = true;
		if (move_down(pump, &moved) == OVER)
			return OVER;
	}
	if (pump->said != ENDING_LEFT)
		return over(pump);
	int fd = pump->pair.fd;
	loop_forget(pump->loop, &pump->pair);
	close(fd);
	pump->pair_readable = false;
	buf_reset(&pump->up);
	return GO_ON;
}

// ---- steps

static void watch_room_of(struct pump *pump, struct loop_watch *watch, bool writable, bool *watched)
{
	if (writable || *watched || watch->fd < 0)
		return;
	// Modifying what is already watched allocates nothing and cannot fail.
	int r = loop_rewatch(pump->loop, watch, arrivals | EPOLLOUT);
	assert(r == 0);
	(void)r;
	*watched = true;
}

void pump_watch_room(struct pump *pump)
{
	watch_room_of(pump, &pump->tcp, pump->io.writable, &pump->tcp_room);
	watch_room_of(pump, &pump->pair, pump->pair_writable, &pump->pair_room);
}

static void step(struct pump *pump)
{
	size_t up = 0, down = 0;
	if (pump->io.broken) {
		over(pump);
		return;
	}
	if (hung_up(pump) == OVER || move_down(pump, &down) == OVER || move_up(pump, &up) == OVER ||
		close_when_delivered(pump) == OVER)
		return;
	if (up >= PUMP_ROUND || down >= PUMP_ROUND)
		loop_task_set(pump->loop, &pump->task);
	pump_watch_room(pump);
}

void pump_note(struct pump *pump, uint32_t events)
{
	struct tls_io *io = &pump->io;
	io->readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	io->writable |= (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
	io->peer_done |= (events & EPOLLRDHUP) != 0;
	io->broken |= (events & EPOLLERR) != 0;
}

static void on_tcp_ready(struct loop_watch *watch, uint32_t events)
{
	struct pump *pump = container_of(watch, struct pump, tcp);
	pump_note(pump, events);
	step(pump);
}

static void on_pair_ready(struct loop_watch *watch, uint32_t events)
{
	struct pump *pump = container_of(watch, struct pump, pair);
	pump->pair_readable |= (events & EPOLLIN) != 0;
	pump->pair_writable |= (events & EPOLLOUT) != 0;
	pump->pair_done |= (events & EPOLLRDHUP) != 0;
	// With our own side shut this comes with the other's death only: it says its end otherwise.
	pump->pair_hung_up |= (events & (EPOLLHUP | EPOLLERR)) != 0;
	step(pump);
}

static void on_timer(struct loop_timer *timer)
{
	struct pump *pump = container_of(timer, struct pump, timer);
	if (tls_io_delivered(&pump->io))
		pump->ticks++;
	step(pump);
}

static void on_task(struct loop_task *task)
{
	step(container_of(task, struct pump, task));
}

int pump_start(struct pump *pump, int pair)
{
	int r = loop_watch(pump->loop, &pump->pair, pair, arrivals);
	if (r < 0) {
		close(pair);
		return r;
	}
	pump->tcp.ready = on_tcp_ready;
	pump->pair_writable = true;
	step(pump);
	return 0;
}
