// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A crowd of visitors, and a backend that can stand them: what Python is too slow for. One process
// plays one part, is told what to do by its arguments and by lines on its input, and says what it
// measured in lines of JSON.
//
// The pattern of big answers is a function of the offset, so that both ends know each byte.

#pragma once

#include "loop.h"

#include <stdnoreturn.h>

enum { CROWD_LINE_MAX = 512 };

noreturn void crowd_fail(const char *format, ...) PRINTF(1, 2);
void crowd_say(const char *format, ...) PRINTF(1, 2);
void crowd_wait_for_line(void);            // blocks; leaves the program at the end of the input
void crowd_check(int r, const char *what); // leaves the program when R is negative

// A connection to 127.0.0.1:PORT, from one of several addresses of the loopback network, so that
// there are ports enough. Blocking until it is connected, non-blocking afterwards.
int crowd_connect(int port, size_t number);
void crowd_send(int fd, const void *bytes, size_t n); // all of it, or leaves the program

// Sends a GET of PATH with FIELDS (each with its CR LF) and returns the bytes of the answer's head;
// what came behind it is in *REST, N bytes at most. The descriptor is blocking meanwhile.
int crowd_get(int fd, const char *path, const char *fields, char *rest, size_t *n);

static inline char crowd_byte(uint64_t offset)
{
	return (char)(offset * 31 >> 3);
}

int crowd_cmp_u32(const void *a, const void *b);
// "\"p50_us\":..,\"p99_us\":..,\"max_us\":.." of N sorted values.
void crowd_format_times(char *text, size_t size, uint32_t *us, size_t n);

int crowd_backend(void);
int crowd_sockets(int port, size_t count, size_t echoing, int seconds, char **paths, size_t n);
int crowd_readers(int port, size_t count, uint64_t size, const char *path);
int crowd_paced(int port, size_t count, uint64_t slowest, uint64_t fastest, int milliseconds,
	uint64_t spare, const char *path);
int crowd_gets(int port, int milliseconds, const char *path);
