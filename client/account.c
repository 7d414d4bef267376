// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "account.h"

int account_read(
	struct account *account, const struct invocation *invocation, struct failure *failure)
{
	*account = (struct account){0};
	int r = settings_load(&account->settings, invocation, failure);
	if (r == 0)
		r = settings_need_token(&account->settings, failure);
	if (r == 0)
		r = attest_gate_init(&account->gate, invocation, &account->settings, failure);
	account->verified = account->settings;
	return r;
}

int account_verify(struct account *account, struct span tunnel, struct failure *failure)
{
	int r = attest_gate_open(&account->gate, tunnel, failure);
	if (r == 0)
		account->verified.route = account->gate.route;
	return r;
}

int account_open(
	struct account *account, const struct invocation *invocation, struct failure *failure)
{
	int r = account_read(account, invocation, failure);
	return r == 0 ? account_verify(account, (struct span){NULL, 0}, failure) : r;
}

void account_close(struct account *account)
{
	attest_gate_deinit(&account->gate);
	settings_deinit(&account->settings);
	*account = (struct account){0};
}
