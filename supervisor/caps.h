// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The supervisor's own capabilities: what it needs to start and end children under other uids, and
// nothing that reads other people's files or changes the machine.

#pragma once

#include "util.h"

// Whether we hold what it takes to give each child an own uid and folder: SETUID SETGID SYS_CHROOT
// KILL, and uid 0, without which an exec would not pass them on.
bool caps_can_separate(void);

// Gives up all capabilities but those four; one that we do not hold is not gained. The bounding set
// goes the same way where that is possible (CAP_SETPCAP), so that no program started from here can
// have more; ambient and inheritable sets are emptied. For any user, with or without capabilities.
// Returns 0 or a negative errno.
int caps_drop(void) WARN_UNUSED;

// Our effective capabilities as a mask of 1 << CAP_*.
uint64_t caps_effective(void);

// Writes the names in MASK ("setgid setuid"), or "none", cut to fit. Unnamed ones as numbers.
void caps_format(uint64_t mask, char *out, size_t size);
