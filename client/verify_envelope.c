// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "verify_envelope.h"

#include "app_compose.h"
#include "bytes.h"
#include "crypto.h"
#include "hex.h"

#define RELAY "tunneld-relay"

void envelope_hold_deinit(struct envelope_hold *hold)
{
	if (hold->has_collateral)
		collateral_deinit(&hold->collateral);
	*hold = (struct envelope_hold){0};
}

static void set(struct verification *v, enum check check, bool passed, const struct why *why)
{
	verdict_set(&v->verdict, check, passed, why);
}

// ---- the connection

static bool key_fits(const struct verification *v, const struct envelope *envelope,
	const struct envelope_question *question, struct why *why)
{
	const json_t *key = envelope_tls_key(envelope, question->spki_sha256);
	if (key == NULL)
		return why_not(why, "somebody else ends TLS: the key is not the instance's");
	return envelope_key_is_own(key) || v->policy->tls_key_file ||
	       why_not(why, "the key is from a file: whoever has that can be in the middle");
}

static void check_key(struct verification *v, const struct envelope *envelope,
	const struct envelope_question *question)
{
	struct why why;
	if (envelope->kind == ENVELOPE_RECEIPT && !question->connected) {
		verdict_leave_out(&v->verdict, CHECK_TLS_KEY, "a receipt is about the past");
		return;
	}
	bool good;
	if (question->has_spki)
		good = key_fits(v, envelope, question, &why);
	else if (question->connected)
		good = why_not(&why, "the connection is not TLS: anybody on the way can read it");
	else
		good = why_not(&why, "no key of a connection to compare with");
	set(v, CHECK_TLS_KEY, good, &why);
}

// ---- the statement about the tunnel

static void check_signature(struct verification *v, const struct envelope *envelope)
{
	struct why why;
	bool good = envelope_signed(envelope) ||
		    why_not(&why, "the statement is not signed by the instance");
	set(v, CHECK_SIGNATURE, good, &why);
}

static void check_nonce(struct verification *v, const struct envelope *envelope,
	const struct envelope_question *question)
{
	struct why why;
	if (envelope->kind != ENVELOPE_TUNNEL) {
		verdict_leave_out(&v->verdict, CHECK_NONCE, "such a statement has none");
		return;
	}
	struct span nonce = json_member_text(envelope->outer.json, "nonce");
	bool good = question->nonce.p != NULL
			    ? span_eq_nocase(nonce, question->nonce) ||
				      why_not(&why, "it was signed for another question")
			    : why_not(&why, "no nonce to compare with");
	set(v, CHECK_NONCE, good, &why);
}

static void check_tunnel(struct verification *v, const struct envelope *envelope,
	const struct envelope_question *question)
{
	struct why why;
	if (question->tunnel.p == NULL && envelope->kind == ENVELOPE_INSTANCE) {
		verdict_leave_out(&v->verdict, CHECK_TUNNEL, "the instance was asked for");
		return;
	}
	struct span id = json_member_text(json_object_get(envelope->outer.json, "tunnel"), "id");
	bool good;
	if (envelope->kind == ENVELOPE_INSTANCE)
		good = why_not(&why, "the statement is not about a tunnel");
	else if (question->tunnel.p == NULL)
		good = why_not(&why, "no tunnel's id to compare with");
	else
		good = span_eq(id, question->tunnel) ||
		       why_not(&why, "the statement is about another tunnel");
	set(v, CHECK_TUNNEL, good, &why);
}

// The relay that runs is the program of the instance statement, and is sealed.
static void check_relay(struct verification *v, const struct envelope *envelope)
{
	struct why why;
	uint8_t runs[SHA256_SIZE], stated[SHA256_SIZE];
	uint64_t none;
	const json_t *relay = json_object_get(envelope->outer.json, "relay");
	if (envelope->kind == ENVELOPE_INSTANCE)
		return;
	bool good = true;
	if (!json_member_hex(relay, "sha256", runs, sizeof runs) ||
		!envelope_component(envelope, RELAY, stated) ||
		memcmp(runs, stated, sizeof runs) != 0)
		good = why_not(&why, "the relay is not the program of the instance statement");
	else if (!span_eq(json_member_text(relay, "seccomp"), SPAN("filter")) ||
		 !json_is_true(json_object_get(relay, "no_new_privs")) ||
		 !json_member_number(relay, "capabilities", 0, &none))
		good = why_not(&why, "the relay runs outside its sandbox");
	set(v, CHECK_RELAY, good, &why);
}

// ---- a fresh quote

static bool fresh_report_data(uint8_t out[REPORT_DATA_SIZE], const struct envelope *envelope,
	const struct envelope_question *question)
{
	uint8_t hash[SHA256_SIZE], nonce[64];
	size_t n = question->nonce.n / 2;
	const struct digest_input statement = {{envelope->instance.bytes}};
	if (n > sizeof nonce || hex_decode(nonce, n, question->nonce) != 0 ||
		!digest_make(EVP_sha256(), &statement, hash))
		return false;
	const struct digest_input input = {
		{SPAN("tunneld-fresh:"), bytes_of(hash, sizeof hash), bytes_of(nonce, n)}};
	return digest_make(EVP_sha512(), &input, out);
}

// Whether the same application was booted, event by event: `compose-hash`, `instance-id` and the
// rest.
static bool same_boot(const struct event_log *a, const struct event_log *b)
{
	const struct event *x = event_log_boot_next(a, NULL), *y = event_log_boot_next(b, NULL);
	while (x != NULL && y != NULL) {
		if (!span_eq(x->name, y->name) || !span_eq(x->payload, y->payload))
			return false;
		x = event_log_boot_next(a, x);
		y = event_log_boot_next(b, y);
	}
	return x == NULL && y == NULL;
}

// It has to pass all checks of a quote, and to be of the same machine and application: what the
// policy says of the platform's status it is asked once.
static void check_fresh(struct verification *v, const struct envelope *envelope,
	const struct envelope_question *question)
{
	static const enum td_field same[] = {
		TD_MR_TD, TD_MR_CONFIG_ID, TD_RTMR0, TD_RTMR1, TD_RTMR2};
	struct why why = {""};
	uint8_t data[REPORT_DATA_SIZE];
	if (!question->fresh)
		return;
	CLEANUP(verification_deinit)
	struct verification other = {
		.evidence = &envelope->fresh,
		.root = v->root,
		.root_is_intel = v->root_is_intel,
		.at = v->at,
		.collateral = v->collateral,
		.policy = v->policy,
		.report_data = bytes_of(data, sizeof data),
	};
	bool good = envelope->has_fresh && envelope->fresh.quote.p != NULL &&
		    fresh_report_data(data, envelope, question);
	if (!good)
		why_not(&why, "there is no fresh quote");
	else
		verify_quote(&other);
	for (unsigned i = 0; good && i < CHECKS; i++)
		if (other.verdict.checks[i].state == CHECK_FAILED)
			good = why_not(
				&why, "%s: %s", check_name(i), other.verdict.checks[i].why.text);
	for (size_t i = 0; good && i < ARRAY_SIZE(same); i++)
		if (!v->is_quote ||
			!span_eq(quote_td(&other.quote, same[i]), quote_td(&v->quote, same[i])))
			good = why_not(&why, "it is of another machine");
	if (good && !same_boot(&envelope->fresh.log, &envelope->evidence.log))
		good = why_not(&why, "it is of another application");
	if (good && other.verdict.tcb.status != v->verdict.tcb.status)
		good = why_not(
			&why, "its platform is %s", tcb_status_word(other.verdict.tcb.status));
	set(v, CHECK_FRESH, good, &why);
}

// ---- the policy on what the instance says of itself

static void check_components(struct verification *v, const struct envelope *envelope)
{
	struct why why;
	const char *name;
	json_t *hashes;
	json_t *rule = json_object_get(v->policy->json, "components");
	bool good = true;
	if (rule == NULL)
		return;
	json_object_foreach(rule, name, hashes)
	{
		uint8_t sha256[SHA256_SIZE];
		if (!envelope_component(envelope, name, sha256) || !policy_lists(hashes, sha256))
			good = why_not(&why, "the policy does not have this %.60s", name);
	}
	set(v, CHECK_COMPONENTS, good, &why);
}

static void check_source(struct verification *v, const struct envelope *envelope)
{
	struct why why;
	uint8_t tree[SHA256_SIZE];
	const json_t *rule = policy_rule(v->policy, "source");
	if (rule == NULL)
		return;
	bool good = (json_member_hex(json_object_get(envelope->instance.json, "source"),
			     "tree_sha256", tree, sizeof tree) &&
			    policy_lists(rule, tree)) ||
		    why_not(&why, "the policy does not have this source");
	set(v, CHECK_SOURCE, good, &why);
}

static void check_application(struct verification *v, const struct envelope *envelope)
{
	struct why why;
	struct span text = envelope->evidence.app_compose;
	if (text.p == NULL)
		return; // compose_hash has failed
	bool alone = app_compose_socket_alone(text, policy_rule(v->policy, "scripts"), &why);
	set(v, CHECK_SOCKET_ALONE, alone, &why);
	set(v, CHECK_IMAGES, app_compose_images_pinned(text, &why), &why);
}

// ---- all of it

// The quote of the instance has to be about its statement.
static void check_quote(
	struct verification *v, const struct envelope *envelope, struct envelope_hold *hold)
{
	const struct digest_input input = {{SPAN("tunneld-instance:"), envelope->instance.bytes}};
	if (!digest_make(EVP_sha512(), &input, hold->report_data)) {
		verdict_fail(&v->verdict, CHECK_REPORT_DATA, "out of memory");
		return;
	}
	v->report_data = bytes_of(hold->report_data, REPORT_DATA_SIZE);
	if (v->collateral == NULL && envelope->collateral != NULL) {
		collateral_init(&hold->collateral, envelope->collateral);
		hold->has_collateral = true;
		v->collateral = &hold->collateral;
	}
	verify_quote(v);
}

static bool check_tee(struct verification *v, const struct envelope *envelope)
{
	struct why why;
	struct span tee = json_member_text(envelope->json, "tee");
	struct span state =
		json_member_text(json_object_get(envelope->json, "instance"), "quote_state");
	bool good = span_eq(tee, SPAN("tdx")) && envelope->evidence.quote.p != NULL;
	if (!good)
		why_not(&why, "the server shows no quote of a TDX machine%s%.*s",
			state.n > 0 ? ": " : "", (int)MIN(state.n, 100), state.p);
	set(v, CHECK_TEE, good, &why);
	return good;
}

void verify_envelope(struct verification *v, struct envelope *envelope, struct envelope_hold *hold,
	struct span text, const struct envelope_question *question)
{
	struct why why;
	*hold = (struct envelope_hold){0};
	v->whole = true;
	v->evidence = &envelope->evidence;
	bool good = envelope_read(envelope, text, &why);
	set(v, CHECK_INSTANCE, good, &why);
	if (!good)
		return;
	if (check_tee(v, envelope))
		check_quote(v, envelope, hold);
	check_key(v, envelope, question);
	check_signature(v, envelope);
	check_nonce(v, envelope, question);
	check_tunnel(v, envelope, question);
	check_relay(v, envelope);
	check_fresh(v, envelope, question);
	check_components(v, envelope);
	check_source(v, envelope);
	check_application(v, envelope);
}
