// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "verdict.h"

#include <stdio.h>

static const struct {
	const char *name, *meaning;
} checks[CHECKS] = {
	[CHECK_TEE] = {"tee", "the server says it runs in a TDX machine"},
	[CHECK_INSTANCE] = {"instance", "the instance statement is well-formed"},
	[CHECK_TLS_KEY] = {"tls_key", "this TLS connection ends at a key of the instance"},
	[CHECK_SIGNATURE] = {"signature", "the instance signed the tunnel statement"},
	[CHECK_NONCE] = {"nonce", "it was signed for this question"},
	[CHECK_TUNNEL] = {"tunnel", "it is about this tunnel"},
	[CHECK_RELAY] = {"relay", "the tunnel's relay is the instance's, and sealed"},
	[CHECK_FORMAT] = {"format", "the quote is a TDX quote"},
	[CHECK_QUOTE_SIGNATURE] = {"quote_signature", "the attestation key signed the quote"},
	[CHECK_QE_REPORT_DATA] = {"qe_report_data", "the quoting enclave owns that key"},
	[CHECK_QE_NOT_DEBUG] = {"qe_not_debug", "the quoting enclave is not under debug"},
	[CHECK_QE_SIGNER] = {"qe_signer", "the quoting enclave is Intel's"},
	[CHECK_PCK_PRESENT] = {"pck_present", "the quote carries the processor's certificates"},
	[CHECK_PCK_CHAIN] = {"pck_chain", "they lead to the trusted root"},
	[CHECK_ROOT_IS_INTEL] = {"root_is_intel", "that root is Intel's"},
	[CHECK_SGX_EXTENSION] = {"sgx_extension", "the certificate names its platform"},
	[CHECK_QE_REPORT_SIGNATURE] = {"qe_report_signature", "the processor signed the quoting "
							      "enclave's report"},
	[CHECK_TCB_INFO] = {"tcb_info", "Intel's word on the platform is signed and current"},
	[CHECK_QE_IDENTITY] = {"qe_identity", "Intel's word on the quoting enclave is too"},
	[CHECK_TCB] = {"tcb", "the platform's versions have a status"},
	[CHECK_TCB_NOT_REVOKED] = {"tcb_not_revoked", "that status is not Revoked"},
	[CHECK_TD_NOT_DEBUG] = {"td_not_debug", "the host cannot read the machine's memory"},
	[CHECK_NO_SERVICE_TD] = {"no_service_td", "no service TD is bound to the machine"},
	[CHECK_TD_ATTRIBUTES] = {"td_attributes", "the machine has none but usual attributes"},
	[CHECK_RTMR3_REPLAY] = {"rtmr3_replay", "the event log is the one that was measured"},
	[CHECK_BOOT_EVENTS] = {"boot_events",
		"the events of the boot are in order, and are what the host committed to"},
	[CHECK_COMPOSE_HASH] = {"compose_hash", "the application definition was measured"},
	[CHECK_REPORT_DATA] = {"report_data", "the quote was made for what it is shown for"},
	[CHECK_FRESH] = {"fresh", "a second quote was made for this question"},
	[CHECK_MEASUREMENTS] = {"measurements", "firmware and system are ones the policy accepts"},
	[CHECK_APP] = {"app", "the application is one the policy accepts"},
	[CHECK_SOCKET_ALONE] = {"socket_alone", "one container at most can ask for quotes"},
	[CHECK_IMAGES] = {"images", "every image is named by its digest"},
	[CHECK_COMPONENTS] = {"components", "the programs are ones the policy accepts"},
	[CHECK_SOURCE] = {"source", "the source is one the policy accepts"},
};

static const char *const states[] = {
	[CHECK_LEFT_OUT] = "left_out",
	[CHECK_PASSED] = "passed",
	[CHECK_FAILED] = "failed",
};

void verdict_deinit(struct verdict *verdict)
{
	tcb_deinit(&verdict->tcb);
}

const char *check_name(enum check check)
{
	return checks[check].name;
}

const char *check_meaning(enum check check)
{
	return checks[check].meaning;
}

const char *check_state_name(enum check_state state)
{
	return states[state];
}

bool verdict_set(struct verdict *verdict, enum check check, bool passed, const struct why *why)
{
	// A failure stays, whatever comes later.
	if (verdict->checks[check].state == CHECK_FAILED)
		return passed;
	verdict->checks[check].state = passed ? CHECK_PASSED : CHECK_FAILED;
	if (!passed)
		verdict->checks[check].why = *why;
	return passed;
}

void verdict_leave_out(struct verdict *verdict, enum check check, const char *why)
{
	if (verdict->checks[check].state == CHECK_LEFT_OUT)
		why_not(&verdict->checks[check].why, "%s", why);
}

void verdict_fail(struct verdict *verdict, enum check check, const char *text)
{
	struct why why;
	verdict_set(verdict, check, why_not(&why, "%s", text), &why);
}

bool verdict_rejected(const struct verdict *verdict)
{
	for (size_t i = 0; i < CHECKS; i++)
		if (verdict->checks[i].state == CHECK_FAILED)
			return true;
	return false;
}

const char *verdict_word(const struct verdict *verdict)
{
	if (verdict_rejected(verdict))
		return "rejected";
	return verdict->has_tcb ? tcb_status_word(verdict->tcb.status) : "authentic-no-tcb";
}
