// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The least program there is, linked statically: what spawn.c compares the start of a relay with.

int main(void)
{
	return 0;
}
