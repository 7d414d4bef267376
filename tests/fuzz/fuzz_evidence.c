// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is evidence in any form. What comes of it lies in memory, and a replayed log is the
// same twice.

#include "check.h"
#include "evidence.h"

static void read_all(struct span bytes)
{
	static volatile char sink;
	for (size_t i = 0; i < bytes.n; i++)
		sink = bytes.p[i];
	(void)sink;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct evidence evidence;
	struct why why;
	if (evidence_read(&evidence, (struct span){(const char *)data, n}, &why)) {
		read_all(evidence.quote);
		read_all(evidence.app_compose);
		read_all(evidence.spki);
		for (unsigned i = 0; evidence.has_log && i < RTMRS; i++) {
			uint8_t once[MEASUREMENT_SIZE], twice[MEASUREMENT_SIZE];
			if (event_log_replay(&evidence.log, i, once, &why))
				CHECK(event_log_replay(&evidence.log, i, twice, &why) &&
					memcmp(once, twice, sizeof once) == 0);
		}
	}
	evidence_deinit(&evidence);
	return 0;
}
