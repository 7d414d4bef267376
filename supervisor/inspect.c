// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A table of the lines that matter and how each is read; other lines are skipped.

#include "inspect.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

// Kernels write about 1.5 KiB; a process in thousands of groups has more, and is refused.
enum { STATUS_MAX = 16 * 1024 };

enum line_kind { LINE_NUMBER, LINE_FOUR, LINE_COUNT, LINE_MASK };

struct line {
	struct span name;
	enum line_kind kind;
	bool optional;
};

enum line_name {
	LINE_PPID,
	LINE_UID,
	LINE_GID,
	LINE_GROUPS,
	LINE_CAP_INH,
	LINE_CAP_PRM,
	LINE_CAP_EFF,
	LINE_CAP_BND,
	LINE_CAP_AMB,
	LINE_NO_NEW_PRIVS,
	LINE_SECCOMP,
	LINE_SECCOMP_FILTERS,
	LINES,
};

static const struct line lines[LINES] = {
	[LINE_PPID] = {SPAN_INIT("PPid"), LINE_NUMBER, false},
	[LINE_UID] = {SPAN_INIT("Uid"), LINE_FOUR, false},
	[LINE_GID] = {SPAN_INIT("Gid"), LINE_FOUR, false},
	[LINE_GROUPS] = {SPAN_INIT("Groups"), LINE_COUNT, false},
	[LINE_CAP_INH] = {SPAN_INIT("CapInh"), LINE_MASK, false},
	[LINE_CAP_PRM] = {SPAN_INIT("CapPrm"), LINE_MASK, false},
	[LINE_CAP_EFF] = {SPAN_INIT("CapEff"), LINE_MASK, false},
	[LINE_CAP_BND] = {SPAN_INIT("CapBnd"), LINE_MASK, false},
	[LINE_CAP_AMB] = {SPAN_INIT("CapAmb"), LINE_MASK, false},
	[LINE_NO_NEW_PRIVS] = {SPAN_INIT("NoNewPrivs"), LINE_NUMBER, false},
	[LINE_SECCOMP] = {SPAN_INIT("Seccomp"), LINE_NUMBER, false},
	[LINE_SECCOMP_FILTERS] = {SPAN_INIT("Seccomp_filters"), LINE_NUMBER, true},
};

struct value {
	bool seen;
	uint64_t numbers[4];
};

// The next number of base 10 or 16 in *REST, after blanks. False at the end or on anything else.
static bool next_number(struct span *rest, unsigned base, uint64_t *number)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	while (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t'))
		*rest = (struct span){rest->p + 1, rest->n - 1};
	for (*number = 0; n < rest->n; n++) {
		const char *digit = memchr(digits, rest->p[n], base);

		if (digit == NULL || *number > (UINT64_MAX >> 4))
			break;
		*number = *number * base + (uint64_t)(digit - digits);
	}
	if (n == 0 || (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t'))
		return false;
	*rest = (struct span){rest->p + n, rest->n - n};
	return true;
}

static bool at_end(struct span rest)
{
	while (rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t'))
		rest = (struct span){rest.p + 1, rest.n - 1};
	return rest.n == 0;
}

static bool value_parse(struct value *value, enum line_kind kind, struct span rest)
{
	size_t wanted = kind == LINE_FOUR ? 4 : 1;
	uint64_t ignored;

	if (kind == LINE_COUNT) {
		while (next_number(&rest, 10, &ignored))
			value->numbers[0]++;
		return at_end(rest);
	}
	for (size_t i = 0; i < wanted; i++)
		if (!next_number(&rest, kind == LINE_MASK ? 16 : 10, &value->numbers[i]))
			return false;
	return at_end(rest);
}

// The program's name comes first and is the child's to choose, but the kernel escapes line feeds in
// it, so no line can be forged; one seen twice is refused all the same.
static int values_read(struct span text, struct value values[LINES])
{
	while (text.n > 0) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
		const char *colon = memchr(text.p, ':', n);

		for (size_t i = 0; colon != NULL && i < LINES; i++) {
			struct span rest = {colon + 1, (size_t)(text.p + n - colon - 1)};

			if (!span_eq(
				    (struct span){text.p, (size_t)(colon - text.p)}, lines[i].name))
				continue;
			if (values[i].seen || !value_parse(&values[i], lines[i].kind, rest))
				return -EBADMSG;
			values[i].seen = true;
		}
		n += end != NULL;
		text = (struct span){text.p + n, text.n - n};
	}
	for (size_t i = 0; i < LINES; i++)
		if (!values[i].seen && !lines[i].optional)
			return -EBADMSG;
	return 0;
}

int inspect_parse(struct span text, struct inspect_report *report)
{
	struct value values[LINES] = {0};
	const struct value *filters = &values[LINE_SECCOMP_FILTERS];
	int r = values_read(text, values);

	if (r < 0)
		return r;
	*report = (struct inspect_report){
		.parent = (pid_t)values[LINE_PPID].numbers[0],
		.n_groups = (unsigned)values[LINE_GROUPS].numbers[0],
		.cap_inheritable = values[LINE_CAP_INH].numbers[0],
		.cap_permitted = values[LINE_CAP_PRM].numbers[0],
		.cap_effective = values[LINE_CAP_EFF].numbers[0],
		.cap_bounding = values[LINE_CAP_BND].numbers[0],
		.cap_ambient = values[LINE_CAP_AMB].numbers[0],
		.no_new_privs = values[LINE_NO_NEW_PRIVS].numbers[0] == 1,
		.seccomp = (unsigned)values[LINE_SECCOMP].numbers[0],
		.seccomp_filters = filters->seen ? (int)filters->numbers[0] : -1,
	};
	for (size_t i = 0; i < 4; i++) {
		report->uid[i] = (uid_t)values[LINE_UID].numbers[i];
		report->gid[i] = (gid_t)values[LINE_GID].numbers[i];
	}
	return 0;
}

int inspect_read(pid_t pid, struct inspect_report *report)
{
	char path[48], text[STATUS_MAX];
	CLEANUP(close_p) int fd = -1;
	size_t used = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, text + used, sizeof(text) - used);

		if (n < 0 && errno == EINTR)
			continue;
		// ESRCH: it died between open and read.
		if (n < 0)
			return errno == ESRCH ? -ENOENT : -errno;
		if (n == 0)
			break;
		used += (size_t)n;
		if (used == sizeof(text))
			return -EBADMSG;
	}
	return inspect_parse((struct span){text, used}, report);
}

static bool all_are(const uint32_t ids[4], uint32_t id)
{
	return ids[0] == id && ids[1] == id && ids[2] == id && ids[3] == id;
}

unsigned inspect_compare(
	const struct inspect_report *report, const struct inspect_required *required)
{
	unsigned lacks = 0;

	if (report->parent != getpid())
		lacks |= INSPECT_PARENT;
	if (required->uid != (uid_t)-1) {
		if (!all_are(report->uid, required->uid))
			lacks |= INSPECT_UID;
		if (!all_are(report->gid, required->gid))
			lacks |= INSPECT_GID;
		if (report->n_groups != 0)
			lacks |= INSPECT_GROUPS;
	}
	// The bounding set only matters to an exec, which seccomp and no_new_privs rule out.
	if ((report->cap_inheritable | report->cap_permitted | report->cap_effective |
		    report->cap_ambient) != 0)
		lacks |= INSPECT_CAPABILITIES;
	if (!report->no_new_privs)
		lacks |= INSPECT_NO_NEW_PRIVS;
	if (report->seccomp != 2)
		lacks |= INSPECT_SECCOMP;
	return lacks;
}

void inspect_format(const struct inspect_report *report, unsigned lacks, char out[INSPECT_TEXT])
{
	static const char *const modes[] = {"none", "strict", "filter"};
	static const char *const names[] = {
		"parent", "uid", "gid", "groups", "capabilities", "no_new_privs", "seccomp"};
	char caps[24];
	int n;

	snprintf(caps, sizeof(caps), "%#" PRIx64,
		report->cap_permitted | report->cap_effective | report->cap_inheritable |
			report->cap_ambient);
	n = snprintf(out, INSPECT_TEXT,
		"uid=%u gid=%u groups=%u capabilities=%s no_new_privs=%s seccomp=%s",
		report->uid[1], report->gid[1], report->n_groups,
		strcmp(caps, "0") == 0 ? "none" : caps, report->no_new_privs ? "yes" : "no",
		report->seccomp < ARRAY_SIZE(modes) ? modes[report->seccomp] : "unknown");
	for (size_t i = 0; i < ARRAY_SIZE(names) && n > 0 && n < INSPECT_TEXT; i++) {
		if ((lacks & 1u << i) == 0)
			continue;
		n += snprintf(out + n, (size_t)(INSPECT_TEXT - n), "%s%s",
			(lacks & ((1u << i) - 1)) == 0 ? " lacks=" : ",", names[i]);
	}
}
