// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a verifier accepts: a JSON file of his own. Without one the verifier can tell genuine
// hardware from none, but not one system from another.
//
//     {"type": "tunneld-policy/1",
//      "measurements": [{"name": "...", "mr_td": hex, "rtmr0": hex, "rtmr1": hex, "rtmr2": hex}],
//      "app_compose": [hex of SHA-256],
//      "components": {"tunneld-relay": [hex of SHA-256]},
//      "source": [tree_sha256],
//      "tcb_status": ["UpToDate"],
//      "td_attributes": {"allowed": hex, "needed": hex},
//      "tls_key_file": true}
//
// Every member but the type may be left out; unknown ones are refused, for a misspelt rule is none.

#pragma once

#include "quote.h"
#include "tcb_status.h"

#include <jansson.h>

enum { POLICY_MAX = 1 << 20, POLICY_HASH_SIZE = 32 };

struct policy {
	json_t *json;             // NULL: no policy
	uint32_t statuses;        // bits by enum tcb_status
	uint64_t allowed, needed; // TD attributes
	bool tls_key_file;        // also a TLS key that others may have
};

// No policy: the defaults.
void policy_init(struct policy *policy);
bool policy_read(struct policy *policy, struct span text, struct why *why);
void policy_deinit(struct policy *policy);

bool policy_accepts_status(const struct policy *policy, enum tcb_status status);

// The rule of that name, or NULL: the policy has none.
const json_t *policy_rule(const struct policy *policy, const char *name);
// Whether a list of hashes has this one.
bool policy_lists(const json_t *list, const uint8_t sha256[POLICY_HASH_SIZE]);
// Whether MRTD and RTMR0 to RTMR2 of the quote are together one of its sets.
bool policy_accepts_measurements(const struct policy *policy, const struct quote *quote);
