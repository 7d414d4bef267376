// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The steps into the sandbox, one short function each, in the order of the table at the end.
//
// The order is not free: the folder needs CAP_SYS_CHROOT, which the uid change takes away; the
// parent-death signal is cleared by that change and so comes after it; Landlock and seccomp need
// no_new_privs, and seccomp forbids the calls that all the others are made of.

#include "seal.h"

#include "seal_landlock.h"

#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define UID_KEEP ((uid_t)-1)
#define GID_KEEP ((gid_t)-1)

struct seal {
	const struct seal_profile *profile;
	const struct seal_args *args;
	unsigned reached;
};

// A decimal number without sign, blank or leading zero, at most MAX.
static int parse_number(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (*s == '\0' || (s[0] == '0' && s[1] != '\0'))
		return -EINVAL;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9' || value > (max - (uint64_t)(*s - '0')) / 10)
			return -EINVAL;
		value = value * 10 + (uint64_t)(*s - '0');
	}
	*ret = value;
	return 0;
}

// As parse_number, or "-1" for "none", which becomes ABSENT.
static int parse_optional(const char *s, uint64_t max, uint64_t absent, uint64_t *ret)
{
	if (strcmp(s, "-1") == 0) {
		*ret = absent;
		return 0;
	}
	return parse_number(s, max, ret);
}

int seal_args_parse(struct seal_args *args, int argc, char *const *argv)
{
	uint64_t epoch, parent, uid, gid, root_fd;

	if (argc != 6 || parse_number(argv[1], UINT32_MAX, &epoch) < 0 ||
		parse_number(argv[2], INT_MAX, &parent) < 0 ||
		parse_optional(argv[3], UINT32_MAX - 1, UID_KEEP, &uid) < 0 ||
		parse_optional(argv[4], UINT32_MAX - 1, GID_KEEP, &gid) < 0 ||
		parse_optional(argv[5], INT_MAX, UINT64_MAX, &root_fd) < 0)
		return -EINVAL;
	// Both ids or none, and never root's; 0 to 2 are no folder.
	if (parent == 0 || uid == 0 || gid == 0 || (uid == UID_KEEP) != (gid == GID_KEEP) ||
		root_fd <= 2)
		return -EINVAL;
	*args = (struct seal_args){
		.epoch = (uint32_t)epoch,
		.parent = (pid_t)parent,
		.uid = (uid_t)uid,
		.gid = (gid_t)gid,
		.root_fd = root_fd == UINT64_MAX ? -1 : (int)root_fd,
	};
	return 0;
}

static int capabilities_read(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

// A name that ps and top can show (the kernel would show the memfd's), and signals that would
// otherwise kill: a peer that went away and a full file system are errno values to a role.
static int enter_process(struct seal *seal)
{
	char name[16] = "tunneld-";
	size_t used = strlen(name);

	memcpy(name + used, seal->profile->role,
		MIN(strlen(seal->profile->role), sizeof(name) - 1 - used));
	if (prctl(PR_SET_NAME, name, 0, 0, 0) < 0)
		return -errno;
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return -errno;
	umask(077);
	return 0;
}

// The folder may belong to the role alone (mode 0700), and CAP_DAC_OVERRIDE is long gone: enter it
// with the file-system ids of its owner. Changing those leaves CAP_SYS_CHROOT in place.
static int enter_folder(struct seal *seal)
{
	const struct seal_args *args = seal->args;
	struct __user_cap_data_struct caps[2];
	int r;

	if (args->root_fd < 0)
		return seal->profile->files ? -EINVAL : 0;
	r = capabilities_read(caps);
	if (r < 0)
		return r;
	if (args->uid != UID_KEEP) {
		setfsgid(args->gid);
		setfsuid(args->uid);
	}
	if (fchdir(args->root_fd) < 0)
		return -errno;
	if ((caps[0].effective & (1u << CAP_SYS_CHROOT)) == 0)
		return args->uid == UID_KEEP ? 0 : -EPERM;
	if (chroot(".") < 0)
		return -errno;
	seal->reached |= SEAL_CHROOT;
	return 0;
}

static int enter_groups(struct seal *seal)
{
	if (seal->args->uid == UID_KEEP)
		return 0;
	if (setgroups(0, NULL) < 0)
		return -errno;
	return getgroups(0, NULL) == 0 ? 0 : -EPERM;
}

static int enter_gid(struct seal *seal)
{
	gid_t gid = seal->args->gid, old = getegid(), real, effective, saved;

	if (gid == GID_KEEP)
		return 0;
	if (setresgid(gid, gid, gid) < 0)
		return -errno;
	if (getresgid(&real, &effective, &saved) < 0)
		return -errno;
	return real == gid && effective == gid && saved == gid && old != gid ? 0 : -EPERM;
}

// Regaining either id is tried here and not in enter_gid(), where CAP_SETGID is still held.
static int enter_uid(struct seal *seal)
{
	uid_t uid = seal->args->uid, old = geteuid(), real, effective, saved;

	if (uid == UID_KEEP)
		return 0;
	if (setresuid(uid, uid, uid) < 0)
		return -errno;
	if (getresuid(&real, &effective, &saved) < 0)
		return -errno;
	if (real != uid || effective != uid || saved != uid || old == uid)
		return -EPERM;
	if (setuid(old) == 0 || setresuid(-1, old, -1) == 0 || setresuid(old, old, old) == 0)
		return -EPERM;
	if (setgid(0) == 0 || setresgid(-1, 0, -1) == 0 || setgroups(0, NULL) == 0)
		return -EPERM;
	seal->reached |= SEAL_UID;
	return 0;
}

// The uid change has emptied these sets; a supervisor that is root over a single uid (as in some
// containers) changes none, and its children must lose them all the same.
static int enter_capabilities(struct seal *seal)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {0};
	int r;

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	if (syscall(SYS_capset, &header, caps) < 0)
		return -errno;
	r = capabilities_read(caps);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		if ((caps[i].effective | caps[i].permitted | caps[i].inheritable) != 0)
			return -EPERM;
	return 0;
}

// The signal alone is not enough: the supervisor may have died before it was asked for.
static int enter_parent(struct seal *seal)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return getppid() == seal->args->parent ? 0 : -ESRCH;
}

static int enter_limits(struct seal *seal)
{
	for (size_t i = 0; i < seal->profile->n_limits; i++) {
		const struct seal_limit *want = &seal->profile->limits[i];
		struct rlimit limit;

		if (getrlimit(want->resource, &limit) < 0)
			return -errno;
		limit.rlim_max = MIN(limit.rlim_max, want->value);
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(want->resource, &limit) < 0)
			return -errno;
	}
	return 0;
}

// No core file, no ptrace and no /proc/PID/mem, also not for other processes of the same uid.
static int enter_dumpable(struct seal *seal)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -EPERM;
}

static int enter_no_new_privs(struct seal *seal)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return -EPERM;
	seal->reached |= SEAL_NO_NEW_PRIVS;
	return 0;
}

static int enter_landlock(struct seal *seal)
{
	const struct seal_profile *profile = seal->profile;
	const struct seal_landlock_rules rules = {
		.work_fd = profile->files ? seal->args->root_fd : -1,
		.readable = profile->readable,
		.connects = profile->connects,
	};
	int r = seal_landlock_enter(&rules);

	if (r < 0)
		return r;
	if (r == SEAL_LANDLOCK_ENTERED)
		seal->reached |= SEAL_LANDLOCK;
	if (seal->args->root_fd >= 0)
		close(seal->args->root_fd);
	return 0;
}

// A kernel or container that has no such filters is no error here: the supervisor looks from
// outside before it trusts a child with anything, and `sandbox = require` refuses it then.
static int enter_seccomp(struct seal *seal)
{
	const struct sock_fprog program = {
		.len = (unsigned short)seal->profile->n_filter,
		// The kernel only reads it; its structure has no const.
		.filter = (struct sock_filter *)(uintptr_t)seal->profile->filter,
	};

	if (seal->profile->n_filter == 0 || seal->profile->n_filter > BPF_MAXINSNS)
		return -EINVAL;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0,
		    &(uint32_t){SECCOMP_RET_KILL_PROCESS}) < 0)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return -errno;
	seal->reached |= SEAL_SECCOMP;
	return 0;
}

int seal_enter(const struct seal_profile *profile, const struct seal_args *args, unsigned *reached,
	const char **where)
{
	static const struct {
		const char *name;
		int (*enter)(struct seal *seal);
	} steps[] = {
		{"process", enter_process},
		{"folder", enter_folder},
		{"groups", enter_groups},
		{"gid", enter_gid},
		{"uid", enter_uid},
		{"capabilities", enter_capabilities},
		{"parent", enter_parent},
		{"limits", enter_limits},
		{"dumpable", enter_dumpable},
		{"no_new_privs", enter_no_new_privs},
		{"landlock", enter_landlock},
		{"seccomp", enter_seccomp},
	};
	struct seal seal = {.profile = profile, .args = args};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps) && r == 0; i++) {
		r = steps[i].enter(&seal);
		if (r < 0 && where != NULL)
			*where = steps[i].name;
	}
	*reached = seal.reached;
	return r;
}
