// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Documentation made from the table of keys.

#include "options_table.h"

static int printed(FILE *out)
{
	return ferror(out) ? -EIO : 0;
}

int options_print_help(FILE *out)
{
	char range[OPTION_RANGE_MAX];

	fputs("usage: tunneld [-c file] [-o key=value]... [--check]\n"
	      "       tunneld --version | --help\n"
	      "\n"
	      "  -c file       read settings from file\n"
	      "  -o key=value  set one key\n"
	      "  --check       check the settings, say what this machine offers, and exit\n"
	      "  --version     print version, commit and hash of the source, and exit\n"
	      "  --help        print this and exit\n"
	      "\n"
	      "A setting is an option -o, else an environment variable TUNNELD_KEY, else a line\n"
	      "\"key = value\" of the file, else the default shown here. Times are in seconds or\n"
	      "have s, m, h or d behind them; entries of lists are separated by commas.\n",
		out);
	for (const struct option_def *def = option_table; def < option_table + OPTION_KEYS; def++) {
		if (def->fallback != NULL)
			fprintf(out, "\n  %s = %s\n", def->name, def->fallback);
		else
			fprintf(out, "\n  %s  (default: %s)\n", def->name, def->computed);
		option_range(def, range);
		fprintf(out, "        %s\n", def->help);
		if (range[0] != '\0')
			fprintf(out, "        %s\n", range);
	}
	return printed(out);
}

// What stands for the value in the manual.
static const char *value_word(const struct option_def *def)
{
	switch (def->type) {
	case OPTION_NUMBER: return "number";
	case OPTION_DURATION: return "time";
	case OPTION_WORD: return "word";
	case OPTION_PATH: return "path";
	case OPTION_URL: return "url";
	case OPTION_SECRET: return "token";
	case OPTION_ADDRESSES: return "address:port";
	case OPTION_RULES:
	case OPTION_NETWORKS: return "network";
	case OPTION_RANGES: return "address:port";
	case OPTION_POOL: return "first-last";
	case OPTION_POOL_URL: return "url";
	case OPTION_DOMAIN: return "domain";
	case OPTION_CONTACT: return "url";
	case OPTION_PATHS: return "path";
	}
	return "";
}

// TEXT as a sentence: upper case in front, a full stop behind.
static void print_sentence(FILE *out, const char *text)
{
	char first = text[0] >= 'a' && text[0] <= 'z' ? (char)(text[0] - 'a' + 'A') : text[0];

	fprintf(out, "%c%s.\n", first, text + 1);
}

int options_print_manual(FILE *out)
{
	char range[OPTION_RANGE_MAX];

	fputs(".Bl -tag -width Ds\n", out);
	for (const struct option_def *def = option_table; def < option_table + OPTION_KEYS; def++) {
		fprintf(out, ".It Cm %s No = Ar %s\n", def->name, value_word(def));
		print_sentence(out, def->help);
		if (def->manual != NULL)
			fputs(def->manual, out);
		option_range(def, range);
		if (range[0] != '\0')
			fprintf(out, "Accepted: %s.\n", range);
		if (def->fallback != NULL)
			fprintf(out, "Default:\n.Ql %s .\n", def->fallback);
		else
			fprintf(out, "Default: %s.\n", def->computed);
	}
	fputs(".El\n", out);
	return printed(out);
}

int options_print_example(FILE *out)
{
	char range[OPTION_RANGE_MAX];

	fputs("# Settings of tunneld, to be read with: tunneld -c FILE\n"
	      "# Every key is here with its default; tunneld.conf(5) explains them.\n",
		out);
	for (const struct option_def *def = option_table; def < option_table + OPTION_KEYS; def++) {
		if (def->type == OPTION_SECRET) // belongs into a file of its own
			continue;
		option_range(def, range);
		fprintf(out, "\n# %s\n", def->help);
		if (range[0] != '\0')
			fprintf(out, "# %s\n", range);
		if (def->fallback != NULL)
			fprintf(out, "#%s = %s\n", def->name, def->fallback);
		else
			fprintf(out, "# default: %s\n#%s =\n", def->computed, def->name);
	}
	return printed(out);
}
