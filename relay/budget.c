// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "budget.h"

void budget_init(
	struct budget *budget, const struct tunnel_config *config, const struct counters *counters)
{
	*budget = (struct budget){
		.config = config,
		.counters = counters,
		.tokens = (double)config->request_rate,
		.filled = instant_now(),
	};
}

static bool requests_left(const struct budget *budget)
{
	uint64_t most = budget->config->max_requests;
	return most == 0 || counter_get(&budget->counters->requests) < most;
}

// A token bucket that holds one second's worth.
static bool token_taken(struct budget *budget, struct instant now)
{
	double rate = (double)budget->config->request_rate;
	if (budget->config->request_rate == 0)
		return true;
	double gained = rate * (double)instant_diff_us(now, budget->filled) / 1e6;
	budget->tokens = MIN(rate, budget->tokens + gained);
	budget->filled = now;
	if (budget->tokens < 1)
		return false;
	budget->tokens -= 1;
	return true;
}

enum budget_verdict budget_request(struct budget *budget, struct instant now)
{
	if (!requests_left(budget))
		return BUDGET_USED_UP;
	if (!token_taken(budget, now))
		return BUDGET_TOO_FAST;
	budget->unfinished++;
	return BUDGET_OK;
}

bool budget_requests_gone(const struct budget *budget)
{
	return !requests_left(budget);
}

void budget_finished(struct budget *budget)
{
	budget->unfinished--;
}

const char *budget_used_up(struct budget *budget)
{
	const struct counters *c = budget->counters;
	const char *which = NULL;
	uint64_t most = budget->config->max_bytes;
	if (budget->told)
		return NULL;
	if (most != 0 && counter_get(&c->bytes_in) + counter_get(&c->bytes_out) >= most)
		which = "bytes";
	else if (!requests_left(budget) && budget->unfinished == 0)
		which = "requests";
	budget->told = which != NULL;
	return which;
}
