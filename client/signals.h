// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Ctrl-C and its kin, for commands that run a loop: the first is an event, the second, once the
// first has been dealt with, does what it does to any program.

#pragma once

#include "loop.h"

struct signals {
	struct loop *loop;
	struct loop_watch watch;
	void (*came)(struct signals *signals);
};

// SIGINT, SIGTERM and SIGHUP. Returns 0 or a negative errno.
int signals_watch(struct signals *signals, struct loop *loop,
	void (*came)(struct signals *signals)) WARN_UNUSED;
void signals_forget(struct signals *signals);
