// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "backend.h"

#include "relay.h"
#include "visitor.h"

#include <sys/socket.h>

enum { POOL_MAX = 256 };

// ---- the pool: most recently used first, those at the end are closed by the backend in time

static void pool_remove(struct backend *backend)
{
	if (backend->prev == NULL)
		return;
	*backend->prev = backend->next;
	if (backend->next != NULL)
		backend->next->prev = backend->prev;
	backend->next = NULL;
	backend->prev = NULL;
	backend->relay->n_idle--;
}

static void pool_add(struct backend *backend)
{
	struct relay *relay = backend->relay;
	backend->next = relay->idle;
	backend->prev = &relay->idle;
	if (backend->next != NULL)
		backend->next->prev = &backend->next;
	relay->idle = backend;
	relay->n_idle++;
}

// ----

// Whether nothing has come or is under way, as far as we have been told.
static bool is_quiet(const struct backend *backend)
{
	const struct stream *s = &backend->stream;
	return !backend->retired && !s->broken && !s->peer_done && buf_len(&s->in) == 0 &&
	       buf_len(&s->out) == 0;
}

bool backend_is_idle(struct backend *backend)
{
	// What makes it readable may have been read together with earlier bytes.
	return is_quiet(backend) && (!backend->stream.readable || stream_empty(&backend->stream));
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct backend *backend = container_of(watch, struct backend, stream.watch);
	stream_note(&backend->stream, events);
	if (backend->visitor != NULL)
		visitor_step(backend->visitor);
	else if (!backend_is_idle(backend))
		backend_free(backend);
}

static bool has_peer(int fd)
{
	struct sockaddr_storage peer;
	socklen_t n = sizeof peer;
	return getpeername(fd, (struct sockaddr *)&peer, &n) == 0;
}

// A connection that is there already need not wake us to say so.
static enum stream_socket socket_of(const struct backend *backend)
{
	if (backend->relay->config.backend.scheme == URL_HTTPS)
		return STREAM_LOCAL;
	return backend->connected ? STREAM_TCP : STREAM_CONNECTING;
}

struct backend *backend_new(struct visitor *visitor, int fd)
{
	struct backend *backend = calloc(1, sizeof *backend);
	if (backend == NULL) {
		close(fd);
		return NULL;
	}
	backend->relay = visitor->relay;
	backend->visitor = visitor;
	backend->connected = has_peer(fd);
	if (stream_open(&backend->stream, &visitor->relay->loop, fd, socket_of(backend), on_ready) <
		0) {
		free(backend);
		return NULL;
	}
	relay_descriptor_taken(visitor->relay);
	return backend;
}

struct backend *backend_free(struct backend *backend)
{
	if (backend == NULL)
		return NULL;
	pool_remove(backend);
	if (stream_is_socket(&backend->stream))
		relay_descriptor_closed(backend->relay);
	stream_close(&backend->stream);
	free(backend);
	return NULL;
}

int backend_check_connected(struct backend *backend)
{
	int error = 0;
	socklen_t n = sizeof error;
	backend->connected = backend->connected || has_peer(backend->stream.watch.fd);
	if (backend->connected)
		return 0;
	if (getsockopt(backend->stream.watch.fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		return -errno;
	if (error != 0)
		return -error;
	// No error and no peer: still connecting, or refused and the error already read.
	return backend->stream.broken ? -ECONNREFUSED : BACKEND_CONNECTING;
}

void backend_release(struct backend *backend)
{
	struct relay *relay = backend->relay;
	backend->visitor = NULL;
	backend->used = true;
	if (relay->n_idle >= POOL_MAX || !backend_is_idle(backend)) {
		backend_free(backend);
		return;
	}
	pool_add(backend);
}

struct backend *backend_reuse(struct visitor *visitor)
{
	struct backend *backend;
	while ((backend = visitor->relay->idle) != NULL) {
		pool_remove(backend);
		// The loop may not have told us of the latest bytes yet.
		if (is_quiet(backend) && stream_empty(&backend->stream)) {
			backend->visitor = visitor;
			return backend;
		}
		backend_free(backend);
	}
	return NULL;
}
