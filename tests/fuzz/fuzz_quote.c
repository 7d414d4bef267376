// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is a quote. All its parts lie inside it, one behind the other; what is behind the
// authentication data does not matter, and with a byte less nothing is a quote any more.

#include "check.h"
#include "quote.h"

static void inside(struct span part, struct span whole)
{
	CHECK(part.p >= whole.p && part.n <= whole.n &&
		(size_t)(part.p - whole.p) <= whole.n - part.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span whole = {(const char *)data, n};
	struct quote quote, again;
	struct why why;
	if (!quote_parse(&quote, whole, &why)) {
		CHECK(why.text[0] != '\0');
		return 0;
	}
	const struct span parts[] = {quote.measured, quote.body, quote.signature, quote.key,
		quote.qe_report, quote.qe_signature, quote.qe_auth};
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		inside(parts[i], whole);
	if (quote.chain.p != NULL)
		inside(quote.chain, whole);
	for (unsigned i = 0; i < TD_FIELDS; i++)
		if (quote_td(&quote, i).p != NULL)
			inside(quote_td(&quote, i), quote.body);
	whole.n -= quote.trailing;
	CHECK(quote_parse(&again, whole, &why) && again.trailing == 0);
	whole.n--;
	CHECK(!quote_parse(&again, whole, &why));
	return 0;
}
