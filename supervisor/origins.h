// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What those who read requests are told of where they come from: MSG_ORIGINS, before their
// settings.

#pragma once

#include "options.h"
#include "origin.h"
#include "process.h"

// Where OPTIONS say that tunnels are found.
void origins_of(const struct options *options, struct origins *origins);

// Returns what ipc_send() does.
int origins_send(struct process *process) WARN_UNUSED;
