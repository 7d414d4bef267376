// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Build-time program: turns one role's table of system calls into a BPF program, so that no role
// has to link libseccomp. Linked with that role's sandbox.c, compiled with -DSANDBOX_TABLE.
//
//   sandbox_compile FILTER.h HASH.h RULES.txt
//
// FILTER.h holds the program as `static const struct sock_filter sandbox_filter[]`, HASH.h its
// SHA-256 as a macro (RELAY_FILTER_SHA256), RULES.txt what an auditor reads: every row with its
// reason, then libseccomp's pseudo code of the program. The hash is over the array as it lies in
// memory and as the kernel gets it: 8 bytes per instruction, fields in host byte order.

#include "sandbox_rows.h"

#include <ctype.h>
#include <err.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sha2.h>
#include <stdio.h>

struct program {
	struct sock_filter instructions[BPF_MAXINSNS];
	size_t n;
	char sha256[SHA256_DIGEST_STRING_LENGTH];
};

static size_t rule_n_args(const struct sandbox_rule *rule)
{
	size_t n = 0;

	while (n < ARRAY_SIZE(rule->args) && rule->args[n].compare != SANDBOX_ANY)
		n++;
	return n;
}

// A table that contradicts itself would be compiled into its weaker half without a word, which is
// meant in sanitizer builds alone: their rows come on top.
static void check_rule(const struct sandbox_rule *rule)
{
	size_t n_args = rule_n_args(rule);

	if (rule->why == NULL || rule->why[0] == '\0')
		errx(1, "%s: %s has no reason", sandbox_role, rule->call);
	for (size_t i = 0; i < n_args; i++) {
		const struct sandbox_arg *arg = &rule->args[i];

		if (arg->index > 5)
			errx(1, "%s: %s has no argument %u", sandbox_role, rule->call, arg->index);
		if (arg->compare == SANDBOX_MASKED && (arg->value & ~arg->mask) != 0)
			errx(1, "%s: %s can never match", sandbox_role, rule->call);
	}
	for (const struct sandbox_rule *other = sandbox_rules; other < rule && !SANDBOX_SANITIZERS;
		other++)
		if (strcmp(other->call, rule->call) == 0 &&
			(n_args == 0 || rule_n_args(other) == 0))
			errx(1, "%s: %s is allowed with and without conditions", sandbox_role,
				rule->call);
}

static void add_rule(scmp_filter_ctx filter, const struct sandbox_rule *rule, uint8_t priority)
{
	struct scmp_arg_cmp compare[ARRAY_SIZE(rule->args)];
	size_t n = rule_n_args(rule);
	int call = seccomp_syscall_resolve_name(rule->call);
	int r;

	if (call < 0)
		errx(1, "%s: no system call %s here", sandbox_role, rule->call);
	for (size_t i = 0; i < n; i++) {
		const struct sandbox_arg *arg = &rule->args[i];

		compare[i] =
			arg->compare == SANDBOX_EQ
				? SCMP_CMP64(arg->index, SCMP_CMP_EQ, arg->value)
				: SCMP_CMP64(arg->index, SCMP_CMP_MASKED_EQ, arg->mask, arg->value);
	}
	r = seccomp_rule_add_exact_array(filter,
		rule->error == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((uint16_t)rule->error), call,
		(unsigned)n, compare);
	if (r == 0 || (r == -EEXIST && SANDBOX_SANITIZERS))
		r = seccomp_syscall_priority(filter, call, priority);
	if (r < 0)
		errx(1, "%s: %s: %s", sandbox_role, rule->call, strerror(-r));
}

// Rows further up are tested first.
static scmp_filter_ctx filter_build(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);

	if (filter == NULL ||
		seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0)
		errx(1, "%s: seccomp_init failed", sandbox_role);
	for (size_t i = 0; i < sandbox_n_rules; i++) {
		check_rule(&sandbox_rules[i]);
		add_rule(filter, &sandbox_rules[i], i < UINT8_MAX ? (uint8_t)(UINT8_MAX - i) : 0);
	}
	return filter;
}

static void program_export(struct program *program, scmp_filter_ctx filter)
{
	FILE *file = tmpfile();
	int r;

	if (file == NULL)
		err(1, "tmpfile");
	r = seccomp_export_bpf(filter, fileno(file));
	if (r < 0)
		errx(1, "seccomp_export_bpf: %s", strerror(-r));
	rewind(file);
	program->n =
		fread(program->instructions, sizeof(program->instructions[0]), BPF_MAXINSNS, file);
	if (ferror(file) || program->n == 0 || program->n == BPF_MAXINSNS)
		errx(1, "%s: %zu instructions", sandbox_role, program->n);
	fclose(file);
	SHA256Data((const uint8_t *)program->instructions,
		program->n * sizeof(program->instructions[0]), program->sha256);
}

static FILE *output_open(const char *path)
{
	FILE *file = fopen(path, "we");

	if (file == NULL)
		err(1, "%s", path);
	return file;
}

static void output_close(FILE *file, const char *path)
{
	if (ferror(file) || fclose(file) != 0)
		err(1, "%s", path);
}

static void write_filter(const char *path, const struct program *program)
{
	FILE *file = output_open(path);

	fprintf(file,
		"// Made by sandbox_compile from the sandbox.c of %s. SHA-256:\n// %s\n\n#include <linux/filter.h>\n\n"
		"static const struct sock_filter sandbox_filter[] = {\n",
		sandbox_role, program->sha256);
	for (size_t i = 0; i < program->n; i++) {
		const struct sock_filter *f = &program->instructions[i];

		fprintf(file, "\t{0x%02x, %u, %u, 0x%08" PRIx32 "},\n", f->code, f->jt, f->jf,
			f->k);
	}
	fprintf(file, "};\n");
	output_close(file, path);
}

static void write_hash(const char *path, const struct program *program)
{
	FILE *file = output_open(path);

	fprintf(file,
		"// Made by sandbox_compile: the SHA-256 of the seccomp program of %s.\n#define ",
		sandbox_role);
	for (const char *p = sandbox_role; *p != '\0'; p++)
		fputc(toupper((unsigned char)*p), file);
	fprintf(file, "_FILTER_SHA256 \"%s\"\n", program->sha256);
	output_close(file, path);
}

static void write_condition(FILE *file, const struct sandbox_rule *rule)
{
	size_t n = rule_n_args(rule);

	if (n == 0)
		fprintf(file, "always");
	for (size_t i = 0; i < n; i++) {
		const struct sandbox_arg *arg = &rule->args[i];
		const char *and = i > 0 ? " and " : "";

		if (arg->compare == SANDBOX_EQ || arg->mask == UINT32_MAX)
			fprintf(file, "%sa%u == %#" PRIx64, and, arg->index, arg->value);
		else
			fprintf(file, "%s(a%u & %#" PRIx64 ") == %#" PRIx64, and, arg->index,
				arg->mask, arg->value);
	}
}

static void write_text(const char *path, const struct program *program, scmp_filter_ctx filter)
{
	FILE *file = output_open(path);
	int r;

	fprintf(file, "System calls of tunneld's role %s\n\n", sandbox_role);
	if (SANDBOX_SANITIZERS)
		fprintf(file,
			"THIS IS A SANITIZER BUILD, made for tests. Its table is wider than that of the\n"
			"programs that are installed.\n\n");
	fprintf(file,
		"A call that no row allows kills the process at once (SECCOMP_RET_KILL_PROCESS), and\n"
		"so does a call by another architecture's numbers. a0 to a5 are the arguments; int\n"
		"arguments are compared as the kernel uses them, by their lower 32 bits.\n\n"
		"Instructions: %zu, SHA-256 %s\n\n",
		program->n, program->sha256);
	for (size_t i = 0; i < sandbox_n_rules; i++) {
		fprintf(file, "%s: ", sandbox_rules[i].call);
		write_condition(file, &sandbox_rules[i]);
		if (sandbox_rules[i].error != 0)
			fprintf(file, ": refused, %s", strerrorname_np(sandbox_rules[i].error));
		fprintf(file, "\n\t%s\n", sandbox_rules[i].why);
	}
	fprintf(file, "\nThe program in libseccomp's pseudo code\n\n");
	if (fflush(file) != 0)
		err(1, "%s", path);
	r = seccomp_export_pfc(filter, fileno(file));
	if (r < 0)
		errx(1, "seccomp_export_pfc: %s", strerror(-r));
	output_close(file, path);
}

int main(int argc, char **argv)
{
	static struct program program;
	scmp_filter_ctx filter;

	if (argc != 4)
		errx(2, "usage: sandbox_compile FILTER.h HASH.h RULES.txt");
	filter = filter_build();
	program_export(&program, filter);
	write_filter(argv[1], &program);
	write_hash(argv[2], &program);
	write_text(argv[3], &program, filter);
	seccomp_release(filter);
	return 0;
}
