// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "isv_level.h"

#include "json_read.h"

enum { ADVISORIES_MAX = 256, ADVISORY_SIZE_MAX = 64 };

static bool read_level(struct isv_level *level, const json_t *object, struct why *why)
{
	uint64_t svn = 0;
	bool good = json_member_number(json_object_get(object, "tcb"), "isvsvn", UINT16_MAX, &svn);
	*level = (struct isv_level){
		.svn = (uint16_t)svn,
		.status = tcb_status_of(json_member_text(object, "tcbStatus")),
		.object = object,
	};
	if (!good)
		return why_not(why, "a level has no isvsvn");
	if (level->status != TCB_UP_TO_DATE && level->status != TCB_OUT_OF_DATE &&
		level->status != TCB_REVOKED)
		return why_not(why, "a level has an unknown status");
	return true;
}

bool isv_level_find(struct isv_level *found, uint16_t *newest, const json_t *owner, unsigned svn,
	struct why *why)
{
	const json_t *levels = json_object_get(owner, "tcbLevels");
	uint16_t top = 0;
	*found = (struct isv_level){0};
	if (json_array_size(levels) == 0 || json_array_size(levels) > TCB_LEVELS_MAX)
		return why_not(why, "no levels, or too many");
	for (size_t i = 0; i < json_array_size(levels); i++) {
		struct isv_level level;
		if (!read_level(&level, json_array_get(levels, i), why))
			return false;
		top = MAX(top, level.svn);
		if (level.svn <= svn && (found->object == NULL || level.svn > found->svn))
			*found = level;
	}
	if (newest != NULL)
		*newest = top;
	return found->object != NULL || why_not(why, "no level for version %u", svn);
}

static bool has(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
			return true;
	return false;
}

bool tcb_advisories_add(json_t *list, const json_t *level, struct why *why)
{
	const json_t *advisories = json_object_get(level, "advisoryIDs");
	for (size_t i = 0; i < json_array_size(advisories); i++) {
		json_t *advisory = json_array_get(advisories, i);
		if (!json_is_string(advisory) || json_string_length(advisory) > ADVISORY_SIZE_MAX ||
			json_array_size(list) >= ADVISORIES_MAX)
			return why_not(why, "malformed advisories");
		if (!has(list, json_string_value(advisory)) &&
			json_array_append(list, advisory) != 0)
			return why_not(why, "out of memory");
	}
	return true;
}
