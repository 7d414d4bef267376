// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What is written leaves in order, and when: gathered, held, or kept because the socket is full.

#include "tls_io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

struct case_ {
	struct tls_io io;
	BIO *bio;
	int other;
};

static int setup(void **state)
{
	static struct case_ c;
	int pair[2], small = 4096;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	tls_io_init(&c.io, pair[0]);
	c.bio = tls_io_bio(&c.io);
	assert_non_null(c.bio);
	c.other = pair[1];
	*state = &c;
	return 0;
}

static int teardown(void **state)
{
	struct case_ *c = *state;
	BIO_free(c->bio);
	tls_io_deinit(&c->io);
	close(c->io.fd);
	if (c->other >= 0)
		close(c->other);
	return 0;
}

static void write_text(struct case_ *c, const char *text)
{
	assert_int_equal(BIO_write(c->bio, text, (int)strlen(text)), (int)strlen(text));
}

// What one recv(2) finds.
static void expect(struct case_ *c, const char *wanted)
{
	char got[256];
	ssize_t n = recv(c->other, got, sizeof got - 1, MSG_DONTWAIT);
	got[n > 0 ? n : 0] = '\0';
	assert_string_equal(got, wanted);
}

static void test_what_gathers_leaves_at_once(void **state)
{
	struct case_ *c = *state;
	write_text(c, "one ");
	write_text(c, "two");
	expect(c, "");
	assert_int_equal(tls_io_flush(&c->io), 0);
	expect(c, "one two");
	assert_false(tls_io_pending(&c->io));
}

static void test_what_is_held_leaves_with_the_next(void **state)
{
	struct case_ *c = *state;
	write_text(c, "ticket ");
	assert_int_equal(tls_io_hold(&c->io), 0);
	assert_false(tls_io_pending(&c->io));
	assert_int_equal(tls_io_flush(&c->io), 0);
	expect(c, "");
	write_text(c, "answer");
	assert_int_equal(tls_io_flush_last(&c->io), 0);
	expect(c, "ticket answer");
	assert_int_equal(tls_io_hold(&c->io), 0); // nothing
	write_text(c, "more");
	assert_int_equal(tls_io_flush(&c->io), 0);
	expect(c, "more");
}

static void test_what_a_full_socket_does_not_take_is_kept(void **state)
{
	struct case_ *c = *state;
	static char block[16384], got[sizeof block];
	size_t sent = 0, received = 0, last = 0;
	while (!tls_io_pending(&c->io)) {
		memset(block, 'a' + (int)(sent / sizeof block), sizeof block);
		assert_int_equal(BIO_write(c->bio, block, sizeof block), (int)sizeof block);
		assert_int_equal(tls_io_flush(&c->io), 0);
		sent += sizeof block;
	}
	write_text(c, "z");
	assert_int_equal(tls_io_hold(&c->io), 0); // goes behind
	assert_true(tls_io_pending(&c->io));
	while (received < sent + 1) {
		ssize_t n = recv(c->other, got, sizeof got, MSG_DONTWAIT);
		for (ssize_t i = 0; i < n; i++, received++)
			if (received < sent)
				assert_int_equal(got[i], 'a' + (int)(received / sizeof block));
			else
				assert_int_equal(got[i], 'z');
		assert_true(n > 0 || last != received);
		last = received;
		c->io.writable = true; // as the loop would say
		assert_int_equal(tls_io_flush(&c->io), 0);
	}
	assert_false(tls_io_pending(&c->io));
	assert_int_equal(c->io.written, sent + 1);
}

static void test_a_peer_that_is_gone(void **state)
{
	struct case_ *c = *state;
	close(c->other);
	c->other = -1;
	write_text(c, "x");
	assert_true(tls_io_flush(&c->io) < 0);
	assert_true(c->io.broken);
	assert_int_equal(BIO_write(c->bio, "y", 1), -1);
}

static void test_reading(void **state)
{
	struct case_ *c = *state;
	char got[8];
	assert_int_equal(BIO_read(c->bio, got, sizeof got), -1);
	assert_true(BIO_should_retry(c->bio) && !c->io.readable);
	assert_int_equal(send(c->other, "abc", 3, 0), 3);
	assert_int_equal(BIO_read(c->bio, got, sizeof got), -1); // no event has told
	c->io.readable = true;
	assert_int_equal(BIO_read(c->bio, got, sizeof got), 3);
	shutdown(c->other, SHUT_WR);
	c->io.readable = true;
	assert_int_equal(BIO_read(c->bio, got, sizeof got), 0);
	assert_true(c->io.ended && BIO_eof(c->bio));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_what_gathers_leaves_at_once),
		CASE(test_what_is_held_leaves_with_the_next),
		CASE(test_what_a_full_socket_does_not_take_is_kept),
		CASE(test_a_peer_that_is_gone),
		CASE(test_reading),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
