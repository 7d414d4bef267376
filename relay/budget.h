// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a tunnel may use in all, and how fast. The relay only notices; the end is the supervisor's.

#pragma once

#include "clock.h"
#include "counters.h"
#include "tunnel_config.h"

struct budget {
	const struct tunnel_config *config;
	const struct counters *counters;
	double tokens;         // requests that may come right now
	struct instant filled; // when tokens was last brought up to date
	uint64_t unfinished;   // requests accepted and not yet answered
	bool told;             // the supervisor knows that a budget is used up
};

void budget_init(
	struct budget *budget, const struct tunnel_config *config, const struct counters *counters);

enum budget_verdict {
	BUDGET_OK = 0,
	BUDGET_TOO_FAST, // request_rate: try again
	BUDGET_USED_UP,  // limits.requests: the last one has been accepted
};

// One more request wants in. BUDGET_OK accepts it: budget_finished() must follow once.
enum budget_verdict budget_request(struct budget *budget, struct instant now);
// Whether the last request has been accepted: connections end behind their answers.
bool budget_requests_gone(const struct budget *budget);
void budget_finished(struct budget *budget);

// The name of the budget that is used up so that the tunnel is to end now, once; else NULL.
// Requests that were accepted are still answered; bytes are not.
const char *budget_used_up(struct budget *budget);
