// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// mr_config_id of a TD report: what the host committed to when it made the machine. dstack puts
// there, by its first byte (dstack-types, mr_config.rs):
//
//     0  nothing: all is zero
//     1  the compose hash
//     2  Keccak-256(compose hash || app id || kind of key provider || its id)
//     3  SHA-256("dstack-mr-config-v3:" || 00 || a JSON document that says so, and more)
//
// then zeros. The system that starts compares it with what it was given, and leaves the same in the
// events of the boot; so both have to agree.

#pragma once

#include "event_log.h"

// Whether MR_CONFIG_ID (48 bytes) is what the events of the boot say, which have been checked
// (event_log_check_boot()). One of an unknown kind is refused.
bool mr_config_fits(struct span mr_config_id, const struct event_log *log, struct why *why);
