// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "signals.h"

#include <signal.h>
#include <sys/signalfd.h>

static sigset_t signal_set(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	return set;
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct signals *signals = container_of(watch, struct signals, watch);
	struct signalfd_siginfo info;
	(void)events;
	if (read(watch->fd, &info, sizeof info) == sizeof info)
		signals->came(signals);
}

int signals_watch(struct signals *signals, struct loop *loop, void (*came)(struct signals *signals))
{
	sigset_t set = signal_set();
	*signals = (struct signals){
		.loop = loop, .watch = {.fd = -1, .ready = on_ready}, .came = came};
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	int r = loop_watch(loop, &signals->watch, fd, EPOLLIN);
	if (r < 0)
		close(fd);
	return r;
}

void signals_forget(struct signals *signals)
{
	sigset_t set = signal_set();
	int fd = signals->watch.fd;
	loop_unwatch(signals->loop, &signals->watch);
	close_p(&fd);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}
