// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunneld-manual: prints what documentation takes from the table of keys. `keys` is the key section
// of man/tunneld.conf.5, `example` is deploy/tunneld.conf.example; a test compares both with the
// table.

#include "options.h"

int main(int argc, char **argv)
{
	int r;

	if (argc == 2 && strcmp(argv[1], "keys") == 0) {
		r = options_print_manual(stdout);
	} else if (argc == 2 && strcmp(argv[1], "example") == 0) {
		r = options_print_example(stdout);
	} else {
		fputs("usage: tunneld-manual keys | example\n", stderr);
		return 2;
	}
	return r != 0 || fflush(stdout) != 0;
}
