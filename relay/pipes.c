// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "pipes.h"

#include <fcntl.h>

static struct pipe *pipe_new(void)
{
	int fds[2];
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		return NULL;
	// Past its soft quota a user gets pipes of a page or two, which cannot grow and are no
	// gain.
	int size = fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	struct pipe *pipe = size > 0 ? malloc(sizeof *pipe) : NULL;
	if (pipe == NULL) {
		close(fds[0]);
		close(fds[1]);
		return NULL;
	}
	*pipe = (struct pipe){.out = fds[0], .in = fds[1], .size = (size_t)size};
	return pipe;
}

static void pipe_free(struct pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	free(pipe);
}

struct pipe *pipes_take(struct pipes *pipes)
{
	struct pipe *pipe = pipes->spare;
	if (pipe != NULL) {
		pipes->spare = pipe->next;
		pipes->n_spare--;
		return pipe;
	}
	if (pipes->n_all >= PIPES_MAX)
		return NULL;
	pipe = pipe_new();
	if (pipe != NULL)
		pipes->n_all++;
	return pipe;
}

void pipes_return(struct pipes *pipes, struct pipe *pipe)
{
	if (pipe == NULL)
		return;
	if (pipe->held > 0 || pipes->n_spare >= PIPES_SPARE) {
		pipes->n_all--;
		pipe_free(pipe);
		return;
	}
	pipe->next = pipes->spare;
	pipes->spare = pipe;
	pipes->n_spare++;
}
