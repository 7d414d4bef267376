// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tcb_status.h"

static const char *const words[TCB_STATUSES] = {
	[TCB_UNKNOWN] = "unknown",
	[TCB_UP_TO_DATE] = "UpToDate",
	[TCB_SW_HARDENING_NEEDED] = "SWHardeningNeeded",
	[TCB_CONFIGURATION_NEEDED] = "ConfigurationNeeded",
	[TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED] = "ConfigurationAndSWHardeningNeeded",
	[TCB_OUT_OF_DATE] = "OutOfDate",
	[TCB_OUT_OF_DATE_CONFIGURATION_NEEDED] = "OutOfDateConfigurationNeeded",
	[TCB_REVOKED] = "Revoked",
};

enum tcb_status tcb_status_of(struct span word)
{
	for (int i = TCB_UP_TO_DATE; i < TCB_STATUSES; i++)
		if (span_eq(word, span_of(words[i])))
			return (enum tcb_status)i;
	return TCB_UNKNOWN;
}

const char *tcb_status_word(enum tcb_status status)
{
	return words[status];
}

bool tcb_status_is_out_of_date(enum tcb_status status)
{
	return status == TCB_OUT_OF_DATE || status == TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
}

enum tcb_status tcb_status_fold(enum tcb_status platform, enum tcb_status part)
{
	if (platform == TCB_REVOKED || part == TCB_REVOKED)
		return TCB_REVOKED;
	if (part != TCB_OUT_OF_DATE)
		return platform;
	if (platform == TCB_UP_TO_DATE || platform == TCB_SW_HARDENING_NEEDED)
		return TCB_OUT_OF_DATE;
	if (platform == TCB_CONFIGURATION_NEEDED ||
		platform == TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED)
		return TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
	return platform;
}
