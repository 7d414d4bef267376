// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The command line, and the file it names.

#include "options.h"

#include "file.h"

#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>

static const struct option long_options[] = {
	{"check", no_argument, NULL, 'k'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

// Takes what getopt found. Returns 0, OPTIONS_INVALID with a line in ERRORS, or a negative errno.
static int take_option(
	struct options_command *command, int found, const char *text, struct buf *errors)
{
	int r = 0;

	switch (found) {
	case 'c':
		if (command->file == NULL) {
			command->file = optarg;
			return 0;
		}
		r = buf_printf(errors, "option -c: there can be only one file\n");
		break;
	case 'o':
		if (command->n_settings < OPTIONS_SETTINGS_MAX) {
			command->settings[command->n_settings++] = optarg;
			return 0;
		}
		r = buf_printf(errors, "option -o: there are more than %d\n", OPTIONS_SETTINGS_MAX);
		break;
	case 'k': command->check = true; return 0;
	case 'h': command->help = true; return 0;
	case 'V': command->version = true; return 0;
	case ':':
		r = buf_printf(errors, "option -%c: write %s behind it\n", optopt,
			optopt == 'c' ? "the name of a file" : "key=value");
		break;
	default:
		r = buf_printf(
			errors, "there is no option '%.*s'\n", (int)strcspn(text, "="), text);
		break;
	}
	return r != 0 ? r : OPTIONS_INVALID;
}

int options_command_parse(
	struct options_command *command, int argc, char *const *argv, struct buf *errors)
{
	int r = 0, found;

	*command = (struct options_command){0};
	optind = 0; // glibc: start anew, whatever was parsed before
	opterr = 0;
	while (r == 0) {
		const char *text = argv[MAX(optind, 1)];
		found = getopt_long(argc, argv, "+:c:o:", long_options, NULL);
		if (found == -1)
			break;
		r = take_option(command, found, text, errors);
	}
	if (r == 0 && optind < argc) {
		r = buf_printf(errors, "'%s' is no option: settings are given as -o key=value\n",
			argv[optind]);
		r = r != 0 ? r : OPTIONS_INVALID;
	}
	return r;
}

// Reads the file NAME into TEXT, in one allocation so that wiping TEXT leaves no copy. Returns 0 or
// a negative errno, -EFBIG if it is larger than OPTIONS_FILE_MAX.
static int read_file(const char *name, struct buf *text, bool *ret_private)
{
	size_t size = OPTIONS_FILE_MAX + 1;
	struct stat st;

	CLEANUP(close_p) int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	char *room = buf_room(text, size);
	if (room == NULL)
		return -errno;
	ssize_t n = file_read(fd, room, size);
	if (n < 0)
		return (int)n;
	buf_added(text, (size_t)n);
	*ret_private = (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
	return buf_len(text) < size ? 0 : -EFBIG;
}

int options_load(struct options *options, const struct options_command *command,
	char *const *environment, struct buf *errors)
{
	struct options_input input = {
		.environment = environment,
		.settings = command->settings,
		.n_settings = command->n_settings,
	};
	int unread = 0, r = 0;
	CLEANUP(buf_wipe) struct buf text; // there may be a token in it

	buf_init(&text, OPTIONS_FILE_MAX + 1);
	if (command->file != NULL)
		unread = read_file(command->file, &text, &input.file_private);
	if (command->file != NULL && unread == 0) {
		input.file_name = command->file;
		input.file_text = buf_span(&text);
	} else if (unread != 0) {
		r = buf_printf(errors, "option -c: %s cannot be read: %s\n", command->file,
			unread == -EFBIG ? "it has more than 64 KiB" : strerror(-unread));
	}
	if (r == 0)
		r = options_parse(options, &input, errors);
	return r == 0 && unread != 0 ? OPTIONS_INVALID : r;
}
