// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Help, manual and completion from the table.

#include "help.h"

#include "terminal.h"

enum { COLUMN = 22 }; // where explanations begin

// LEFT in its column, and TEXT beside or, where LEFT is too long, below it.
static void print_row(FILE *out, const char *left, const char *text)
{
	int n = fprintf(out, "  %s", left);

	if (n + 2 > COLUMN)
		fprintf(out, "\n%*s", COLUMN, "");
	else
		fprintf(out, "%*s", COLUMN - n, "");
	terminal_wrap(out, COLUMN, text);
}

void help_overview(FILE *out)
{
	char left[64];

	fputs("usage: tunnel COMMAND [OPTION]... [OPERAND]...\n"
	      "       tunnel TARGET [OPTION]...     the same as: tunnel up TARGET\n"
	      "\n"
	      "Gives somebody temporary access to a service, by a URL.\n\n",
		out);
	for (size_t i = 0; i < command_count; i++) {
		const struct command *command = &command_table[i];
		snprintf(left, sizeof left, "%s%s%s", command->name,
			command->operands[0] != '\0' ? " " : "", command->operands);
		print_row(out, left, command->summary);
	}
	fputs("\n'tunnel COMMAND --help' lists the options of a command; tunnel(1) explains all.\n",
		out);
}

static bool has(const struct command *command, unsigned id)
{
	return id == OPTION_HELP || (command->options & (UINT64_C(1) << id)) != 0;
}

static void option_left(char *left, size_t size, const struct option_def *def)
{
	char letter[] = {'-', def->letter, ',', ' ', '\0'};

	snprintf(left, size, "%s--%s%s%s", def->letter != '\0' ? letter : "", def->name,
		def->value != NULL ? " " : "", def->value != NULL ? def->value : "");
}

// With the words it takes, if it takes no others.
static void option_help(char *text, size_t size, const struct option_def *def)
{
	snprintf(text, size, "%s%s%s", def->help, def->words != NULL ? "; one of: " : "",
		def->words != NULL ? def->words : "");
}

void help_command(FILE *out, const struct command *command)
{
	char left[64], text[256];

	fprintf(out, "usage: tunnel %s [OPTION]...%s%s\n\n", command->name,
		command->operands[0] != '\0' ? " " : "", command->operands);
	fprintf(out, "%c%s.\n\n", command->summary[0] & ~0x20, command->summary + 1);
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		if (!has(command, id))
			continue;
		option_left(left, sizeof left, &option_table[id]);
		option_help(text, sizeof text, &option_table[id]);
		print_row(out, left, text);
	}
}

// TEXT as a sentence of its own line.
static void manual_sentence(FILE *out, const char *text)
{
	fprintf(out, "%c%s.\n", text[0] >= 'a' && text[0] <= 'z' ? text[0] & ~0x20 : text[0],
		text + 1);
}

static void manual_operands(FILE *out, const char *operands)
{
	if (operands[0] != '\0')
		fprintf(out, " Ar %s", operands);
}

// "Options:" and the names of those that COMMAND has.
static void manual_options(FILE *out, const struct command *command)
{
	const char *before = "Options:\n";

	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		if (id == OPTION_HELP || !has(command, id))
			continue;
		fprintf(out, "%s.Fl -%s", before, option_table[id].name);
		before = " ,\n";
	}
	if (before[0] == ' ')
		fputs(" .\n", out);
}

void help_manual(FILE *out)
{
	fputs(".Sh COMMANDS\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < command_count; i++) {
		const struct command *command = &command_table[i];
		fprintf(out, ".It Nm Cm %s", command->name);
		manual_operands(out, command->operands);
		fputc('\n', out);
		manual_sentence(out, command->summary);
		if (command->manual != NULL)
			fputs(command->manual, out);
		manual_options(out, command);
	}
	fputs(".El\n.Sh OPTIONS\n.Bl -tag -width Ds\n", out);
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		const struct option_def *def = &option_table[id];
		fputs(".It ", out);
		if (def->letter != '\0')
			fprintf(out, "Fl %c , ", def->letter);
		fprintf(out, "Fl -%s", def->name);
		manual_operands(out, def->value != NULL ? def->value : "");
		fputc('\n', out);
		manual_sentence(out, def->help);
		if (def->words != NULL)
			fprintf(out, "One of: %s.\n", def->words);
		if (def->manual != NULL)
			fputs(def->manual, out);
	}
	fputs(".El\n", out);
}

// The options of COMMAND as words of the shell, and its operand where that is one word.
static void completion_options(FILE *out, const struct command *command)
{
	for (unsigned id = 0; id < OPTION_COUNT; id++)
		if (has(command, id))
			fprintf(out, " --%s", option_table[id].name);
	if (command->operands[0] >= 'a' && command->operands[0] <= 'z')
		fprintf(out, " %s", command->operands);
}

void help_completion(FILE *out)
{
	fputs("# Completion of tunnel(1) for bash; made by 'tunnel completion bash'.\n"
	      "_tunnel() {\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} words= files=\n"
	      "\tif [ \"$COMP_CWORD\" = 1 ]; then\n"
	      "\t\twords='--help --version",
		out);
	for (size_t i = 0; i < command_count; i++)
		fprintf(out, " %s", command_table[i].name);
	fputs("'\n\telse\n\t\tcase ${COMP_WORDS[COMP_CWORD - 1]} in\n", out);
	for (unsigned id = 0; id < OPTION_COUNT; id++) {
		const struct option_def *def = &option_table[id];
		if (def->value == NULL)
			continue;
		fputs("\t\t", out);
		if (def->letter != '\0')
			fprintf(out, "-%c | ", def->letter);
		fprintf(out, "--%s) ", def->name);
		if (def->words != NULL)
			fprintf(out, "words='%s' ;;\n", def->words);
		else if (strcmp(def->value, "FILE") == 0)
			fputs("files=-f ;;\n", out);
		else if (strcmp(def->value, "DIR") == 0)
			fputs("files=-d ;;\n", out);
		else
			fputs("return ;;\n", out);
	}
	fputs("\t\t*)\n\t\t\tcase ${COMP_WORDS[1]} in\n", out);
	for (size_t i = 0; i < command_count; i++) {
		fprintf(out, "\t\t\t%s) words='", command_table[i].name);
		completion_options(out, &command_table[i]);
		fputs("' ;;\n", out);
	}
	fputs("\t\t\tesac ;;\n\t\tesac\n\tfi\n"
	      "\tmapfile -t COMPREPLY < <(compgen ${files:--W \"$words\"} -- \"$word\")\n"
	      "}\n"
	      "complete -F _tunnel tunnel\n",
		out);
}
