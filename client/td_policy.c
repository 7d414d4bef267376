// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "td_policy.h"

#include "bytes.h"

#define DEBUG_BITS 0xffull

uint64_t td_attributes(const struct quote *quote)
{
	return bytes_number(quote_td(quote, TD_ATTRIBUTES));
}

bool td_policy_not_debug(const struct quote *quote, struct why *why)
{
	return (td_attributes(quote) & DEBUG_BITS) == 0 ||
	       why_not(why, "the TD is under debug: the host can read its memory");
}

bool td_policy_no_service_td(const struct quote *quote, struct why *why)
{
	return bytes_zero(quote_td(quote, TD_MR_SERVICE_TD)) ||
	       why_not(why, "a service TD is bound to the TD");
}

bool td_policy_attributes(
	const struct quote *quote, uint64_t allowed, uint64_t needed, struct why *why)
{
	uint64_t set = td_attributes(quote) & ~DEBUG_BITS;
	if ((set & ~allowed) != 0)
		return why_not(why, "TD attributes %016llx are not allowed",
			(unsigned long long)(set & ~allowed));
	if ((needed & ~set) != 0)
		return why_not(why, "TD attributes %016llx are missing",
			(unsigned long long)(needed & ~set));
	return bytes_zero(quote_td(quote, TD_MR_SIGNER_SEAM)) ||
	       why_not(why, "the TDX module is not signed by Intel");
}
