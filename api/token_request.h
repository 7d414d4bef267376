// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The JSON of POST /_api/tokens.

#pragma once

#include "findings.h"
#include "token.h"

struct token_request {
	char name[TUNNEL_NAME_MAX + 1];
	uint64_t quota;  // 1 to MAX_QUOTA
	uint64_t life_s; // 1 to TOKEN_LIFE_MAX_S
	char summary[FINDINGS_SUMMARY_SIZE];
};

// Reads BODY. Returns an enum findings_outcome or -ENOMEM; SAID as in tunnel_request.h.
int token_request_parse(struct token_request *request, struct span body, uint64_t max_quota,
	struct buf *said) WARN_UNUSED;
