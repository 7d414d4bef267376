// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// How the end of a stream is said, so that it can be told from the death of whoever wrote it.
//
// On TCP that is the FIN: a process that dies resets instead, because of SO_LINGER {1, 0}. On the
// socket pair between an edge and whoever has the decrypted side there is no such thing: a pair
// whose other end was closed, and one that was shut down, read alike once both sides have said
// their end. So towards an edge the end is said in the stream: one byte that carries a descriptor,
// which a dying process cannot send. The edge gives the descriptor no room and knows the mark by
// MSG_CTRUNC. From the edge, shutdown(2) is the end and close without it (EPOLLHUP) is an abort:
// that can be told apart because the side that reads it never shuts its own.

#pragma once

#include "util.h"

enum ending {
	ENDING_HALF = 0, // no more is sent, but what comes is still wanted
	ENDING_WHOLE, // nor is that: the edge closes when it has delivered all. Who says it waits
		      // for that, and if it is killed before the rest is not delivered
	ENDING_LEFT,  // the same, but all is delivered whatever becomes of who said it
	ENDING_NEVER, // none: it may go on without an end, so who takes nothing of it for a while
		      // is let go. More follows, one of the others among it
	ENDINGS
};

// Says the end on FD, which is LOCAL (to an edge) or TCP, where HOW makes no difference. A local
// one may be said again, to say more. Returns 0, ENDING_AGAIN when a local socket is too full for
// it now, or a negative errno.
enum { ENDING_AGAIN = 1 };
int ending_say(int fd, bool local, enum ending how);

// Reads at most SIZE bytes that came from whoever has the other end. Returns how many, with *SAID
// the end (an enum ending) if it was said behind them, else -1; or a negative errno: -EAGAIN, or
// -ECONNRESET when the other end was closed without a word.
ssize_t ending_read(int fd, void *bytes, size_t size, int *said) WARN_UNUSED;
