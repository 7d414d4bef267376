// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "attest_gate.h"

#include "clean.h"
#include "clock.h"
#include "hex.h"
#include "inquiry.h"
#include "json_read.h"
#include "server.h"

#include <stdio.h>

static enum attest_mode mode_of(const char *word, const struct url *server)
{
	if (word == NULL)
		return server_is_local(server) ? ATTEST_OFF : ATTEST_REQUIRE;
	return strcmp(word, "off") == 0    ? ATTEST_OFF
	       : strcmp(word, "warn") == 0 ? ATTEST_WARN
					   : ATTEST_REQUIRE;
}

int attest_gate_init(struct attest_gate *gate, const struct invocation *invocation,
	const struct settings *settings, struct failure *failure)
{
	struct invocation given = *invocation;
	given.values[OPTION_POLICY] = settings->policy;
	given.values[OPTION_COLLATERAL] = settings->collateral;
	*gate = (struct attest_gate){
		.mode = mode_of(settings->attest, &settings->server),
		.settings = settings,
		.route = settings->route,
	};
	return verify_inputs_read(&gate->inputs, &given, failure);
}

void attest_gate_deinit(struct attest_gate *gate)
{
	verify_inputs_deinit(&gate->inputs);
	tls_trust_free(gate->trust);
	*gate = (struct attest_gate){0};
}

// From now on only keys of the verified instance. The trust stays the same object: connections that
// are there belong to it.
static int pin(struct attest_gate *gate, const struct envelope *envelope, struct failure *failure)
{
	const json_t *tls = json_object_get(envelope->instance.json, "tls");
	uint8_t keys[TLS_KEYS_MAX][TLS_SPKI_SIZE];
	size_t n = 0;
	int r = gate->trust != NULL ? 0
				    : tls_trust_new(&gate->trust, TLS_CHECK_KEYS, NULL, failure);
	for (size_t i = 0; i < json_array_size(tls) && n < TLS_KEYS_MAX; i++) {
		const json_t *key = json_array_get(tls, i);
		n += (envelope_key_is_own(key) || gate->inputs.policy.tls_key_file) &&
		     json_member_hex(key, "spki_sha256", keys[n], TLS_SPKI_SIZE);
	}
	if (r == 0)
		r = tls_trust_set_keys(gate->trust, keys, n);
	if (r == 0)
		gate->route.trust = gate->trust;
	return r;
}

// The first failed check and its reason, and what to do.
static int refuse(
	const struct attest_gate *gate, const struct verification *v, struct failure *failure)
{
	const char *check = NULL, *why = "";
	for (unsigned i = 0; i < CHECKS && check == NULL; i++)
		if (v->verdict.checks[i].state == CHECK_FAILED) {
			check = check_name(i);
			why = v->verdict.checks[i].why.text;
		}
	if (check == NULL)
		check = verdict_word(&v->verdict);
	if (gate->mode == ATTEST_REQUIRE)
		return failure_set(failure, EXIT_CODE_NOT_ATTESTED,
			"%s is not what your policy accepts (%s%s%s): 'tunnel verify' shows all of "
			"it; --policy FILE says what to accept, --attest off goes on unverified",
			gate->settings->server.host, check, why[0] != '\0' ? ": " : "", why);
	fputs("tunnel: warning: the server is not attested: ", stderr);
	clean_print(stderr, span_of(check));
	fputs(why[0] != '\0' ? ": " : "", stderr);
	clean_print(stderr, span_of(why));
	fputc('\n', stderr);
	return 0;
}

static int judge(struct attest_gate *gate, const struct inquiry *inquiry, struct failure *failure)
{
	CLEANUP(verification_deinit) struct verification v;
	CLEANUP(envelope_deinit) struct envelope envelope;
	CLEANUP(envelope_hold_deinit) struct envelope_hold hold;
	verification_init(&v);
	verify_inputs_apply(&gate->inputs, &v);
	v.at = wall_now();
	inquiry_verify(inquiry, &v, &envelope, &hold);
	return verification_accepted(&v) ? pin(gate, &envelope, failure)
					 : refuse(gate, &v, failure);
}

int attest_gate_open(struct attest_gate *gate, struct span tunnel, struct failure *failure)
{
	CLEANUP(inquiry_deinit) struct inquiry inquiry = {0};
	if (gate->mode == ATTEST_OFF)
		return 0;
	int r = inquiry_make(&inquiry, &gate->settings->route, tunnel, false, failure);
	return r != 0 ? r : judge(gate, &inquiry, failure);
}
