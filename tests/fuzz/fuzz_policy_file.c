// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is a policy. What is read says its type, and every list of hashes in it can be asked.

#include "check.h"
#include "policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char body[648];
	static const uint8_t hash[POLICY_HASH_SIZE];
	const struct quote quote = {.body = {body, sizeof body}};
	struct policy policy;
	struct why why = {""};
	if (policy_read(&policy, (struct span){(const char *)data, n}, &why)) {
		CHECK(policy_rule(&policy, "type") != NULL);
		(void)policy_lists(policy_rule(&policy, "app_compose"), hash);
		(void)policy_lists(policy_rule(&policy, "source"), hash);
		(void)policy_accepts_measurements(&policy, &quote);
		CHECK(!policy_accepts_status(&policy, TCB_REVOKED));
	} else {
		CHECK(why.text[0] != '\0');
	}
	policy_deinit(&policy);
	return 0;
}
