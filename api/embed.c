// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Runs at build time: writes the bytes of a file as the initialiser of a C array, so that a sealed
// process, which may open nothing, has the file in itself.
//
//     embed FILE HEADER

#include <err.h>
#include <stdio.h>
#include <stdlib.h>

enum { BYTES_A_LINE = 16 };

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(EXIT_FAILURE, "usage: embed FILE HEADER");
	FILE *from = fopen(argv[1], "rb");
	if (from == NULL)
		err(EXIT_FAILURE, "%s", argv[1]);
	FILE *to = fopen(argv[2], "wb");
	if (to == NULL)
		err(EXIT_FAILURE, "%s", argv[2]);
	int c;
	for (unsigned n = 0; (c = getc(from)) != EOF; n++)
		fprintf(to, "0x%02x,%c", (unsigned)c,
			n % BYTES_A_LINE == BYTES_A_LINE - 1 ? '\n' : ' ');
	putc('\n', to);
	if (ferror(from) != 0)
		err(EXIT_FAILURE, "%s", argv[1]);
	if (ferror(to) != 0 || fclose(to) != 0)
		err(EXIT_FAILURE, "%s", argv[2]);
	return EXIT_SUCCESS;
}
