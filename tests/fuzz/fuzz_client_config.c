// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Configuration files: what is accepted is clean, and means the same when it is written again.

#include "check.h"
#include "config_file.h"

static void check_value(const char *value)
{
	CHECK(value == NULL || value[0] != '\0');
	for (const char *c = value; c != NULL && *c != '\0'; c++)
		CHECK((uint8_t)*c >= ' ' && *c != 0x7f);
}

static void check_same(const char *a, const char *b)
{
	CHECK((a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0));
}

static int add(struct buf *text, const char *key, const char *value)
{
	return value != NULL ? buf_printf(text, "%s=%s\n", key, value) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct config config, again;
	const char *why = NULL;
	unsigned line;
	struct buf text;

	if (config_parse(&config, (struct span){(const char *)data, n}, &line, &why) != 0) {
		CHECK(why != NULL && line >= 1 && config.token == NULL);
		return 0;
	}
	check_value(config.server);
	check_value(config.token);
	check_value(config.ca);
	buf_init(&text, 1 << 20);
	CHECK(add(&text, "server", config.server) == 0 && add(&text, "token", config.token) == 0 &&
		add(&text, "ca", config.ca) == 0);
	CHECK(config_parse(&again, buf_span(&text), &line, &why) == 0);
	check_same(config.server, again.server);
	check_same(config.token, again.token);
	check_same(config.ca, again.ca);
	config_deinit(&config);
	config_deinit(&again);
	buf_reset(&text);
	return 0;
}
