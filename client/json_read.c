// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "json_read.h"

#include "hex.h"
#include "utc_time.h"

json_t *json_read(struct span text, size_t max)
{
	if (text.p == NULL || text.n > max)
		return NULL;
	return json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
}

struct span json_member_text(const json_t *object, const char *name)
{
	const json_t *member = json_object_get(object, name);
	if (!json_is_string(member))
		return (struct span){NULL, 0};
	return (struct span){json_string_value(member), json_string_length(member)};
}

bool json_member_hex(const json_t *object, const char *name, void *out, size_t n)
{
	return hex_decode(out, n, json_member_text(object, name)) == 0;
}

bool json_member_number(const json_t *object, const char *name, uint64_t max, uint64_t *out)
{
	const json_t *member = json_object_get(object, name);
	json_int_t number = json_is_integer(member) ? json_integer_value(member) : -1;
	if (number < 0 || (uint64_t)number > max)
		return false;
	*out = (uint64_t)number;
	return true;
}

bool json_member_time(const json_t *object, const char *name, int64_t *out)
{
	return utc_time_parse(out, json_member_text(object, name));
}
