// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Command lines, by the table. Options are spelled in full: an abbreviation that works today would
// mean something else when the next option comes.

#include "commands.h"

#include <stdio.h>

// Options that are no options, and why.
static const struct {
	struct span name;
	const char *why;
} refused_options[] = {
	{SPAN_INIT("token"),
		"every user of this machine can read command lines: give the token by --token-file, "
		"TUNNEL_TOKEN or 'tunnel login'"},
	{SPAN_INIT("secret"),
		"every user of this machine can read command lines: secrets are made by the server"},
};

const struct command *command_find(struct span name)
{
	for (size_t i = 0; i < command_count; i++)
		if (span_eq(span_of(command_table[i].name), name))
			return &command_table[i];
	return NULL;
}

static const struct command *implied_command(void)
{
	for (size_t i = 0; i < command_count; i++)
		if (command_table[i].implied)
			return &command_table[i];
	return NULL;
}

// The command whose name begins as WORD does, or differs from it in its last letters only.
static const struct command *nearest_command(struct span word)
{
	for (size_t i = 0; i < command_count; i++) {
		struct span name = span_of(command_table[i].name);
		size_t same = 0;
		while (same < MIN(name.n, word.n) && name.p[same] == word.p[same])
			same++;
		if (same > 0 && same + 2 >= MAX(name.n, word.n))
			return &command_table[i];
	}
	return NULL;
}

// PORT, HOST:PORT, a URL or unix:PATH; no name of a command is any of these.
static bool is_target(const char *word)
{
	return strchr(word, ':') != NULL ||
	       (word[0] != '\0' && strspn(word, "0123456789") == strlen(word));
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static int find_command(
	struct invocation *invocation, const char *word, bool *ret_named, struct failure *failure)
{
	const struct command *nearest;

	*ret_named = false;
	if (is_one_of(word, "--version", "-V"))
		word = "version";
	invocation->command = command_find(span_of(word));
	if (invocation->command != NULL) {
		*ret_named = true;
		return 0;
	}
	if (word[0] == '-' || is_target(word)) {
		invocation->command = implied_command();
		if (invocation->command != NULL)
			return 0;
	}
	nearest = nearest_command(span_of(word));
	if (nearest != NULL)
		return failure_set(failure, EXIT_CODE_USAGE,
			"there is no command '%s'; did you mean 'tunnel %s'?", word, nearest->name);
	return failure_set(failure, EXIT_CODE_USAGE, "there is no command '%s'", word);
}

static bool has_option(const struct command *command, enum option_id id)
{
	return id == OPTION_HELP || (command->options & (UINT64_C(1) << id)) != 0;
}

// The option of this name or letter (one of them is absent), or OPTION_COUNT.
static enum option_id find_option(const struct command *command, struct span name, char letter)
{
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		const struct option_def *def = &option_table[id];
		if (has_option(command, id) &&
			(name.p != NULL ? span_eq(span_of(def->name), name)
					: letter != '\0' && def->letter == letter))
			return id;
	}
	return OPTION_COUNT;
}

static int no_option(
	const struct command *command, const char *word, struct span name, struct failure *failure)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused_options); i++)
		if (span_eq(refused_options[i].name, name))
			return failure_set(failure, EXIT_CODE_USAGE, "--%.*s is refused: %s",
				(int)name.n, name.p, refused_options[i].why);
	return failure_set(failure, EXIT_CODE_USAGE,
		"tunnel %s has no option '%.*s'; 'tunnel %s --help' lists those it has",
		command->name, (int)strcspn(word, "="), word, command->name);
}

// Whether VALUE is one of WORDS.
static bool is_word(const char *words, const char *value)
{
	size_t n = strlen(value);

	for (const char *word = words; *word != '\0'; word += strspn(word, " ")) {
		size_t size = strcspn(word, " ");
		if (size == n && memcmp(word, value, n) == 0)
			return true;
		word += size;
	}
	return false;
}

static int set_option(struct invocation *invocation, enum option_id id, const char *value,
	struct failure *failure)
{
	const struct option_def *def = &option_table[id];

	if (def->value != NULL && invocation->values[id] != NULL)
		return failure_set(failure, EXIT_CODE_USAGE, "--%s is given twice", def->name);
	if (def->words != NULL && !is_word(def->words, value))
		return failure_set(failure, EXIT_CODE_USAGE, "--%s: '%s' is not one of: %s",
			def->name, value, def->words);
	invocation->values[id] = value;
	return 0;
}

// Takes the option WORD; NEXT is the word behind it or NULL. *RET_USED is 2 when that was its
// value.
static int take_option(struct invocation *invocation, const char *word, const char *next,
	int *ret_used, struct failure *failure)
{
	const char *value = NULL;
	struct span name = {NULL, 0};
	enum option_id id;

	if (word[1] == '-') {
		name = (struct span){word + 2, strcspn(word + 2, "=")};
		value = name.p[name.n] == '=' ? name.p + name.n + 1 : NULL;
	} else if (word[2] != '\0') {
		value = word + 2;
	}
	id = find_option(invocation->command, name, word[1] == '-' ? '\0' : word[1]);
	if (id == OPTION_COUNT)
		return no_option(invocation->command, word, name, failure);
	*ret_used = 1;
	if (option_table[id].value == NULL) {
		if (value != NULL)
			return failure_set(failure, EXIT_CODE_USAGE, "--%s takes no value",
				option_table[id].name);
		value = "";
	} else if (value == NULL) {
		if (next == NULL)
			return failure_set(failure, EXIT_CODE_USAGE, "--%s: write %s behind it",
				option_table[id].name, option_table[id].value);
		value = next;
		*ret_used = 2;
	}
	return set_option(invocation, id, value, failure);
}

static int check_operands(const struct invocation *invocation, struct failure *failure)
{
	const struct command *command = invocation->command;

	if (option_given(invocation, OPTION_HELP))
		return 0;
	if (invocation->n_operands < command->min_operands)
		return failure_set(failure, EXIT_CODE_USAGE, "something is missing: tunnel %s %s",
			command->name, command->operands);
	if (invocation->n_operands > command->max_operands)
		return failure_set(failure, EXIT_CODE_USAGE, "'%s' is too much: tunnel %s%s%s",
			invocation->operands[command->max_operands], command->name,
			command->operands[0] != '\0' ? " " : "", command->operands);
	return 0;
}

static int take_words(
	struct invocation *invocation, int argc, char *const *argv, struct failure *failure)
{
	bool options = true;
	int r = 0, used;

	for (int i = 0; r == 0 && i < argc; i += used) {
		const char *word = argv[i];
		used = 1;
		if (options && strcmp(word, "--") == 0)
			options = false;
		else if (options && word[0] == '-' && word[1] != '\0')
			r = take_option(invocation, word, i + 1 < argc ? argv[i + 1] : NULL, &used,
				failure);
		else
			invocation->operands[invocation->n_operands++] = word;
	}
	return r != 0 ? r : check_operands(invocation, failure);
}

// "tunnel --server URL ls" means ls, not a target of that name.
static int check_target(const struct invocation *invocation, struct failure *failure)
{
	const char *first = invocation->n_operands > 0 ? invocation->operands[0] : "";

	if (command_find(span_of(first)) == NULL)
		return 0;
	return failure_set(
		failure, EXIT_CODE_USAGE, "the command comes first: tunnel %s [OPTION]...", first);
}

int invocation_parse(
	struct invocation *invocation, int argc, char *const *argv, struct failure *failure)
{
	bool named;
	int r;

	*invocation = (struct invocation){0};
	if (is_one_of(argv[1], "--help", "-h")) {
		invocation->values[OPTION_HELP] = "";
		return 0;
	}
	r = find_command(invocation, argv[1], &named, failure);
	if (r != 0)
		return r;
	invocation->operands = calloc((size_t)argc, sizeof *invocation->operands);
	if (invocation->operands == NULL)
		return -ENOMEM;
	r = take_words(invocation, argc - 1 - named, argv + 1 + named, failure);
	if (r == 0 && !named)
		r = check_target(invocation, failure);
	if (r != 0)
		invocation_deinit(invocation);
	return r;
}

void invocation_deinit(struct invocation *invocation)
{
	free(invocation->operands);
	invocation->operands = NULL;
}
