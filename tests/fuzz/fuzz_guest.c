// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Answers of the guest service: whatever is accepted is what our documents can hold.

#include "check.h"
#include "guest_answer.h"

#include <jansson.h>

static void check_quote(struct span body)
{
	static const uint8_t report_data[REPORT_DATA_SIZE];
	struct quote quote;
	if (guest_answer_quote(body, report_data, &quote) != GUEST_OK) {
		CHECK(quote.hex == NULL && quote.event_log == NULL && quote.vm_config == NULL);
		return;
	}
	json_t *log = json_loads(quote.event_log, 0, NULL);
	CHECK(json_is_array(log));
	json_decref(log);
	CHECK(strlen(quote.hex) % 2 == 0 &&
		strspn(quote.hex, "0123456789abcdef") == strlen(quote.hex));
	quote_deinit(&quote);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span body = {(const char *)data, size};
	char *app_compose = NULL, version[VERSION_MAX + 1] = "", why[GUEST_WHY_MAX + 1];
	check_quote(body);
	if (guest_answer_info(body, &app_compose) == GUEST_OK)
		CHECK(strlen(app_compose) <= APP_COMPOSE_MAX);
	free(app_compose);
	if (guest_answer_version(body, version) == GUEST_OK)
		CHECK(version[0] != '\0');
	guest_answer_error(body, why);
	for (const char *p = why; *p != '\0'; p++)
		CHECK(*p >= ' ' && *p <= '~');
	return 0;
}
