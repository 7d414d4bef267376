// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "uids.h"

#include <assert.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>

int uids_init(struct uids *uids, uid_t base, uint32_t n)
{
	*uids = (struct uids){.base = base, .n = n};
	uids->used = calloc((n + 63) / 64, sizeof *uids->used);
	return uids->used != NULL ? 0 : -ENOMEM;
}

void uids_deinit(struct uids *uids)
{
	free(uids->used);
	*uids = (struct uids){0};
}

static bool is_used(const struct uids *uids, uint32_t i)
{
	return uids->used[i / 64] >> i % 64 & 1;
}

int uids_take(struct uids *uids, uid_t *uid)
{
	for (uint32_t tried = 0; tried < uids->n; tried++) {
		uint32_t i = uids->next;
		uids->next = (i + 1) % uids->n;
		if (is_used(uids, i))
			continue;
		uids->used[i / 64] |= (uint64_t)1 << i % 64;
		*uid = uids->base + UID_RELAYS + i;
		return 0;
	}
	return UIDS_NONE;
}

void uids_give(struct uids *uids, uid_t uid)
{
	uint32_t i = uid - uids->base - UID_RELAYS;

	assert(i < uids->n && is_used(uids, i));
	uids->used[i / 64] &= ~((uint64_t)1 << i % 64);
}

bool uids_mapped(FILE *map, uint32_t first, uint32_t n)
{
	uint64_t inside, outside, length, covered = 0;

	// Extents do not overlap, so what each covers of the range can be added up.
	while (fscanf(map, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside, &length) == 3) {
		uint64_t from = MAX(inside, (uint64_t)first);
		uint64_t to = MIN(inside + length, (uint64_t)first + n);
		if (from < to)
			covered += to - from;
	}
	return covered == n;
}

static bool file_maps(const char *path, uint32_t first, uint32_t n)
{
	FILE *map = fopen(path, "re");

	if (map == NULL)
		return true; // a kernel without user namespaces
	bool mapped = uids_mapped(map, first, n);
	fclose(map);
	return mapped;
}

static bool find_user(uint32_t first, uint32_t n, char who[UIDS_WHO_MAX])
{
	const struct passwd *user;
	bool found = false;

	setpwent();
	while (!found && (user = getpwent()) != NULL) {
		found = user->pw_uid - first < n || user->pw_gid - first < n;
		if (found)
			snprintf(who, UIDS_WHO_MAX, "user %s", user->pw_name);
	}
	endpwent();
	return found;
}

static bool find_group(uint32_t first, uint32_t n, char who[UIDS_WHO_MAX])
{
	const struct group *group;
	bool found = false;

	setgrent();
	while (!found && (group = getgrent()) != NULL) {
		found = group->gr_gid - first < n;
		if (found)
			snprintf(who, UIDS_WHO_MAX, "group %s", group->gr_name);
	}
	endgrent();
	return found;
}

int uids_check(uid_t base, uint32_t n, char who[UIDS_WHO_MAX])
{
	uint32_t all = UID_RELAYS + n;

	if (!file_maps("/proc/self/uid_map", base, all) ||
		!file_maps("/proc/self/gid_map", base, all))
		return UIDS_UNMAPPED;
	if (find_user(base, all, who) || find_group(base, all, who))
		return UIDS_TAKEN;
	return 0;
}
