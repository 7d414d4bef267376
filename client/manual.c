// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunnel-manual: prints the sections of tunnel(1) that are made from the table of commands; a test
// compares them with man/tunnel.1.

#include "help.h"

int main(void)
{
	help_manual(stdout);
	return fflush(stdout) != 0;
}
