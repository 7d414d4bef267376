// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "verify.h"

#include "app_compose.h"
#include "bytes.h"
#include "certificates.h"
#include "crypto.h"
#include "json_read.h"
#include "mr_config.h"
#include "td_policy.h"

enum { QE_DEBUG = 2, QE_PRODUCT_TDX = 2, PCK_CHAIN = 3 };

// Who signs Intel's TD quoting enclave.
static const char qe_signer[] = "\xdc\x9e\x2a\x7c\x6f\x94\x8f\x17\x47\x4e\x34\xa7\xfc\x43\xed\x03"
				"\x0f\x7c\x15\x63\xf1\xba\xbd\xdf\x63\x40\xc8\x2e\x0e\x54\xa8\xc5";

void verification_init(struct verification *v)
{
	*v = (struct verification){0};
}

void verification_deinit(struct verification *v)
{
	certificates_free_p(&v->pck_chain);
	verdict_deinit(&v->verdict);
	*v = (struct verification){0};
}

bool verification_accepted(const struct verification *v)
{
	return !verdict_rejected(&v->verdict) && v->verdict.has_tcb &&
	       policy_accepts_status(v->policy, v->verdict.tcb.status);
}

static bool set(struct verification *v, enum check check, bool passed, const struct why *why)
{
	return verdict_set(&v->verdict, check, passed, why);
}

// ---- who signed: the attestation key, the quoting enclave, the processor

static void check_quote_signature(struct verification *v)
{
	struct why why;
	CLEANUP(pkey_free_p) EVP_PKEY *key = p256_key(v->quote.key);
	bool good = key != NULL
			    ? p256_verify(key, v->quote.signature, v->quote.measured) ||
				      why_not(&why, "the attestation key did not sign the quote")
			    : why_not(&why, "the attestation key is no point of the curve");
	set(v, CHECK_QUOTE_SIGNATURE, good, &why);
}

static void check_qe(struct verification *v)
{
	struct why why;
	uint8_t digest[32];
	struct span data = quote_qe(&v->quote, QE_REPORT_DATA);
	const struct digest_input input = {{v->quote.key, v->quote.qe_auth}};
	bool bound = digest_make(EVP_sha256(), &input, digest) &&
		     memcmp(digest, data.p, sizeof digest) == 0 &&
		     bytes_zero((struct span){data.p + sizeof digest, data.n - sizeof digest});
	if (!bound)
		why_not(&why, "the quoting enclave's report is about another attestation key");
	set(v, CHECK_QE_REPORT_DATA, bound, &why);
	bool debug = (quote_qe(&v->quote, QE_ATTRIBUTES).p[0] & QE_DEBUG) != 0;
	if (debug)
		why_not(&why, "the quoting enclave is under debug");
	set(v, CHECK_QE_NOT_DEBUG, !debug, &why);
}

// Without this the owner of any SGX machine could put an enclave of his own in its place. Under
// another root the collateral's identity decides.
static void check_qe_signer(struct verification *v)
{
	struct why why;
	if (!v->root_is_intel) {
		verdict_leave_out(&v->verdict, CHECK_QE_SIGNER, "the root is not Intel's");
		return;
	}
	bool intel = span_eq(quote_qe(&v->quote, QE_MR_SIGNER),
			     bytes_of(qe_signer, sizeof qe_signer - 1)) &&
		     bytes_number(quote_qe(&v->quote, QE_ISV_PROD_ID)) == QE_PRODUCT_TDX;
	if (!intel)
		why_not(&why, "the quoting enclave is not Intel's");
	set(v, CHECK_QE_SIGNER, intel, &why);
}

static bool check_chain_present(struct verification *v)
{
	struct why why;
	if (v->quote.chain.p == NULL)
		why_not(&why, "certification data of type %u holds no certificates",
			v->quote.certification_type);
	else
		v->pck_chain = certificates_read(v->quote.chain, PCK_CHAIN, &why);
	if (v->pck_chain != NULL && sk_X509_num(v->pck_chain) != PCK_CHAIN) {
		why_not(&why, "%d certificates, not three", sk_X509_num(v->pck_chain));
		certificates_free_p(&v->pck_chain);
		v->pck_chain = NULL;
	}
	return set(v, CHECK_PCK_PRESENT, v->pck_chain != NULL, &why);
}

static void check_chain(struct verification *v)
{
	struct why why;
	CLEANUP(crls_free_p) STACK_OF(X509_CRL) *crls = NULL;
	bool good = true;
	if (v->collateral != NULL) {
		crls = collateral_pck_crls(v->collateral);
		if (crls == NULL) {
			good = false;
			why = v->collateral->crl_why;
		}
	}
	good = good &&
	       certificates_check(v->pck_chain, v->root, crls, "SGX PCK Certificate", v->at, &why);
	set(v, CHECK_PCK_CHAIN, good, &why);
	bool pinned = certificate_is(sk_X509_value(v->pck_chain, PCK_CHAIN - 1), v->root);
	if (!pinned)
		why_not(&why, v->root_is_intel ? "the root is not Intel's SGX root"
					       : "the root is not the one given");
	if (pinned && !v->root_is_intel)
		verdict_leave_out(&v->verdict, CHECK_ROOT_IS_INTEL, "it is the one given");
	else
		set(v, CHECK_ROOT_IS_INTEL, pinned, &why);
}

static void check_pck(struct verification *v)
{
	struct why why;
	X509 *pck = sk_X509_value(v->pck_chain, 0);
	v->has_platform = sgx_extension_of(&v->platform, pck, &why);
	set(v, CHECK_SGX_EXTENSION, v->has_platform, &why);
	EVP_PKEY *key = X509_get0_pubkey(pck);
	bool good = key != NULL && p256_verify(key, v->quote.qe_signature, v->quote.qe_report);
	if (!good)
		why_not(&why, "the processor's key did not sign the quoting enclave's report");
	set(v, CHECK_QE_REPORT_SIGNATURE, good, &why);
}

// ---- whether the platform is sound

static void match(struct verification *v, const json_t *tcb_info, const json_t *qe_identity)
{
	struct why why;
	struct tcb *tcb = &v->verdict.tcb;
	v->verdict.has_tcb = tcb_match(tcb, tcb_info, qe_identity, &v->quote, &v->platform, &why);
	if (!set(v, CHECK_TCB, v->verdict.has_tcb, &why))
		return;
	bool sound = tcb->status != TCB_REVOKED;
	if (!sound)
		why_not(&why, "Intel has revoked the platform at these versions");
	set(v, CHECK_TCB_NOT_REVOKED, sound, &why);
}

static void check_tcb(struct verification *v)
{
	struct why why;
	const struct collateral *collateral = v->collateral;
	if (collateral == NULL) {
		verdict_leave_out(&v->verdict, CHECK_TCB, "there is no collateral");
		return;
	}
	CLEANUP(json_p)
	json_t *tcb_info = collateral_open(collateral, &collateral->tcb_info, v->root, v->at, &why);
	set(v, CHECK_TCB_INFO, tcb_info != NULL, &why);
	CLEANUP(json_p)
	json_t *qe_identity =
		collateral_open(collateral, &collateral->qe_identity, v->root, v->at, &why);
	set(v, CHECK_QE_IDENTITY, qe_identity != NULL, &why);
	if (tcb_info == NULL || qe_identity == NULL || !v->has_platform)
		verdict_leave_out(&v->verdict, CHECK_TCB, "what it is read from is not genuine");
	else
		match(v, tcb_info, qe_identity);
}

// ---- what runs

static void check_td(struct verification *v)
{
	struct why why;
	set(v, CHECK_TD_NOT_DEBUG, td_policy_not_debug(&v->quote, &why), &why);
	set(v, CHECK_NO_SERVICE_TD, td_policy_no_service_td(&v->quote, &why), &why);
	bool good = td_policy_attributes(&v->quote, v->policy->allowed, v->policy->needed, &why);
	set(v, CHECK_TD_ATTRIBUTES, good, &why);
}

static void check_log(struct verification *v)
{
	struct why why = v->evidence->log_why;
	const struct event_log *log = &v->evidence->log;
	uint8_t rtmr3[MEASUREMENT_SIZE];
	bool good = !v->evidence->log_malformed && event_log_replay(log, 3, rtmr3, &why);
	if (good && !span_eq(bytes_of(rtmr3, sizeof rtmr3), quote_td(&v->quote, TD_RTMR3)))
		good = why_not(&why, "the event log does not add up to RTMR3");
	set(v, CHECK_RTMR3_REPLAY, good, &why);
	if (v->evidence->log_malformed)
		return;
	good = event_log_check_boot(log, &why) &&
	       mr_config_fits(quote_td(&v->quote, TD_MR_CONFIG_ID), log, &why);
	set(v, CHECK_BOOT_EVENTS, good, &why);
}

static void check_compose(struct verification *v)
{
	struct why why;
	const struct event *event = event_log_boot(&v->evidence->log, "compose-hash");
	bool good = event != NULL ? app_compose_is(v->evidence->app_compose, event->payload, &why)
				  : why_not(&why, "no event of the boot says what it was");
	set(v, CHECK_COMPOSE_HASH, good, &why);
}

// What is missing is a failure where it is needed, and said where it is not.
static void is_missing(struct verification *v, enum check check, const char *what)
{
	if (v->whole)
		verdict_fail(&v->verdict, check, what);
	else
		verdict_leave_out(&v->verdict, check, what);
}

static void check_application(struct verification *v)
{
	if (v->evidence->has_log)
		check_log(v);
	else
		is_missing(v, CHECK_RTMR3_REPLAY, "there is no event log");
	if (v->evidence->app_compose.p != NULL)
		check_compose(v);
	else
		is_missing(v, CHECK_COMPOSE_HASH, "there is no app-compose");
}

static void check_report_data(struct verification *v)
{
	struct why why;
	if (v->report_data.p == NULL) {
		verdict_leave_out(&v->verdict, CHECK_REPORT_DATA, "nothing to compare it with");
		return;
	}
	struct span data = quote_td(&v->quote, TD_REPORT_DATA);
	bool good = span_eq(data, v->report_data) && !bytes_zero(data);
	if (!good)
		why_not(&why, "the quote was made for something else");
	set(v, CHECK_REPORT_DATA, good, &why);
}

// ---- what the verifier accepts

static void check_policy(struct verification *v)
{
	struct why why;
	if (policy_rule(v->policy, "measurements") == NULL) {
		is_missing(v, CHECK_MEASUREMENTS,
			"genuine TDX, unknown system: no policy says which to accept");
	} else {
		bool good = policy_accepts_measurements(v->policy, &v->quote) ||
			    why_not(&why, "the policy does not have these measurements");
		set(v, CHECK_MEASUREMENTS, good, &why);
	}
	const json_t *apps = policy_rule(v->policy, "app_compose");
	const struct event *event = event_log_boot(&v->evidence->log, "compose-hash");
	if (apps == NULL) {
		is_missing(v, CHECK_APP, "unknown application: no policy says which to accept");
	} else {
		bool good =
			(event != NULL && event->payload.n == POLICY_HASH_SIZE &&
				policy_lists(apps, (const uint8_t *)event->payload.p)) ||
			why_not(&why, "the policy does not have this application's compose hash");
		set(v, CHECK_APP, good, &why);
	}
}

void verify_quote(struct verification *v)
{
	struct why why;
	v->is_quote = quote_parse(&v->quote, v->evidence->quote, &why);
	if (!set(v, CHECK_FORMAT, v->is_quote, &why))
		return;
	check_quote_signature(v);
	check_qe(v);
	check_qe_signer(v);
	if (check_chain_present(v)) {
		check_chain(v);
		check_pck(v);
	}
	check_tcb(v);
	check_td(v);
	check_application(v);
	check_report_data(v);
	check_policy(v);
}
