// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Owned by two, the thread and who started it: the last one frees it.

#include "resolution.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>

struct resolution {
	atomic_int owners;
	int fd; // eventfd
	int error;
	struct addrinfo *found;
	char port[6];
	char host[];
};

static void resolution_unref(struct resolution *resolution)
{
	if (atomic_fetch_sub(&resolution->owners, 1) > 1)
		return;
	if (resolution->found != NULL)
		freeaddrinfo(resolution->found);
	close(resolution->fd);
	free(resolution);
}

static void look_up(struct resolution *resolution, int flags)
{
	struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};

	resolution->error =
		getaddrinfo(resolution->host, resolution->port, &wanted, &resolution->found);
}

static void tell(struct resolution *resolution)
{
	// Cannot fail: the counter is far from its limit.
	if (eventfd_write(resolution->fd, 1) < 0)
		abort();
}

static void *run(void *argument)
{
	look_up(argument, 0);
	tell(argument);
	resolution_unref(argument);
	return NULL;
}

// No signal is for the thread: whoever waits for one waits in the main thread.
static int start_thread(struct resolution *resolution)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int r;

	r = pthread_attr_init(&attributes);
	if (r != 0)
		return -r;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_store(&resolution->owners, 2);
	r = pthread_create(&thread, &attributes, run, resolution);
	if (r != 0)
		atomic_store(&resolution->owners, 1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

int resolution_start(struct resolution **ret, const char *host, uint16_t port)
{
	size_t size = strlen(host) + 1;
	struct resolution *resolution = calloc(1, sizeof *resolution + size);
	int r = 0;

	if (resolution == NULL)
		return -ENOMEM;
	resolution->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (resolution->fd < 0) {
		r = -errno;
		free(resolution);
		return r;
	}
	atomic_store(&resolution->owners, 1);
	memcpy(resolution->host, host, size);
	snprintf(resolution->port, sizeof resolution->port, "%u", port);
	look_up(resolution, AI_NUMERICHOST); // an address needs no thread
	if (resolution->error == EAI_NONAME)
		r = start_thread(resolution);
	else
		tell(resolution);
	if (r != 0)
		resolution_unref(resolution);
	else
		*ret = resolution;
	return r;
}

int resolution_fd(const struct resolution *resolution)
{
	return resolution->fd;
}

int resolution_result(struct resolution *resolution, const struct addrinfo **ret, const char **why)
{
	if (resolution->error != 0) {
		*why = gai_strerror(resolution->error);
		return 1;
	}
	*ret = resolution->found;
	return 0;
}

struct resolution *resolution_free(struct resolution *resolution)
{
	if (resolution != NULL)
		resolution_unref(resolution);
	return NULL;
}
