// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What tunnel gives up once it serves a tunnel or leads into one, for good: it can still look up
// names, connect and read configuration of the system, and no longer write a file, start a program
// or listen.

#pragma once

#include "util.h"

// Enters the sandbox, with all threads. A kernel without seccomp or Landlock does without. Returns
// 0 or a negative errno.
int agent_sandbox_enter(void) WARN_UNUSED;
