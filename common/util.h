// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The few words every file may use: ownership by cleanup attribute, counted strings, bounds.
//
// Errors, everywhere in this tree: a negative errno is fatal to what was asked and is passed up
// unchanged, 0 is success, a positive value is a named outcome of that one function which its
// caller must handle. common/ returns errors and never logs or exits; roles decide.

#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

// The object that embeds MEMBER at PTR.
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

// Locals that own something: `CLEANUP(free_p) char *p`, `CLEANUP(close_p) int fd = -1`.
#define CLEANUP(fn)       __attribute__((cleanup(fn)))
#define WARN_UNUSED       __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

static inline void free_p(void *p)
{
	free(*(void **)p);
}

// Closes *fd if it is one; errno is left as it was.
static inline void close_p(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
		*fd = -1;
	}
}

// Hands the descriptor over: returns it and forgets it here.
static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

// Bytes somebody else owns: not terminated, may hold NUL. {NULL, 0} is the absent span.
struct span {
	const char *p;
	size_t n;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_INIT(literal)                     \
	{                                      \
		(literal), sizeof(literal) - 1 \
	} // for static tables

static inline struct span span_of(const char *s)
{
	return (struct span){s, s != NULL ? strlen(s) : 0};
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool span_starts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

// S without the bytes at its ends that are among CHARACTERS.
static inline struct span span_trim(struct span s, const char *characters)
{
	size_t n = strlen(characters);
	while (s.n > 0 && memchr(characters, s.p[0], n) != NULL)
		s = (struct span){s.p + 1, s.n - 1};
	while (s.n > 0 && memchr(characters, s.p[s.n - 1], n) != NULL)
		s.n--;
	return s;
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

// ASCII case-insensitive equality, whatever the locale.
static inline bool span_eq_nocase(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}
