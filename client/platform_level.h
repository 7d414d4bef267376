// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Levels of a platform: the versions of sixteen SGX components, of the provisioning enclave and of
// sixteen TDX components.

#pragma once

#include "quote.h"
#include "sgx_extension.h"
#include "tcb_status.h"

#include <jansson.h>

enum { TDX_COMPONENTS = 16 };

struct platform_level {
	// In order of weight, for comparing with memcmp(): the SVN of the PCE big endian.
	uint8_t sgx[SGX_COMPONENTS];
	uint8_t pce[2];
	uint8_t tdx[TDX_COMPONENTS];
	enum tcb_status status;
	const json_t *object;
};

// The levels a platform is at: the highest of TCB_INFO's that none of its versions is below. The
// order of the file does not matter.
struct platform_levels {
	struct platform_level matching; // by SGX and TDX components
	struct platform_level sgx_only; // by SGX components alone
	struct platform_level newest;   // of the file
};

// Returns false when there is no matching level or any is malformed.
bool platform_level_find(struct platform_levels *levels, const json_t *tcb_info,
	const struct sgx_extension *platform, struct span tee_tcb_svn, struct why *why);
