// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Values of settings: from text into their members and back. Each type is one row of a small table.

#include "options_values.h"

#include "token.h"
#include "url.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdarg.h>

int option_invalid(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, OPTION_WHY_MAX, format, args);
	va_end(args);
	return OPTIONS_INVALID;
}

const char *option_excerpt(struct span value, char out[OPTION_EXCERPT_MAX])
{
	size_t n = value.n;
	bool whole = n < OPTION_EXCERPT_MAX;

	if (!whole) {
		n = OPTION_EXCERPT_MAX - sizeof "...";
		while (n > 0 && ((uint8_t)value.p[n] & 0xc0) == 0x80) // not inside a UTF-8 sequence
			n--;
	}
	snprintf(out, OPTION_EXCERPT_MAX, "%.*s%s", (int)n, n > 0 ? value.p : "",
		whole ? "" : "...");
	return out;
}

// Decimal digits, nothing else. What does not fit is UINT64_MAX.
static bool digits_parse(uint64_t *number, struct span text)
{
	uint64_t value = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(text.p[i] - '0'), &value))
			value = UINT64_MAX;
	}
	*number = value;
	return text.n > 0;
}

static int number_in_range(
	void *member, const struct option_def *def, struct span value, uint64_t number, char *why)
{
	char range[OPTION_RANGE_MAX], excerpt[OPTION_EXCERPT_MAX];
	uint32_t stored = (uint32_t)number;

	if (number < def->min || number > def->max) {
		option_range(def, range);
		return option_invalid(why, "'%s' is too %s: write %s",
			option_excerpt(value, excerpt), number < def->min ? "small" : "large",
			range);
	}
	memcpy(member, &stored, sizeof stored);
	return 0;
}

static int number_set(void *member, const struct option_def *def, struct span value, char *why)
{
	char range[OPTION_RANGE_MAX], excerpt[OPTION_EXCERPT_MAX];
	uint64_t number;

	if (!digits_parse(&number, value)) {
		option_range(def, range);
		return option_invalid(why, "'%s' is not a whole number: write %s",
			option_excerpt(value, excerpt), range);
	}
	return number_in_range(member, def, value, number, why);
}

static int number_format(const void *member, const struct option_def *def, struct buf *text)
{
	uint32_t number;

	memcpy(&number, member, sizeof number);
	return buf_printf(text, "%u", number);
}

static void number_clear(void *member)
{
	memset(member, 0, sizeof(uint32_t));
}

static const struct duration_unit {
	char letter;
	uint32_t seconds;
} duration_units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

static int duration_set(void *member, const struct option_def *def, struct span value, char *why)
{
	char range[OPTION_RANGE_MAX], excerpt[OPTION_EXCERPT_MAX];
	struct span digits = value;
	uint64_t number, unit = 1;

	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++) {
		if (value.p[value.n - 1] == duration_units[i].letter) {
			unit = duration_units[i].seconds;
			digits.n--;
		}
	}
	if (!digits_parse(&number, digits)) {
		option_range(def, range);
		return option_invalid(why,
			"'%s' is not a time: write a number with s, m, h or d behind it, %s",
			option_excerpt(value, excerpt), range);
	}
	if (__builtin_mul_overflow(number, unit, &number))
		number = UINT64_MAX;
	return number_in_range(member, def, value, number, why);
}

static int word_set(void *member, const struct option_def *def, struct span value, char *why)
{
	char range[OPTION_RANGE_MAX], excerpt[OPTION_EXCERPT_MAX];

	for (const struct option_word *w = def->words; w->name != NULL; w++) {
		if (span_eq(span_of(w->name), value)) {
			memcpy(member, &w->value, sizeof w->value);
			return 0;
		}
	}
	option_range(def, range);
	return option_invalid(why, "'%s' is not one of its words: write %s",
		option_excerpt(value, excerpt), range);
}

static int word_format(const void *member, const struct option_def *def, struct buf *text)
{
	const struct option_word *w = def->words;
	uint32_t value;

	memcpy(&value, member, sizeof value);
	while (w->name != NULL && w->value != value)
		w++;
	assert(w->name != NULL);
	return buf_add_span(text, span_of(w->name));
}

static void text_clear(void *member)
{
	char *text;

	memcpy(&text, member, sizeof text);
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
	memset(member, 0, sizeof text);
}

int option_text_store(void *member, struct span value)
{
	char *copy = strndup(value.p, value.n);

	if (copy == NULL)
		return -ENOMEM;
	text_clear(member);
	memcpy(member, &copy, sizeof copy);
	return 0;
}

static int text_format(const void *member, const struct option_def *def, struct buf *text)
{
	const char *value;

	memcpy(&value, member, sizeof value);
	return value != NULL ? buf_add_span(text, span_of(value)) : 0;
}

static int path_set(void *member, const struct option_def *def, struct span value, char *why)
{
	if (value.n > OPTIONS_PATH_MAX)
		return option_invalid(why, "the path is longer than %d bytes", OPTIONS_PATH_MAX);
	// A blank must not become the last character: a file could not hold such a value.
	while (value.n > 1 && value.p[value.n - 1] == '/' && value.p[value.n - 2] != ' ')
		value.n--;
	return option_text_store(member, value);
}

int option_url_set(void *member, const struct option_def *def, struct span value, char *why)
{
	char text[URL_TEXT_MAX], excerpt[OPTION_EXCERPT_MAX];
	struct url url;
	const char *wrong = NULL;
	bool http = value.n > 7 && span_eq_nocase((struct span){value.p, 7}, SPAN("http://"));
	bool https = value.n > 8 && span_eq_nocase((struct span){value.p, 8}, SPAN("https://"));

	if (!http && !https)
		wrong = "write http://host or https://host, with :port if it is not the usual one";
	else if (value.p[value.n - 1] == '/')
		wrong = "leave out the slash at the end";
	else if (url_parse(&url, value, &wrong) == 0)
		wrong = NULL;
	if (wrong != NULL)
		return option_invalid(why, "'%s': %s", option_excerpt(value, excerpt), wrong);
	size_t n = url_format(&url, text, sizeof text);
	if (url.port == (http ? 80 : 443))
		n -= http ? sizeof ":80" - 1 : sizeof ":443" - 1;
	return option_text_store(member, (struct span){text, n});
}

static int secret_set(void *member, const struct option_def *def, struct span value, char *why)
{
	const char *wrong;

	if (token_text_check(value, &wrong) != 0)
		return option_invalid(why, "%s", wrong);
	return option_text_store(member, value);
}

const char *option_address_parse(struct sockaddr_storage *address, struct span text)
{
	char host[INET6_ADDRSTRLEN];
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	size_t n = text.n;
	uint64_t port;

	while (n > 0 && text.p[n - 1] != ':')
		n--;
	if (n == 0 || !digits_parse(&port, (struct span){text.p + n, text.n - n}))
		return "write an address with a port, as 127.0.0.1:8080 or [::1]:8080";
	if (port == 0 || port > UINT16_MAX)
		return "the port is 1 to 65535";
	struct span name = {text.p, n - 1};
	bool bracket = name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']';
	if (bracket)
		name = (struct span){name.p + 1, name.n - 2};
	if (name.n >= sizeof host)
		return "write an address, not a name, as 127.0.0.1:8080 or [::1]:8080";
	snprintf(host, sizeof host, "%.*s", (int)name.n, name.p);
	*address = (struct sockaddr_storage){0};
	if (!bracket && inet_pton(AF_INET, host, &in.sin_addr) == 1) {
		in.sin_port = htons((uint16_t)port);
		memcpy(address, &in, sizeof in);
		return NULL;
	}
	if (!bracket || inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
		return "write an address, not a name, as 127.0.0.1:8080 or [::1]:8080";
	if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
		return "write the IPv4 address without ::ffff:";
	in6.sin6_port = htons((uint16_t)port);
	memcpy(address, &in6, sizeof in6);
	return NULL;
}

static int address_add(void *member, struct span item, char *why)
{
	struct options_addresses *list = member;
	struct sockaddr_storage address;
	char excerpt[OPTION_EXCERPT_MAX];
	const char *wrong = option_address_parse(&address, item);

	for (size_t i = 0; i < list->n && wrong == NULL; i++)
		if (memcmp(&list->items[i], &address, sizeof address) == 0)
			wrong = "is there twice";
	if (wrong != NULL)
		return option_invalid(why, "'%s': %s", option_excerpt(item, excerpt), wrong);
	if (list->n == OPTIONS_LISTEN_MAX)
		return option_invalid(why, "more than %d addresses", OPTIONS_LISTEN_MAX);
	list->items[list->n++] = address;
	return 0;
}

int option_rule_add(void *member, struct span item, char *why)
{
	struct options_rules *list = member;
	struct policy_rule rule;
	char excerpt[OPTION_EXCERPT_MAX];
	const char *wrong;

	if (policy_rule_parse(&rule, item, &wrong) != 0)
		return option_invalid(why, "'%s': %s", option_excerpt(item, excerpt), wrong);
	if (list->n == OPTIONS_RULES_MAX)
		return option_invalid(why, "more than %d entries", OPTIONS_RULES_MAX);
	list->items[list->n++] = rule;
	return 0;
}

int option_each(void *member, struct span value, int (*add)(void *, struct span, char *), char *why)
{
	const char *end = value.p + value.n;

	for (const char *p = value.p; p <= end;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *next = comma != NULL ? comma : end;
		struct span item = {p, (size_t)(next - p)};

		while (item.n > 0 && item.p[0] == ' ')
			item = (struct span){item.p + 1, item.n - 1};
		while (item.n > 0 && item.p[item.n - 1] == ' ')
			item.n--;
		if (item.n == 0)
			return option_invalid(why, "an entry is missing beside a comma");
		int r = add(member, item, why);
		if (r != 0)
			return r;
		p = next + 1;
	}
	return 0;
}

static int addresses_set(void *member, const struct option_def *def, struct span value, char *why)
{
	return option_each(member, value, address_add, why);
}

static int addresses_format(const void *member, const struct option_def *def, struct buf *text)
{
	const struct options_addresses *list = member;
	char host[INET6_ADDRSTRLEN];
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++) {
		const struct sockaddr_storage *address = &list->items[i];
		const char *comma = i > 0 ? "," : "";
		if (address->ss_family == AF_INET) {
			struct sockaddr_in in;
			memcpy(&in, address, sizeof in);
			inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
			r = buf_printf(text, "%s%s:%u", comma, host, ntohs(in.sin_port));
		} else {
			struct sockaddr_in6 in6;
			memcpy(&in6, address, sizeof in6);
			inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
			r = buf_printf(text, "%s[%s]:%u", comma, host, ntohs(in6.sin6_port));
		}
	}
	return r;
}

static void addresses_clear(void *member)
{
	struct options_addresses *list = member;

	list->n = 0;
}

static int rules_set(void *member, const struct option_def *def, struct span value, char *why)
{
	return option_each(member, value, option_rule_add, why);
}

static int rules_format(const void *member, const struct option_def *def, struct buf *text)
{
	const struct options_rules *list = member;
	char rule[POLICY_RULE_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++) {
		policy_rule_format(&list->items[i], rule);
		r = buf_printf(text, "%s%s", i > 0 ? "," : "", rule);
	}
	return r;
}

static void rules_clear(void *member)
{
	struct options_rules *list = member;

	list->n = 0;
}

static int path_add(void *member, struct span item, char *why)
{
	struct options_paths *list = member;

	if (list->n == OPTIONS_FILES_MAX)
		return option_invalid(why, "more than %d paths", OPTIONS_FILES_MAX);
	list->items[list->n] = NULL;
	int r = path_set(&list->items[list->n], NULL, item, why);
	list->n += r == 0;
	return r;
}

static int paths_set(void *member, const struct option_def *def, struct span value, char *why)
{
	return option_each(member, value, path_add, why);
}

static int paths_format(const void *member, const struct option_def *def, struct buf *text)
{
	const struct options_paths *list = member;
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++)
		r = buf_printf(text, "%s%s", i > 0 ? "," : "", list->items[i]);
	return r;
}

static void paths_clear(void *member)
{
	struct options_paths *list = member;

	while (list->n > 0)
		text_clear(&list->items[--list->n]);
}

static const struct option_value value_types[] = {
	[OPTION_NUMBER] = {number_set, number_format, number_clear},
	[OPTION_DURATION] = {duration_set, number_format, number_clear},
	[OPTION_WORD] = {word_set, word_format, number_clear},
	[OPTION_PATH] = {path_set, text_format, text_clear},
	[OPTION_URL] = {option_url_set, text_format, text_clear},
	[OPTION_SECRET] = {secret_set, NULL, text_clear},
	[OPTION_ADDRESSES] = {addresses_set, addresses_format, addresses_clear},
	[OPTION_RULES] = {rules_set, rules_format, rules_clear},
	[OPTION_NETWORKS] = {option_networks_set, rules_format, rules_clear},
	[OPTION_RANGES] = {option_ranges_set, option_ranges_format, option_ranges_clear},
	[OPTION_POOL] = {option_pool_set, option_ranges_format, option_ranges_clear},
	[OPTION_POOL_URL] = {option_pool_url_set, text_format, text_clear},
	[OPTION_DOMAIN] = {option_domain_set, text_format, text_clear},
	[OPTION_CONTACT] = {option_contact_set, text_format, text_clear},
	[OPTION_PATHS] = {paths_set, paths_format, paths_clear},
};

static void *member_of(struct options *options, const struct option_def *def)
{
	return (char *)options + def->offset;
}

int option_set(struct options *options, const struct option_def *def, struct span value,
	char why[OPTION_WHY_MAX])
{
	assert(value.n > 0);
	return value_types[def->type].set(member_of(options, def), def, value, why);
}

void option_clear(struct options *options, const struct option_def *def)
{
	value_types[def->type].clear(member_of(options, def));
}

int option_format(const struct options *options, const struct option_def *def, struct buf *text)
{
	return value_types[def->type].format((const char *)options + def->offset, def, text);
}

static void duration_text(uint32_t seconds, char *out, size_t size)
{
	const struct duration_unit *unit = duration_units;

	while (seconds == 0 ? unit->letter != 's' : seconds % unit->seconds != 0)
		unit++;
	snprintf(out, size, "%u%c", seconds / unit->seconds, unit->letter);
}

// "a, b or c"
static void words_text(const struct option_word *words, char out[OPTION_RANGE_MAX])
{
	size_t n = 0;

	for (const struct option_word *w = words; w->name != NULL; w++) {
		const char *link = w == words ? "" : w[1].name != NULL ? ", " : " or ";
		n += (size_t)snprintf(out + n, OPTION_RANGE_MAX - n, "%s%s", link, w->name);
	}
}

void option_range(const struct option_def *def, char out[OPTION_RANGE_MAX])
{
	char min[16], max[16];

	out[0] = '\0';
	switch (def->type) {
	case OPTION_NUMBER:
		snprintf(out, OPTION_RANGE_MAX, "%u to %u %s", def->min, def->max, def->unit);
		return;
	case OPTION_DURATION:
		duration_text(def->min, min, sizeof min);
		duration_text(def->max, max, sizeof max);
		snprintf(out, OPTION_RANGE_MAX, "%s to %s", min, max);
		return;
	case OPTION_WORD: words_text(def->words, out); return;
	case OPTION_PATH:
	case OPTION_URL:
	case OPTION_SECRET:
	case OPTION_ADDRESSES:
	case OPTION_RULES:
	case OPTION_NETWORKS:
	case OPTION_RANGES:
	case OPTION_POOL:
	case OPTION_POOL_URL:
	case OPTION_DOMAIN:
	case OPTION_CONTACT:
	case OPTION_PATHS: return;
	}
}
