// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "platform_level.h"

#include "isv_level.h"
#include "json_read.h"

#include <assert.h>

enum { WEIGHED = SGX_COMPONENTS + 2 + TDX_COMPONENTS }; // bytes to compare
static_assert(offsetof(struct platform_level, tdx) + TDX_COMPONENTS == WEIGHED, "side by side");

static bool components(uint8_t *out, const json_t *tcb, const char *name)
{
	const json_t *list = json_object_get(tcb, name);
	if (json_array_size(list) != SGX_COMPONENTS)
		return false;
	for (size_t i = 0; i < SGX_COMPONENTS; i++) {
		uint64_t svn = 0;
		if (!json_member_number(json_array_get(list, i), "svn", UINT8_MAX, &svn))
			return false;
		out[i] = (uint8_t)svn;
	}
	return true;
}

static bool read_level(struct platform_level *level, const json_t *object, struct why *why)
{
	const json_t *tcb = json_object_get(object, "tcb");
	uint64_t pce = 0;
	*level = (struct platform_level){
		.status = tcb_status_of(json_member_text(object, "tcbStatus")), .object = object};
	if (!components(level->sgx, tcb, "sgxtcbcomponents") ||
		!components(level->tdx, tcb, "tdxtcbcomponents") ||
		!json_member_number(tcb, "pcesvn", UINT16_MAX, &pce))
		return why_not(why, "a TCB level is malformed");
	if (level->status == TCB_UNKNOWN)
		return why_not(why, "a TCB level has an unknown status");
	level->pce[0] = (uint8_t)(pce >> 8);
	level->pce[1] = (uint8_t)pce;
	return true;
}

static bool reaches_sgx(const struct sgx_extension *platform, const struct platform_level *level)
{
	for (size_t i = 0; i < SGX_COMPONENTS; i++)
		if (platform->components[i] < level->sgx[i])
			return false;
	return platform->pce_svn >= (level->pce[0] << 8 | level->pce[1]);
}

// The first two components are the TDX module's; of a module with a version of its own they are
// judged by its identity, not here.
static bool reaches_tdx(struct span svn, const struct platform_level *level)
{
	const uint8_t *have = (const uint8_t *)svn.p;
	for (size_t i = have[1] > 0 ? 2 : 0; i < TDX_COMPONENTS; i++)
		if (have[i] < level->tdx[i])
			return false;
	return true;
}

static void keep_higher(struct platform_level *kept, const struct platform_level *level)
{
	if (kept->object == NULL || memcmp(level, kept, WEIGHED) > 0)
		*kept = *level;
}

bool platform_level_find(struct platform_levels *found, const json_t *tcb_info,
	const struct sgx_extension *platform, struct span tee_tcb_svn, struct why *why)
{
	const json_t *levels = json_object_get(tcb_info, "tcbLevels");
	*found = (struct platform_levels){0};
	if (json_array_size(levels) == 0 || json_array_size(levels) > TCB_LEVELS_MAX)
		return why_not(why, "no TCB levels, or too many");
	for (size_t i = 0; i < json_array_size(levels); i++) {
		struct platform_level level;
		if (!read_level(&level, json_array_get(levels, i), why))
			return false;
		keep_higher(&found->newest, &level);
		if (!reaches_sgx(platform, &level))
			continue;
		keep_higher(&found->sgx_only, &level);
		if (reaches_tdx(tee_tcb_svn, &level))
			keep_higher(&found->matching, &level);
	}
	return found->matching.object != NULL || why_not(why, "no matching TCB level");
}
