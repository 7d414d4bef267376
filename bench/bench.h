// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the programs of the benchmarks share. They are tools: what they cannot do ends them.

#pragma once

#include "util.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { PATTERN_SIZE = 4 << 20 };

__attribute__((noreturn)) static inline void bench_fail(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

static inline double bench_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void bench_raise_descriptors(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static inline struct sockaddr_in bench_loopback(unsigned long port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static inline void bench_no_delay(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

// PATTERN_SIZE bytes in memory, to be sent again and again with sendfile(2): sending them costs
// next to nothing, so the proxy is what is measured.
static inline int bench_pattern(void)
{
	int fd = memfd_create("pattern", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, PATTERN_SIZE) < 0)
		bench_fail("memfd_create");
	uint8_t *p = mmap(NULL, PATTERN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		bench_fail("mmap");
	uint32_t x = 12345;
	for (size_t i = 0; i < PATTERN_SIZE; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (uint8_t)(x >> 24);
	}
	munmap(p, PATTERN_SIZE);
	return fd;
}

// The value of a field in the NUL-terminated head of a message that is known to be well-formed, or
// NULL.
static inline const char *bench_field(const char *head, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = strstr(head, "\r\n"); p != NULL; p = strstr(p + 2, "\r\n"))
		if (strncasecmp(p + 2, name, n) == 0 && p[2 + n] == ':')
			return p + 3 + n + strspn(p + 3 + n, " ");
	return NULL;
}
