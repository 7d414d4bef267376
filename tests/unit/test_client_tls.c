// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Whom a client trusts by key, and what a session may be resumed for.

#include "tls_server.h"

#include <sys/socket.h>

struct pair {
	SSL *client, *server;
	int fds[2];
};

// Shakes hands over a pair of sockets. Returns whether the client is content; what the server sent
// behind that is not read yet.
static bool meet(struct pair *pair, struct tls_trust *trust, SSL_CTX *server)
{
	const struct url url = {.host = "localhost", .host_kind = URL_NAME, .port = 443};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
	assert_int_equal(tls_client_new(&pair->client, trust, &url, pair->fds[0]), 0);
	pair->server = SSL_new(server);
	SSL_set_fd(pair->server, pair->fds[1]);
	SSL_set_accept_state(pair->server);
	int client = 0;
	for (int i = 0; i < 8; i++) {
		if (client != 1)
			client = SSL_do_handshake(pair->client);
		SSL_do_handshake(pair->server);
	}
	return client == 1;
}

static void part(struct pair *pair)
{
	SSL_set_shutdown(pair->client, SSL_SENT_SHUTDOWN);
	SSL_free(pair->client);
	SSL_free(pair->server);
	close(pair->fds[0]);
	close(pair->fds[1]);
}

static void read_ticket(struct pair *pair)
{
	char byte;
	assert_true(SSL_read(pair->client, &byte, 1) < 0);
	assert_int_equal(SSL_get_error(pair->client, -1), SSL_ERROR_WANT_READ);
}

static void test_keys(void **state)
{
	uint8_t keys[1][TLS_SPKI_SIZE], others[1][TLS_SPKI_SIZE] = {{1}};
	struct tls_trust *trust;
	struct failure failure;
	struct pair pair;
	SSL_CTX *server = tls_server_new(keys[0]);
	assert_int_equal(tls_trust_new(&trust, TLS_CHECK_KEYS, NULL, &failure), 0);
	assert_false(meet(&pair, trust, server));
	part(&pair);
	assert_int_equal(tls_trust_set_keys(trust, others, 1), 0);
	assert_false(meet(&pair, trust, server));
	part(&pair);
	assert_int_equal(tls_trust_set_keys(trust, keys, 1), 0);
	for (int again = 0; again < 2; again++) {
		assert_true(meet(&pair, trust, server));
		assert_int_equal(SSL_session_reused(pair.client), again);
		read_ticket(&pair);
		part(&pair);
	}
	tls_trust_free(trust);
	SSL_CTX_free(server);
}

// A server that is trusted no more hands out a ticket on a connection from before.
static void test_late_ticket(void **state)
{
	uint8_t keys[1][TLS_SPKI_SIZE], others[1][TLS_SPKI_SIZE] = {{1}};
	struct tls_trust *trust;
	struct failure failure;
	struct pair before, after;
	SSL_CTX *server = tls_server_new(keys[0]);
	assert_int_equal(tls_trust_new(&trust, TLS_CHECK_KEYS, NULL, &failure), 0);
	assert_int_equal(tls_trust_set_keys(trust, keys, 1), 0);
	assert_true(meet(&before, trust, server));
	assert_int_equal(tls_trust_set_keys(trust, others, 1), 0);
	read_ticket(&before);
	assert_false(meet(&after, trust, server));
	part(&before);
	part(&after);
	tls_trust_free(trust);
	SSL_CTX_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_late_ticket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
