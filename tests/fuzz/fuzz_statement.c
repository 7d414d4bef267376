// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is a document that a server serves. Under Intel's root none of these passes, and each
// says by name why.

#include "certificates.h"
#include "check.h"
#include "verify_envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(x509_free_p) X509 *root = intel_root();
	struct policy policy;
	struct verification v;
	struct envelope envelope;
	struct envelope_hold hold;
	const struct envelope_question question = {.connected = true,
		.has_spki = true,
		.nonce = SPAN("0000000000000000000000000000000000000000000000000000000000000000"),
		.tunnel = SPAN("t-aaaaaaaaaaaaaaaaaaaaaaaaaa"),
		.fresh = true};
	policy_init(&policy);
	verification_init(&v);
	v.root = root;
	v.root_is_intel = true;
	v.at = 1780272000; // 2026-06-01
	v.policy = &policy;
	verify_envelope(&v, &envelope, &hold, (struct span){(const char *)data, n}, &question);
	CHECK(verdict_rejected(&v.verdict) && !verification_accepted(&v));
	for (size_t i = 0; i < CHECKS; i++)
		if (v.verdict.checks[i].state == CHECK_FAILED)
			CHECK(v.verdict.checks[i].why.text[0] != '\0');
	verification_deinit(&v);
	envelope_deinit(&envelope);
	envelope_hold_deinit(&hold);
	return 0;
}
