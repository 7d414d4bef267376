// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What has to be done once, before there is any child, and what needs the privileges that are given
// up at its end: folders, token, listeners, programs, user ids.

#pragma once

#include "options.h"

struct supervisor;

// Descriptors that the supervisor may need at once with so many tunnels, see RLIMIT_NOFILE: what it
// has of its own, and room for what comes and goes.
uint64_t prepare_descriptors(const struct options *options, uint64_t n_tunnels);

// Fills in what the supervisor has for its whole life. Logs what is wrong. Returns 0 or a negative
// errno, -ECANCELED for mistakes that were logged in full.
int prepare(struct supervisor *supervisor, struct options *options) WARN_UNUSED;
