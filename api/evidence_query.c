// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "evidence_query.h"

#include "hex.h"
#include "query.h"

#include <assert.h>

#define NONCE_RULE "nonce must be 32 to 128 hex digits: 16 to 64 bytes of your own choice."

static_assert(NONCE_MIN == 16 && NONCE_MAX == 64, "as the rule says");

static void read_nonce(struct findings *findings, struct evidence_query *query, struct span value)
{
	size_t n = value.n / 2;
	bool fits = value.n % 2 == 0 && n >= NONCE_MIN && n <= NONCE_MAX;
	if (query->n > 0)
		finding_parameter(findings, SPAN("nonce"), "nonce may be there once.");
	else if (!fits || hex_decode(query->nonce, n, value) < 0)
		finding_parameter(findings, SPAN("nonce"), NONCE_RULE);
	else
		query->n = n;
}

static void read_parameter(struct findings *findings, struct evidence_query *query,
	struct span name, struct span value)
{
	if (span_eq(name, SPAN("nonce"))) {
		read_nonce(findings, query, value);
	} else if (span_eq(name, SPAN("fresh"))) {
		query->fresh = span_eq(value, SPAN("1"));
		if (!query->fresh && !span_eq(value, SPAN("0")))
			finding_parameter(findings, name, "fresh must be 0 or 1.");
	} else {
		query_unknown(findings, name, "nonce and fresh");
	}
}

int evidence_query_parse(
	struct evidence_query *query, struct span text, bool needed, struct buf *said)
{
	struct findings findings = {.said = said};
	struct span name, value;
	*query = (struct evidence_query){0};
	while (query_next(&text, &name, &value))
		read_parameter(&findings, query, name, value);
	if (findings.n == 0 && query->n == 0 && (needed || query->fresh))
		finding_parameter(&findings, SPAN("nonce"), "nonce is missing: " NONCE_RULE);
	if (findings.n == 0 && query->n > 0 && !needed && !query->fresh)
		finding_parameter(
			&findings, SPAN("nonce"), "nonce is for a fresh quote here: add fresh=1.");
	return findings_end(&findings, query->summary);
}
