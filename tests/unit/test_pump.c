// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// How much of one peer's an edge does before the others have their turn, and what is said of the
// end of a stream.

#include "contexts.h"
#include "keygen.h"
#include "pump.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct loop loop;
static struct contexts contexts;
static struct pump pump;
static SSL *peer;
static int plain; // the other end of the pair
static bool is_over;

static void on_over(struct pump *which)
{
	is_over = true;
	pump_deinit(which);
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	pump_note(&pump, events);
}

static int make_contexts(void **state)
{
	const struct keygen_subject subject = {.names = SPAN("a.test"), .life_s = 3600};
	int key = memfd_create("key", MFD_CLOEXEC);
	char *chain = NULL;
	const char *why = "";
	assert_int_equal(keygen_make(&subject, key, &chain), 0);
	assert_int_equal(
		contexts_add(&contexts, 0, 1, span_of(chain), key, &why), CONTEXTS_COMPLETE);
	free(chain);
	close(key);
	return loop_init(&loop);
}

static int drop_contexts(void **state)
{
	SSL_CTX_free(contexts.items[0]);
	loop_deinit(&loop);
	return 0;
}

static void shake_hands(void)
{
	char byte;
	for (int i = 0; i < 4; i++) {
		SSL_do_handshake(peer);
		pump.io.readable = true;
		assert_int_equal(pump_read(&pump, &byte, 1), -EAGAIN);
		assert_int_equal(tls_io_flush(&pump.io), 0);
	}
	assert_true(SSL_is_init_finished(pump.ssl));
}

static void start(int wire[2])
{
	int pair[2];
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(pump_init(&pump, &loop, wire[0], contexts_accept(&contexts), on_ready), 0);
	pump.over = on_over;
	is_over = false;
	peer = SSL_new(context);
	SSL_CTX_free(context);
	BIO *bio = BIO_new_socket(wire[1], BIO_CLOSE);
	SSL_set_bio(peer, bio, bio);
	SSL_set_connect_state(peer);
	shake_hands();
	plain = pair[1];
	assert_int_equal(pump_start(&pump, pair[0]), 0);
}

static int setup(void **state)
{
	int wire[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, wire), 0);
	start(wire);
	return 0;
}

static int setup_tcp(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int wire[2] = {-1, socket(AF_INET, SOCK_STREAM, 0)};
	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
	assert_int_equal(connect(wire[1], (struct sockaddr *)&address, n), 0);
	wire[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(wire[0] >= 0 && fcntl(wire[1], F_SETFL, O_NONBLOCK) == 0);
	close(listener);
	start(wire);
	return 0;
}

static int teardown(void **state)
{
	SSL_free(peer);
	if (plain >= 0)
		close(plain);
	if (!is_over)
		pump_deinit(&pump);
	return 0;
}

static unsigned rounds;

static void on_round(struct loop_task *task)
{
	if (--rounds > 0)
		loop_task_set(&loop, task);
	else
		loop_stop(&loop, 0);
}

static void run(unsigned n)
{
	struct loop_task task = {.run = on_round};
	loop.stopped = false;
	rounds = n;
	loop_task_set(&loop, &task);
	assert_int_equal(loop_run(&loop), 0);
}

static size_t arrived(void)
{
	static char bytes[65536];
	ssize_t n = recv(plain, bytes, sizeof bytes, MSG_DONTWAIT);
	return n > 0 ? (size_t)n : 0;
}

// N records of one byte each, in one piece as a peer can send them.
static void send_short_records(size_t n)
{
	BIO *wire = SSL_get_wbio(peer), *memory = BIO_new(BIO_s_mem());
	char *bytes;
	BIO_up_ref(wire);
	SSL_set0_wbio(peer, memory);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(SSL_write(peer, "x", 1), 1);
	long size = BIO_get_mem_data(memory, &bytes);
	assert_int_equal(BIO_write(wire, bytes, (int)size), size);
	SSL_set0_wbio(peer, wire);
}

static void test_short_records_count_for_more(void **state)
{
	// Twice: because of the event, and then as a task.
	enum { RECORDS = 5000, MOST = 2 * PUMP_ROUND / PUMP_RECORD };
	send_short_records(RECORDS);
	run(1);
	size_t first = arrived();
	if (first == 0 || first > MOST)
		fail_msg("%zu bytes in a round, not 1 to %d", first, MOST);
	run(4 * RECORDS / MOST);
	assert_int_equal(first + arrived(), RECORDS); // the rest comes without another event
	assert_false(is_over);
}

static void test_long_records_come_at_once(void **state)
{
	static char bytes[60000];
	size_t all = 0;
	assert_int_equal(SSL_write(peer, bytes, sizeof bytes), (int)sizeof bytes);
	run(1);
	for (size_t n; (n = arrived()) > 0;)
		all += n;
	assert_int_equal(all, sizeof bytes);
}

static unsigned user_timeout(void)
{
	unsigned ms = 0;
	socklen_t n = sizeof ms;
	assert_int_equal(getsockopt(pump.io.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &n), 0);
	return ms;
}

static void test_a_stream_that_goes_on_has_readers_or_none(void **state)
{
	char got[16];
	assert_int_equal(send(plain, "one", 3, 0), 3);
	run(2);
	assert_int_equal(user_timeout(), 0);
	assert_int_equal(ending_say(plain, true, ENDING_NEVER), 0);
	assert_int_equal(send(plain, "two", 3, 0), 3);
	run(2);
	assert_int_equal(user_timeout(), PUMP_STALLED_MS);
	assert_int_equal(ending_say(plain, true, ENDING_LEFT), 0);
	close(plain);
	plain = -1;
	run(2);
	assert_int_equal(SSL_read(peer, got, 3), 3);
	assert_int_equal(SSL_read(peer, got, 3), 3);
	assert_memory_equal(got, "two", 3);
	assert_int_equal(SSL_read(peer, got, 1), 0);
	assert_int_equal(SSL_get_error(peer, 0), SSL_ERROR_ZERO_RETURN);
}

static void test_all_of_it_said_before_anybody_looks(void **state)
{
	char got[16];
	assert_int_equal(ending_say(plain, true, ENDING_NEVER), 0);
	assert_int_equal(send(plain, "all", 3, 0), 3);
	assert_int_equal(ending_say(plain, true, ENDING_LEFT), 0);
	close(plain);
	plain = -1;
	run(3);
	assert_int_equal(SSL_read(peer, got, sizeof got), 3);
	assert_int_equal(SSL_read(peer, got, 1), 0);
	assert_int_equal(SSL_get_error(peer, 0), SSL_ERROR_ZERO_RETURN);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_short_records_count_for_more),
		CASE(test_long_records_come_at_once),
		CASE(test_all_of_it_said_before_anybody_looks),
		cmocka_unit_test_setup_teardown(
			test_a_stream_that_goes_on_has_readers_or_none, setup_tcp, teardown),
	};
	return cmocka_run_group_tests(tests, make_contexts, drop_contexts);
}
