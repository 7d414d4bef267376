// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "crowd.h"

#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

void crowd_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vwarnx(format, args);
	va_end(args);
	exit(EXIT_FAILURE);
}

void crowd_check(int r, const char *what)
{
	if (r < 0)
		crowd_fail("%s: %s", what, strerror(-r));
}

void crowd_say(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

void crowd_wait_for_line(void)
{
	char line[CROWD_LINE_MAX];
	if (fgets(line, sizeof line, stdin) == NULL)
		exit(EXIT_SUCCESS);
}

int crowd_connect(int port, size_t number)
{
	const int one = 1;
	struct sockaddr_in from = {.sin_family = AF_INET}, to = from;
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(number % 8));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		crowd_fail("socket: %s", strerror(errno));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
		connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		crowd_fail("connection %zu: %s", number, strerror(errno));
	return fd;
}

void crowd_send(int fd, const void *bytes, size_t n)
{
	if (send(fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
		crowd_fail("send: %s", strerror(errno));
}

int crowd_get(int fd, const char *path, const char *fields, char *rest, size_t *n)
{
	enum { HEAD_MAX = 4096 };
	char request[1024], head[HEAD_MAX];
	size_t have = 0;
	int size = snprintf(
		request, sizeof request, "GET %s HTTP/1.1\r\nHost: crowd\r\n%s\r\n", path, fields);
	crowd_send(fd, request, (size_t)size);
	for (;;) {
		ssize_t got = recv(fd, head + have, sizeof head - have, 0);
		if (got <= 0)
			crowd_fail("%s: ended before the answer's head: %s", path,
				got < 0 ? strerror(errno) : "orderly");
		have += (size_t)got;
		const char *end = memmem(head, have, "\r\n\r\n", 4);
		if (end == NULL)
			continue;
		size_t body = have - (size_t)(end + 4 - head);
		if (body > *n)
			crowd_fail("%s: more behind the head than was asked for", path);
		memcpy(rest, end + 4, body);
		*n = body;
		head[12] = '\0'; // HTTP/1.1 200
		return (int)strtol(head + 9, NULL, 10);
	}
}

// ---- numbers

int crowd_cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

void crowd_format_times(char *text, size_t size, uint32_t *us, size_t n)
{
	qsort(us, n, sizeof *us, crowd_cmp_u32);
	snprintf(text, size, "\"n\":%zu,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u", n,
		n > 0 ? us[n / 2] : 0, n > 0 ? us[n * 99 / 100] : 0, n > 0 ? us[n - 1] : 0);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);
	if (*text == '\0' || *end != '\0')
		crowd_fail("%s is no number", text);
	return value;
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	const char *part = argc > 1 ? argv[1] : "";
	if (strcmp(part, "backend") == 0 && argc == 2)
		return crowd_backend();
	if (strcmp(part, "sockets") == 0 && argc > 6)
		return crowd_sockets((int)number(argv[2]), number(argv[3]), number(argv[4]),
			(int)number(argv[5]), argv + 6, (size_t)argc - 6);
	if (strcmp(part, "readers") == 0 && argc == 6)
		return crowd_readers(
			(int)number(argv[2]), number(argv[3]), number(argv[4]), argv[5]);
	if (strcmp(part, "paced") == 0 && argc == 9)
		return crowd_paced((int)number(argv[2]), number(argv[3]), number(argv[4]),
			number(argv[5]), (int)number(argv[6]), number(argv[7]), argv[8]);
	if (strcmp(part, "gets") == 0 && argc == 5)
		return crowd_gets((int)number(argv[2]), (int)number(argv[3]), argv[4]);
	crowd_fail("usage: crowd backend | sockets PORT COUNT ECHOING SECONDS PATH... | "
		   "readers PORT COUNT SIZE PATH | "
		   "paced PORT COUNT SLOWEST FASTEST MILLISECONDS SPARE PATH | "
		   "gets PORT MILLISECONDS PATH");
}
