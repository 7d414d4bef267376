// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "policy_draft.h"

#include "hex.h"

static json_t *hex_of(struct span bytes)
{
	char hex[2 * MEASUREMENT_SIZE + 1];
	if (bytes.p == NULL || 2 * bytes.n >= sizeof hex)
		return NULL;
	hex_encode(hex, bytes.p, bytes.n);
	return json_string(hex);
}

static json_t *measurements(const struct quote *quote)
{
	static const enum td_field fields[] = {TD_MR_TD, TD_RTMR0, TD_RTMR1, TD_RTMR2};
	json_t *set = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		json_object_set_new(
			set, quote_td_name(fields[i]), hex_of(quote_td(quote, fields[i])));
	return json_pack("[o]", set);
}

static json_t *relay(const struct envelope *envelope)
{
	uint8_t sha256[SHA256_SIZE];
	if (!envelope_component(envelope, "tunneld-relay", sha256))
		return NULL;
	return json_pack(
		"{s:[o]}", "tunneld-relay", hex_of((struct span){(char *)sha256, sizeof sha256}));
}

json_t *policy_draft(const struct verification *v, const struct envelope *envelope)
{
	const struct event *compose = event_log_boot(&v->evidence->log, "compose-hash");
	const json_t *source = json_object_get(envelope->instance.json, "source");
	uint8_t tree[SHA256_SIZE];
	if (!v->is_quote)
		return NULL;
	json_t *draft = json_pack(
		"{s:s, s:o}", "type", "tunneld-policy/1", "measurements", measurements(&v->quote));
	if (compose != NULL && compose->payload.n == POLICY_HASH_SIZE)
		json_object_set_new(
			draft, "app_compose", json_pack("[o]", hex_of(compose->payload)));
	json_object_set_new(draft, "components", relay(envelope));
	if (json_member_hex(source, "tree_sha256", tree, sizeof tree))
		json_object_set_new(draft, "source",
			json_pack("[o]", hex_of((struct span){(char *)tree, sizeof tree})));
	return draft;
}
