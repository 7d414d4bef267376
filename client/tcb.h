// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Intel's verdict on a platform: TCB info, the identities of TDX modules and that of the quoting
// enclave, matched with what a quote and its PCK certificate say (Intel PCS v4, "Get TDX TCB Info"
// and "Get TDX QE Identity", with Intel's matching rules).
//
// Both objects have been opened (collateral_open()), and all signatures of the quote verified,
// before any of this is asked.

#pragma once

#include "clock.h"
#include "quote.h"
#include "sgx_extension.h"
#include "tcb_status.h"

#include <jansson.h>

enum { TCB_MODULE_ID_SIZE = sizeof "TDX_ff" };

struct tcb {
	enum tcb_status status; // of all together
	enum tcb_status platform, qe;
	enum tcb_status module; // TCB_UNKNOWN: a module of version 0 has none of its own
	char module_id[TCB_MODULE_ID_SIZE];
	char date[RFC3339_SIZE]; // of the platform's level
	json_t *advisories;      // texts, each once
	bool relaunch;           // TD report 1.5: Intel would advise to start the TD anew
};

void tcb_deinit(struct tcb *tcb);

bool tcb_match(struct tcb *tcb, const json_t *tcb_info, const json_t *qe_identity,
	const struct quote *quote, const struct sgx_extension *platform, struct why *why);
