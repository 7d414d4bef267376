// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A policy that accepts what a server shows and nothing else, for somebody to compare with what he
// knows, value by value, before he uses it.

#pragma once

#include "verify_envelope.h"

// The caller owns it; NULL: there is no quote to make it of, or no memory.
json_t *policy_draft(const struct verification *verification, const struct envelope *envelope);
