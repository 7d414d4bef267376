// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The words Intel has for the state of a platform, module or quoting enclave, and how several are
// folded into one.

#pragma once

#include "util.h"

enum tcb_status {
	TCB_UNKNOWN = 0, // no such word
	TCB_UP_TO_DATE,
	TCB_SW_HARDENING_NEEDED,
	TCB_CONFIGURATION_NEEDED,
	TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED,
	TCB_OUT_OF_DATE,
	TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
	TCB_REVOKED,
	TCB_STATUSES
};

enum tcb_status tcb_status_of(struct span word);
const char *tcb_status_word(enum tcb_status status);
bool tcb_status_is_out_of_date(enum tcb_status status);

// The platform's status with that of a part of it (UpToDate, OutOfDate or Revoked) folded in.
enum tcb_status tcb_status_fold(enum tcb_status platform, enum tcb_status part);
