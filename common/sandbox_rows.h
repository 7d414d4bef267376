// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Rows of system-call tables that several roles share, and the words to write conditions with.
// Included by the roles' sandbox.c only.

#pragma once

#include "sandbox.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

// Sanitizers need calls that no sealed role needs; tables say which, and the text for auditors says
// that it describes such a build. gcc has no macro for UBSan alone: the build sets
// TUNNELD_SANITIZERS.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANDBOX_SANITIZERS 1
#endif
#endif
#if !defined(SANDBOX_SANITIZERS) && (defined(__SANITIZE_ADDRESS__) || defined(TUNNELD_SANITIZERS))
#define SANDBOX_SANITIZERS 1
#endif
#ifndef SANDBOX_SANITIZERS
#define SANDBOX_SANITIZERS 0
#endif

// An int argument is VALUE. The kernel looks at its lower half alone, and so does the filter.
#define ARG_INT(argument, number)                                                            \
	{                                                                                    \
		.index = (argument), .compare = SANDBOX_MASKED, .value = (uint32_t)(number), \
		.mask = UINT32_MAX                                                           \
	}
// An int argument has no bits but those of ALLOWED.
#define ARG_BITS(argument, allowed)                                         \
	{                                                                   \
		.index = (argument), .compare = SANDBOX_MASKED, .value = 0, \
		.mask = (uint32_t) ~(uint32_t)(allowed)                     \
	}
// An int argument without the bits of OPTIONAL is VALUE.
#define ARG_INT_WITH(argument, number, optional)                                             \
	{                                                                                    \
		.index = (argument), .compare = SANDBOX_MASKED, .value = (uint32_t)(number), \
		.mask = (uint32_t) ~(uint32_t)(optional)                                     \
	}
// A pointer argument is NULL.
#define ARG_NULL(argument)                                             \
	{                                                              \
		.index = (argument), .compare = SANDBOX_EQ, .value = 0 \
	}

// MSG_FASTOPEN is the one that matters among those left out: with it, sendto() and sendmsg() open a
// TCP connection to any address on a socket whose own connection has failed.
#define SANDBOX_SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE)

#define SANDBOX_GETSOCKOPT(option, reason)                         \
	{                                                          \
		"getsockopt", #option ": " reason,                 \
		{                                                  \
			ARG_INT(1, SOL_SOCKET), ARG_INT(2, option) \
		}                                                  \
	}
#define SANDBOX_SETSOCKOPT(level, option, reason)             \
	{                                                     \
		"setsockopt", #option ": " reason,            \
		{                                             \
			ARG_INT(1, level), ARG_INT(2, option) \
		}                                             \
	}

// clang-format off

// Waiting for events, and bytes and descriptors over sockets that are already connected.
#define SANDBOX_ROWS_SOCKETS                                                                       \
	{"epoll_wait", "event loop"},                                                              \
	{"epoll_ctl", "event loop"},                                                               \
	{"epoll_create1", "event loop, made once", {ARG_INT(0, EPOLL_CLOEXEC)}},                   \
	{"read", "bytes from a descriptor held"},                                                  \
	{"write", "bytes to a descriptor held"},                                                   \
	{"writev", "bytes to a descriptor held"},                                                  \
	{"recvfrom", "bytes from a peer, also to peek"},                                           \
	{"recvmsg", "messages of other roles, with descriptors"},                                  \
	{"sendto", "bytes to the peer; no address and no MSG_FASTOPEN, so never a new connection", \
		{ARG_BITS(3, SANDBOX_SEND_FLAGS), ARG_NULL(4)}},                                   \
	{"sendmsg", "messages to other roles, with descriptors; no MSG_FASTOPEN, so never a new "  \
		"connection", {ARG_BITS(2, SANDBOX_SEND_FLAGS)}},                                  \
	{"close", "end of a connection"},                                                          \
	{"shutdown", "half-close"},                                                                \
	{"getpeername", "whether a received descriptor is connected, and to whom"},                \
	SANDBOX_GETSOCKOPT(SO_TYPE, "whether a received descriptor is a stream socket"),           \
	SANDBOX_GETSOCKOPT(SO_DOMAIN, "whether a received descriptor is a local socket"),          \
	SANDBOX_GETSOCKOPT(SO_ERROR, "why a connection failed"),                                   \
	{"getsockopt", "TCP_INFO: whether a received descriptor is connected, or has been",        \
		{ARG_INT(1, IPPROTO_TCP), ARG_INT(2, TCP_INFO)}},                                  \
	SANDBOX_SETSOCKOPT(SOL_SOCKET, SO_LINGER, "whether unsent bytes survive the end"),         \
	{"fcntl", "F_DUPFD_CLOEXEC: a message that waits keeps a copy of its descriptor",          \
		{ARG_INT(1, F_DUPFD_CLOEXEC)}},                                                    \
	{"fcntl", "F_GETFL: whether a received descriptor would block; nobody can make it do so",  \
		{ARG_INT(1, F_GETFL)}}

// Memory, never executable; clock; random numbers; the end.
#define SANDBOX_ROWS_MEMORY                                                                        \
	{"brk", "malloc"},                                                                         \
	{"mmap", "malloc; never executable", {ARG_BITS(2, PROT_READ | PROT_WRITE)}},               \
	{"munmap", "malloc"},                                                                      \
	{"mremap", "malloc: large buffers grow in place"},                                         \
	{"madvise", "malloc gives memory back", {ARG_INT(2, MADV_DONTNEED)}}

#define SANDBOX_ROWS_PROCESS                                                                       \
	{"clock_gettime", "clock, where the kernel does not offer it without a call"},             \
	{"getrandom", "random numbers"},                                                           \
	{"restart_syscall", "the kernel's own: a wait goes on after SIGSTOP and SIGCONT"},         \
	{"exit_group", "end of the process"}

// What AddressSanitizer and UBSan do to report and to keep their shadow memory. They turn files,
// signals and mappings back on, whatever a role's own rows say: such a build is for tests.
#if SANDBOX_SANITIZERS
#define SANDBOX_ROWS_SANITIZERS                                                                    \
	{"openat", "SANITIZER BUILD: report reads /proc/self/maps"},                               \
	{"open", "SANITIZER BUILD: report reads /proc/self/maps"},                                 \
	{"readlink", "SANITIZER BUILD: report names the program"},                                 \
	{"readlinkat", "SANITIZER BUILD: report names the program"},                               \
	{"newfstatat", "SANITIZER BUILD: report, size of a file"},                                 \
	{"fstat", "SANITIZER BUILD: report, size of a file"},                                      \
	{"stat", "SANITIZER BUILD: report looks for a symbolizer"},                                \
	{"ioctl", "SANITIZER BUILD: report asks whether stderr is a terminal"},                    \
	{"dup", "SANITIZER BUILD: report"},                                                        \
	{"pipe", "SANITIZER BUILD: report asks whether memory can be read"},                       \
	{"pipe2", "SANITIZER BUILD: report asks whether memory can be read"},                      \
	{"mprotect", "SANITIZER BUILD: shadow memory", {ARG_BITS(2, PROT_READ | PROT_WRITE)}},     \
	{"madvise", "SANITIZER BUILD: shadow memory"},                                             \
	{"futex", "SANITIZER BUILD: locks of the runtime"},                                        \
	{"sched_yield", "SANITIZER BUILD: locks of the runtime"},                                  \
	{"getpid", "SANITIZER BUILD: report"},                                                     \
	{"gettid", "SANITIZER BUILD: report"},                                                     \
	{"sigaltstack", "SANITIZER BUILD: handler of faults"},                                     \
	{"rt_sigaction", "SANITIZER BUILD: handler of faults"},                                    \
	{"rt_sigprocmask", "SANITIZER BUILD: handler of faults"},                                  \
	{"rt_sigreturn", "SANITIZER BUILD: handler of faults"},                                    \
	{"getrlimit", "SANITIZER BUILD: bounds of the stack"},                                     \
	{"prlimit64", "SANITIZER BUILD: bounds of the stack"},                                     \
	{"sched_getaffinity", "SANITIZER BUILD: bounds of the stack"},
#else
#define SANDBOX_ROWS_SANITIZERS // none
#endif

// clang-format on

// A leak check would stop and trace the process, which is what the sandbox is there to refuse, and
// a symbolizer would be a second process: reports of sealed processes name addresses. Of freed
// memory only so much is kept aside that growth can be seen behind it.
#if SANDBOX_SANITIZERS
#define SANDBOX_SANITIZER_OPTIONS                                          \
	const char *__asan_default_options(void);                          \
	const char *__asan_default_options(void)                           \
	{                                                                  \
		return "detect_leaks=0:symbolize=0:quarantine_size_mb=16"; \
	}
#else
#define SANDBOX_SANITIZER_OPTIONS
#endif
