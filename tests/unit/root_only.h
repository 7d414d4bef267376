// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Tests of what only root can do. Run by somebody else they are left out of the count, which a line
// says, instead of passing without having looked. Include after <cmocka.h>.

#pragma once

#include <stdio.h>
#include <unistd.h>

static inline CMUnitTestFunction root_only(const char *name, CMUnitTestFunction test)
{
	if (geteuid() == 0)
		return test;
	printf("# %s needs root and was left out\n", name);
	return NULL; // cmocka passes over it
}

#define root_unit_test(f)                              \
	{                                              \
#f, root_only(#f, f), NULL, NULL, NULL \
	}
