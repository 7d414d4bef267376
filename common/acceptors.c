// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "acceptors.h"

#include "peer.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { ACCEPTS_MAX = 16 }; // in a row, then the loop looks at others

// ---- the reserve

// Returns whether it is complete.
static bool reserve_fill(struct acceptors *all)
{
	while (all->n_reserve < LISTENER_RESERVE) {
		int fd = fcntl(all->loop->epoll_fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return false;
		all->reserve[all->n_reserve++] = fd;
	}
	return true;
}

static void reserve_release(struct acceptors *all)
{
	while (all->n_reserve > 0)
		close(all->reserve[--all->n_reserve]);
}

// ---- stopping and starting

// epoll_ctl refuses to modify an exclusive watch, so a paused one is removed and added again.
static int watch(struct acceptor *listener)
{
	return loop_watch(
		listener->all->loop, &listener->watch, listener->fd, EPOLLIN | EPOLLEXCLUSIVE);
}

static void pause_all(struct acceptors *all, int error)
{
	struct instant due = instant_add_ms(all->loop->now, LISTENER_PAUSE_MS);
	if (loop_timer_set(all->loop, &all->resume, due) < 0)
		return; // out of memory: the next event of a listener tries again
	if (!all->paused && all->stopped != NULL)
		all->stopped(all, error);
	all->paused = true;
	struct acceptor *listener;
	SLIST_FOREACH(listener, &all->list, link)
	loop_unwatch(all->loop, &listener->watch);
}

static void on_resume(struct loop_timer *timer)
{
	struct acceptors *all = container_of(timer, struct acceptors, resume);
	int r = reserve_fill(all) || (all->shed(all) && reserve_fill(all)) ? 0 : -EMFILE;
	struct acceptor *listener;
	SLIST_FOREACH(listener, &all->list, link)
	if (r == 0 && listener->watch.fd < 0)
		r = watch(listener);
	all->paused = r < 0;
	if (r < 0)
		pause_all(all, -r);
}

// With descriptors given back there is no need to stop. Otherwise the reserve is for those that
// come with messages.
static void exhausted(struct acceptors *all, int error)
{
	bool out_of_descriptors = error == EMFILE || error == ENFILE;
	if (out_of_descriptors && all->shed(all) && reserve_fill(all))
		return;
	if (out_of_descriptors)
		reserve_release(all);
	pause_all(all, error);
}

// ---- accepting

// Whether the listener itself is well: nothing was there, or the connection was lost again before
// it could be taken, of which accept(2) reports any network error.
static bool is_passing(int error)
{
	switch (error) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	case EPERM: // refused by a firewall
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ETIMEDOUT: return true;
	default: return false;
	}
}

static void on_acceptable(struct loop_watch *watch, uint32_t events)
{
	struct acceptor *listener = container_of(watch, struct acceptor, watch);
	struct acceptors *all = listener->all;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage address = {0};
		socklen_t n = sizeof address;
		int fd = accept4(listener->fd, (struct sockaddr *)&address, &n,
			SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (!is_passing(errno))
				exhausted(all, errno);
			return;
		}
		struct facts facts = listener->facts;
		peer_encode(facts.peer, (const struct sockaddr *)&address);
		all->arrived(all, fd, &facts);
	}
}

// ---- life

int acceptors_init(struct acceptors *all, struct loop *loop)
{
	*all = (struct acceptors){.loop = loop, .resume = {.expired = on_resume}};
	return reserve_fill(all) ? 0 : -errno;
}

int acceptors_add(struct acceptors *all, int fd, const struct facts *facts)
{
	CLEANUP(close_p) int owned = fd;
	struct acceptor *other;
	SLIST_FOREACH(other, &all->list, link)
	if (other->facts.listener == facts->listener)
		return -EEXIST;
	CLEANUP(free_p) struct acceptor *listener = malloc(sizeof *listener);
	if (listener == NULL)
		return -ENOMEM;
	*listener = (struct acceptor){
		.watch = {.fd = -1, .ready = on_acceptable},
		.fd = fd,
		.facts = *facts,
		.all = all,
	};
	if (!all->paused) {
		int r = watch(listener);
		if (r < 0)
			return r;
	}
	take_fd(&owned);
	SLIST_INSERT_HEAD(&all->list, listener, link);
	all->n++;
	listener = NULL;
	return 0;
}
