// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "policy.h"

#include "hex.h"
#include "json_read.h"
#include "td_policy.h"

void policy_init(struct policy *policy)
{
	*policy = (struct policy){
		.statuses = 1u << TCB_UP_TO_DATE,
		.allowed = TD_ATTRIBUTES_USUAL,
	};
}

void policy_deinit(struct policy *policy)
{
	json_decref(policy->json);
	*policy = (struct policy){0};
}

// ---- reading: a rule that cannot be understood is refused, for it would protect from nothing

static bool is_hex(const json_t *value, size_t n)
{
	uint8_t bytes[MEASUREMENT_SIZE];
	return json_is_string(value) && n <= sizeof bytes &&
	       hex_decode(bytes, n,
		       (struct span){json_string_value(value), json_string_length(value)}) == 0;
}

static bool hashes_fit(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!is_hex(json_array_get(list, i), POLICY_HASH_SIZE))
			return false;
	return json_is_array(list);
}

static bool read_hashes(struct policy *policy, json_t *value)
{
	return hashes_fit(value);
}

static bool read_measurements(struct policy *policy, json_t *value)
{
	static const char *const names[] = {"mr_td", "rtmr0", "rtmr1", "rtmr2"};
	for (size_t i = 0; i < json_array_size(value); i++) {
		const json_t *set = json_array_get(value, i);
		size_t named = json_object_get(set, "name") != NULL;
		for (size_t j = 0; j < ARRAY_SIZE(names); j++)
			if (!is_hex(json_object_get(set, names[j]), MEASUREMENT_SIZE))
				return false;
		if (json_object_size(set) != ARRAY_SIZE(names) + named)
			return false;
	}
	return json_is_array(value);
}

static bool read_components(struct policy *policy, json_t *value)
{
	const char *name;
	json_t *list;
	json_object_foreach(value, name, list)
	{
		if (!hashes_fit(list))
			return false;
	}
	return json_is_object(value);
}

static bool read_statuses(struct policy *policy, json_t *value)
{
	policy->statuses = 0;
	for (size_t i = 0; i < json_array_size(value); i++) {
		const json_t *word = json_array_get(value, i);
		enum tcb_status status = tcb_status_of(
			(struct span){json_string_value(word), json_string_length(word)});
		if (status == TCB_UNKNOWN || status == TCB_REVOKED)
			return false;
		policy->statuses |= 1u << status;
	}
	return json_is_array(value);
}

static bool read_mask(const json_t *object, const char *name, uint64_t *mask, size_t *read)
{
	uint8_t bytes[8];
	if (json_object_get(object, name) == NULL)
		return true;
	if (!json_member_hex(object, name, bytes, sizeof bytes))
		return false;
	*mask = 0;
	for (size_t i = 0; i < sizeof bytes; i++) // as they stand in a report: little endian
		*mask |= (uint64_t)bytes[i] << (8 * i);
	++*read;
	return true;
}

static bool read_attributes(struct policy *policy, json_t *value)
{
	size_t read = 0;
	return read_mask(value, "allowed", &policy->allowed, &read) &&
	       read_mask(value, "needed", &policy->needed, &read) &&
	       read == json_object_size(value) && json_is_object(value);
}

static bool read_key_file(struct policy *policy, json_t *value)
{
	policy->tls_key_file = json_is_true(value);
	return json_is_boolean(value);
}

static bool read_type(struct policy *policy, json_t *value)
{
	return json_is_string(value) && strcmp(json_string_value(value), "tunneld-policy/1") == 0;
}

static const struct {
	const char *name;
	bool (*read)(struct policy *policy, json_t *value);
} rules[] = {
	{"type", read_type},
	{"measurements", read_measurements},
	{"app_compose", read_hashes},
	{"components", read_components},
	{"source", read_hashes},
	{"scripts", read_hashes},
	{"tcb_status", read_statuses},
	{"td_attributes", read_attributes},
	{"tls_key_file", read_key_file},
};

static bool read_rule(struct policy *policy, const char *name, json_t *value, struct why *why)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].name, name) == 0)
			return rules[i].read(policy, value) ||
			       why_not(why, "\"%s\" is not as it has to be", name);
	return why_not(why, "there is no rule \"%.60s\"", name);
}

bool policy_read(struct policy *policy, struct span text, struct why *why)
{
	const char *name;
	json_t *value;
	policy_init(policy);
	policy->json = json_read(text, POLICY_MAX);
	if (json_object_get(policy->json, "type") == NULL)
		return why_not(why, "it is no JSON object with a type");
	json_object_foreach(policy->json, name, value)
	{
		if (!read_rule(policy, name, value, why))
			return false;
	}
	return true;
}

// ---- asking

bool policy_accepts_status(const struct policy *policy, enum tcb_status status)
{
	return (policy->statuses >> status & 1) != 0;
}

const json_t *policy_rule(const struct policy *policy, const char *name)
{
	return json_object_get(policy->json, name);
}

bool policy_lists(const json_t *list, const uint8_t sha256[POLICY_HASH_SIZE])
{
	uint8_t listed[POLICY_HASH_SIZE];
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *hex = json_array_get(list, i);
		if (hex_decode(listed, sizeof listed,
			    (struct span){json_string_value(hex), json_string_length(hex)}) == 0 &&
			memcmp(listed, sha256, sizeof listed) == 0)
			return true;
	}
	return false;
}

bool policy_accepts_measurements(const struct policy *policy, const struct quote *quote)
{
	static const enum td_field fields[] = {TD_MR_TD, TD_RTMR0, TD_RTMR1, TD_RTMR2};
	const json_t *sets = policy_rule(policy, "measurements");
	for (size_t i = 0; i < json_array_size(sets); i++) {
		size_t same = 0;
		for (size_t j = 0; j < ARRAY_SIZE(fields); j++) {
			uint8_t wanted[MEASUREMENT_SIZE];
			same += json_member_hex(json_array_get(sets, i), quote_td_name(fields[j]),
					wanted, sizeof wanted) &&
				memcmp(wanted, quote_td(quote, fields[j]).p, sizeof wanted) == 0;
		}
		if (same == ARRAY_SIZE(fields))
			return true;
	}
	return false;
}
