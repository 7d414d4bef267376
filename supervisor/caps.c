// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Raw capset(2) and prctl(2), see capabilities(7): libcap would be the supervisor's only use of it.

#include "caps.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define CAP(name) (1ull << CAP_##name)

static const uint64_t separate = CAP(SETUID) | CAP(SETGID) | CAP(SYS_CHROOT) | CAP(KILL);

struct caps {
	uint64_t effective, permitted, inheritable;
};

static int caps_read(struct caps *caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	caps->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	caps->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	caps->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return 0;
}

static int caps_write(const struct caps *caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct data[2] = {
		{(uint32_t)caps->effective, (uint32_t)caps->permitted, (uint32_t)caps->inheritable},
		{(uint32_t)(caps->effective >> 32), (uint32_t)(caps->permitted >> 32),
			(uint32_t)(caps->inheritable >> 32)},
	};

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

uint64_t caps_effective(void)
{
	struct caps caps = {0};

	return caps_read(&caps) == 0 ? caps.effective : 0;
}

bool caps_can_separate(void)
{
	return geteuid() == 0 && (caps_effective() & separate) == separate;
}

// The kernel knows capabilities from 0 up to some number that grows; EINVAL marks the end.
static int drop_bounding(uint64_t keep)
{
	for (unsigned cap = 0; cap < 64; cap++) {
		int set = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (set < 0)
			break;
		if (set == 1 && (keep & 1ull << cap) == 0 &&
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

int caps_drop(void)
{
	struct caps caps = {0}, now = {0};
	int r = caps_read(&caps);

	if (r < 0)
		return r;
	if ((caps.effective & CAP(SETPCAP)) != 0) {
		r = drop_bounding(separate);
		if (r < 0)
			return r;
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	caps.permitted &= separate;
	caps.effective = caps.permitted;
	caps.inheritable = 0;
	r = caps_write(&caps);
	if (r == 0)
		r = caps_read(&now);
	if (r == 0 && (now.permitted != caps.permitted || now.effective != caps.effective))
		r = -EPERM;
	return r;
}

void caps_format(uint64_t mask, char *out, size_t size)
{
	static const char *const names[] = {
		[CAP_CHOWN] = "chown",
		[CAP_DAC_OVERRIDE] = "dac_override",
		[CAP_KILL] = "kill",
		[CAP_SETGID] = "setgid",
		[CAP_SETUID] = "setuid",
		[CAP_SETPCAP] = "setpcap",
		[CAP_NET_BIND_SERVICE] = "net_bind_service",
		[CAP_NET_ADMIN] = "net_admin",
		[CAP_SYS_CHROOT] = "sys_chroot",
		[CAP_SYS_PTRACE] = "sys_ptrace",
		[CAP_SYS_ADMIN] = "sys_admin",
	};
	size_t used = 0;

	snprintf(out, size, "%s", mask == 0 ? "none" : "");
	for (unsigned cap = 0; cap < 64 && used < size; cap++) {
		const char *space = used > 0 ? " " : "";

		if ((mask & 1ull << cap) == 0)
			continue;
		if (cap < ARRAY_SIZE(names) && names[cap] != NULL)
			used += (size_t)snprintf(
				out + used, size - used, "%s%s", space, names[cap]);
		else
			used += (size_t)snprintf(out + used, size - used, "%s%u", space, cap);
	}
}
