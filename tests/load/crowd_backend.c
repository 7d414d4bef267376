// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The backend: /ws becomes a WebSocket that echoes, /big/N is N bytes of the pattern, anything else
// is two bytes.

#include "crowd.h"

#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { IN_MAX = 2048, BLOCK = 64 * 1024, PERIOD = 256 * 8 };

struct client {
	struct loop_watch watch;
	bool upgraded;
	uint64_t sent, size; // of a big answer
	size_t n;
	char in[IN_MAX];
};

static struct loop loop;
static char pattern[PERIOD + BLOCK];

static void client_free(struct client *client)
{
	int fd = client->watch.fd;
	loop_unwatch(&loop, &client->watch);
	close(fd);
	free(client);
}

// ---- answers

static bool say(struct client *client, const char *text, size_t n)
{
	return send(client->watch.fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool send_big(struct client *client)
{
	while (client->sent < client->size) {
		size_t n = (size_t)MIN(client->size - client->sent, (uint64_t)BLOCK);
		ssize_t sent =
			send(client->watch.fd, pattern + client->sent % PERIOD, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			return loop_rewatch(&loop, &client->watch, EPOLLIN | EPOLLOUT) == 0;
		if (sent < 0)
			return false;
		client->sent += (uint64_t)sent;
	}
	return loop_rewatch(&loop, &client->watch, EPOLLIN) == 0;
}

static bool answer(struct client *client)
{
	static const char two[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
			  upgrade[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				      "Connection: Upgrade\r\n"
				      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
	char head[128];
	if (strncmp(client->in, "GET /ws ", 8) == 0) {
		client->upgraded = true;
		return say(client, upgrade, sizeof upgrade - 1);
	}
	if (strncmp(client->in, "GET /big/", 9) != 0)
		return say(client, two, sizeof two - 1);
	client->sent = 0;
	client->size = strtoull(client->in + 9, NULL, 10);
	int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
		(unsigned long long)client->size);
	return say(client, head, (size_t)n) && send_big(client);
}

// ---- what comes in

static void consume(struct client *client, size_t n)
{
	client->n -= n;
	memmove(client->in, client->in + n, client->n);
}

// Frames of up to 125 bytes, masked with zeros: what follows the mask is the payload.
static bool echo(struct client *client)
{
	while (client->n >= 6) {
		size_t size = (size_t)(client->in[1] & 0x7f);
		if (client->n < 6 + size)
			return true;
		char frame[2 + 125] = {client->in[0], (char)size};
		memcpy(frame + 2, client->in + 6, size);
		if (!say(client, frame, 2 + size))
			return false;
		consume(client, 6 + size);
	}
	return true;
}

static bool take(struct client *client)
{
	const char *end;
	while (!client->upgraded && (end = memmem(client->in, client->n, "\r\n\r\n", 4)) != NULL) {
		size_t size = (size_t)(end + 4 - client->in);
		if (!answer(client))
			return false;
		consume(client, size);
	}
	return client->upgraded ? echo(client) : client->n < IN_MAX;
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct client *client = container_of(watch, struct client, watch);
	bool good = !(events & EPOLLOUT) || send_big(client);
	if (good && (events & ~(uint32_t)EPOLLOUT)) {
		ssize_t n = recv(watch->fd, client->in + client->n, IN_MAX - client->n, 0);
		if (n > 0)
			client->n += (size_t)n;
		good = n > 0 ? take(client) : n < 0 && errno == EAGAIN;
	}
	if (!good)
		client_free(client);
}

// ---- life

static void on_acceptable(struct loop_watch *watch, uint32_t events)
{
	const int one = 1;
	int fd;
	while ((fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct client *client = calloc(1, sizeof *client);
		if (client == NULL)
			crowd_fail("out of memory");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		client->watch.ready = on_ready;
		crowd_check(loop_watch(&loop, &client->watch, fd, EPOLLIN), "watch");
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		crowd_fail("accept: %s", strerror(errno));
}

static void on_input(struct loop_watch *watch, uint32_t events)
{
	char line[CROWD_LINE_MAX];
	if (read(watch->fd, line, sizeof line) <= 0)
		loop_stop(&loop, EXIT_SUCCESS);
}

int crowd_backend(void)
{
	static struct loop_watch listener = {.ready = on_acceptable}, input = {.ready = on_input};
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t n = sizeof address;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = crowd_byte(i);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, n) < 0 || listen(fd, 4096) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &n) < 0)
		crowd_fail("listen: %s", strerror(errno));
	crowd_check(loop_init(&loop), "loop");
	crowd_check(loop_watch(&loop, &listener, fd, EPOLLIN), "watch");
	crowd_check(loop_watch(&loop, &input, STDIN_FILENO, EPOLLIN), "watch");
	crowd_say("%d", ntohs(address.sin_port));
	return loop_run(&loop);
}
