// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Attributes of a trust domain that would make its measurements worth nothing (Intel TDX module
// ABI, "TD attributes").

#pragma once

#include "quote.h"

// SEPT_VE_DISABLE, PKS, KL and PERFMON: what may be set unless a policy says otherwise.
#define TD_ATTRIBUTES_USUAL (1ull << 28 | 1ull << 30 | 1ull << 31 | 1ull << 63)
#define TD_SEPT_VE_DISABLE  (1ull << 28)

uint64_t td_attributes(const struct quote *quote);

// The host cannot read its memory: none of the debug bits 0 to 7.
bool td_policy_not_debug(const struct quote *quote, struct why *why);
// No service TD can move or change it.
bool td_policy_no_service_td(const struct quote *quote, struct why *why);
// Nothing outside ALLOWED (the debug bits apart), everything of NEEDED, and Intel's module.
bool td_policy_attributes(
	const struct quote *quote, uint64_t allowed, uint64_t needed, struct why *why);
