// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What those who read requests are told of where they come from: MSG_ORIGINS, before their
// settings.

#pragma once

#include "process.h"

// Returns what ipc_send() does.
int origins_send(struct process *process);
