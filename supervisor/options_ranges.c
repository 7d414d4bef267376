// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "options_values.h"

#include "listener.h"
#include "networks.h"

#include <stdio.h>

// ---- networks

static int network_add(void *member, struct span item, char *why)
{
	struct options_rules *list = member;
	char excerpt[OPTION_EXCERPT_MAX];
	int r = option_rule_add(member, item, why);

	if (r != 0)
		return r;
	if (list->items[list->n - 1].port != 0)
		return option_invalid(
			why, "'%s': write it without a port", option_excerpt(item, excerpt));
	return list->n <= NETWORKS_MAX ? 0 : option_invalid(why, "more than %d", NETWORKS_MAX);
}

int option_networks_set(void *member, const struct option_def *def, struct span value, char *why)
{
	return option_each(member, value, network_add, why);
}

// ---- addresses with several ports

// Takes "-LAST" off TEXT. Returns NULL, with *LAST 0 when there was none, or what is wrong.
static const char *last_take(struct span *text, uint16_t *last)
{
	const char *dash = memrchr(text->p, '-', text->n);
	uint32_t port = 0;

	*last = 0;
	if (dash == NULL)
		return NULL;
	struct span digits = {dash + 1, (size_t)(text->p + text->n - dash) - 1};
	for (size_t i = 0; i < digits.n && digits.n <= 5; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return "write ports as 9000-9099";
		port = port * 10 + (uint32_t)(digits.p[i] - '0');
	}
	if (port == 0 || port > UINT16_MAX)
		return "the last port is 1 to 65535";
	*last = (uint16_t)port;
	text->n = (size_t)(dash - text->p);
	return NULL;
}

static const char *range_parse(struct options_range *range, struct span text)
{
	const char *wrong = last_take(&text, &range->last);

	if (wrong == NULL)
		wrong = option_address_parse(&range->first, text);
	if (wrong != NULL)
		return wrong;
	uint16_t first = listener_port((const struct sockaddr *)&range->first);
	if (range->last == 0)
		range->last = first;
	return range->last >= first ? NULL : "the last port is below the first";
}

static size_t range_size(const struct options_range *range)
{
	return range->last - listener_port((const void *)&range->first) + 1u;
}

static int range_add(void *member, struct span item, char *why)
{
	struct options_ranges *list = member;
	struct options_range range;
	char excerpt[OPTION_EXCERPT_MAX];
	const char *wrong = range_parse(&range, item);

	if (wrong != NULL)
		return option_invalid(why, "'%s': %s", option_excerpt(item, excerpt), wrong);
	if (list->n == OPTIONS_LISTEN_MAX)
		return option_invalid(why, "more than %d entries", OPTIONS_LISTEN_MAX);
	list->items[list->n++] = range;
	return 0;
}

int option_ranges_set(void *member, const struct option_def *def, struct span value, char *why)
{
	return option_each(member, value, range_add, why);
}

// Where there is no address it is put there when all keys are known.
int option_pool_set(void *member, const struct option_def *def, struct span value, char *why)
{
	struct options_ranges *list = member;
	struct options_range range;
	char whole[64], excerpt[OPTION_EXCERPT_MAX];
	bool bare = memchr(value.p, ':', value.n) == NULL;
	int n = snprintf(
		whole, sizeof whole, "%s%.*s", bare ? "0.0.0.0:" : "", (int)value.n, value.p);
	const char *wrong = "write FIRST-LAST, or ADDRESS:FIRST-LAST";

	if (n > 0 && (size_t)n < sizeof whole)
		wrong = range_parse(&range, (struct span){whole, (size_t)n});
	if (wrong == NULL && range_size(&range) > OPTIONS_POOL_MAX)
		wrong = "more than 4096 ports";
	if (wrong != NULL)
		return option_invalid(why, "'%s': %s", option_excerpt(value, excerpt), wrong);
	range.bare = bare;
	*list = (struct options_ranges){.items = {range}, .n = 1};
	return 0;
}

size_t options_pool_size(const struct options *options)
{
	return options->port_pool.n > 0 ? range_size(&options->port_pool.items[0]) : 0;
}

int option_ranges_format(const void *member, const struct option_def *def, struct buf *text)
{
	const struct options_ranges *list = member;
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++) {
		const struct sockaddr *first = (const void *)&list->items[i].first;
		char address[LISTENER_TEXT_MAX];
		listener_format(first, address);
		r = buf_printf(text, "%s%s", i > 0 ? "," : "", address);
		if (r == 0 && list->items[i].last != listener_port(first))
			r = buf_printf(text, "-%u", list->items[i].last);
	}
	return r;
}

void option_ranges_clear(void *member)
{
	struct options_ranges *list = member;

	list->n = 0;
}
