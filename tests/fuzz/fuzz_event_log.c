// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is an event log. What passes the rules on boot events has one application and one
// compose hash, both from before the end of the boot.

#include "check.h"
#include "event_log.h"
#include "json_read.h"
#include "mr_config.h"

static size_t count(const struct event_log *log, const char *name)
{
	const struct event *event = NULL;
	size_t n = 0;
	while ((event = event_log_boot_next(log, event)) != NULL)
		n += span_eq(event->name, span_of(name));
	return n;
}

static void check_boot(const struct event_log *log)
{
	struct why why;
	if (!event_log_check_boot(log, &why))
		return;
	CHECK(count(log, "compose-hash") == 1 && count(log, "app-id") == 1);
	CHECK(count(log, "system-ready") <= 1);
	CHECK(event_log_boot(log, "compose-hash")->payload.n == 32);
	// Whatever the boot left, nothing hashes to this; and there are no kinds 0 and 4.
	static const char kinds[] = {0, 2, 3, 4};
	for (size_t i = 0; i < sizeof kinds; i++) {
		const char config[MEASUREMENT_SIZE] = {kinds[i], 1};
		CHECK(!mr_config_fits((struct span){config, sizeof config}, log, &why));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(json_p)
	json_t *json = json_read((struct span){(const char *)data, n}, EVENT_LOG_MAX);
	struct event_log log;
	uint8_t rtmr[MEASUREMENT_SIZE];
	struct why why;
	if (event_log_read(&log, json, &why)) {
		CHECK(log.n == json_array_size(json));
		for (unsigned i = 0; i < RTMRS; i++)
			(void)event_log_replay(&log, i, rtmr, &why);
		check_boot(&log);
	}
	event_log_deinit(&log);
	return 0;
}
