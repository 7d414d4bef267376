// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The end of one direction of a passage, over TLS, when the socket has no room for it.

#include "passage.h"

#include "opening.h"
#include "tls_server.h"

#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static sem_t refused; // the client has tried to say its end, in vain

static int write_nothing(BIO *bio, const char *bytes, int n)
{
	(void)bytes, (void)n;
	BIO_set_retry_write(bio);
	return -1;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

// The client's first close_notify finds the socket full: OpenSSL keeps it, to be asked again.
int SSL_shutdown(SSL *ssl)
{
	static int (*real)(SSL *);
	static bool done;
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "SSL_shutdown");
	if (SSL_is_server(ssl) || done)
		return real(ssl);
	done = true;
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "full");
	BIO_meth_set_write(method, write_nothing);
	BIO_meth_set_ctrl(method, control);
	BIO *socket = SSL_get_wbio(ssl);
	BIO_up_ref(socket);
	SSL_set0_wbio(ssl, BIO_new(method));
	int r = real(ssl);
	SSL_set0_wbio(ssl, socket);
	BIO_set_retry_write(socket);
	BIO_meth_free(method);
	sem_post(&refused);
	return r;
}

struct server {
	SSL_CTX *context;
	int listener;
	bool heard; // the end of what the client sends
	atomic_bool over;
};

// Lets the client in, and says something once that has tried to end its direction.
static void *serve(void *argument)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
				     "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
	struct server *server = argument;
	char bytes[1024];
	int fd = accept(server->listener, NULL, NULL);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){5, 0}, sizeof(struct timeval));
	SSL *ssl = SSL_new(server->context);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1 && SSL_read(ssl, bytes, sizeof bytes) > 0 &&
		SSL_write(ssl, answer, sizeof answer - 1) > 0 && sem_wait(&refused) == 0 &&
		SSL_write(ssl, "x", 1) == 1) {
		int r = SSL_read(ssl, bytes, sizeof bytes);
		server->heard = r == 0 && SSL_get_error(ssl, r) == SSL_ERROR_ZERO_RETURN;
	}
	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
	server->over = true;
	return NULL;
}

static int listen_somewhere(unsigned *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

struct watcher {
	struct loop_timer timer;
	struct loop *loop;
	struct server *server;
	struct passages *passages;
};

static void look(struct loop_timer *timer)
{
	struct watcher *watcher = container_of(timer, struct watcher, timer);
	if (watcher->server->over && watcher->passages->n == 0)
		loop_stop(watcher->loop, 0);
	else
		assert_int_equal(loop_timer_set(watcher->loop, timer,
					 instant_add_ms(watcher->loop->now, 10)),
			0);
}

static void on_refused(struct passages *passages, unsigned status, struct span body)
{
	(void)passages;
	fail_msg("refused: %u %.*s", status, (int)body.n, body.p);
}

static void test_end_without_room(void **state)
{
	uint8_t spki[TLS_SPKI_SIZE];
	struct server server = {.context = tls_server_new(spki)};
	struct route route = {0};
	struct failure failure;
	struct loop loop;
	struct url url;
	char text[64];
	const char *why;
	unsigned port;
	pthread_t thread;
	int local[2];
	(void)state;
	server.listener = listen_somewhere(&port);
	int n = snprintf(text, sizeof text, "https://127.0.0.1:%u", port);
	assert_int_equal(url_parse(&url, (struct span){text, (size_t)n}, &why), 0);
	assert_int_equal(tls_trust_new(&route.trust, TLS_CHECK_NONE, NULL, &failure), 0);
	route.server = &url;
	assert_int_equal(sem_init(&refused, 0, 0), 0);
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, &server), 0);

	struct passages passages = {
		.loop = &loop,
		.route = &route,
		.request = SPAN("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		.refused = on_refused,
	};
	struct watcher watcher = {
		.timer.expired = look, .loop = &loop, .server = &server, .passages = &passages};
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, local), 0);
	assert_int_equal(passage_new(&passages, local[0]), 0);
	assert_int_equal(shutdown(local[1], SHUT_WR), 0);
	look(&watcher.timer);
	assert_int_equal(loop_run(&loop), 0);
	pthread_join(thread, NULL);
	assert_true(server.heard);

	close(local[1]);
	close(server.listener);
	SSL_CTX_free(server.context);
	tls_trust_free(route.trust);
	loop_deinit(&loop);
	sem_destroy(&refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_without_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
