// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is a posted form. A value that is found, encoded again in full, is found again and is
// the same; around it there may be anything.

#include "check.h"
#include "form.h"

enum { VALUE_MAX = 256 };

static int get(struct span body, char *out, size_t size)
{
	memset(out, 'x', size);
	int r = form_get(body, SPAN("secret"), out, size);
	CHECK(r >= 0 && r <= FORM_BAD);
	CHECK(memchr(out, '\0', size) != NULL);
	CHECK(r == 0 || out[0] == '\0');
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char again[8 + 3 * VALUE_MAX + 70000];
	char value[VALUE_MAX], small[8], twice[VALUE_MAX];
	struct span body = {(const char *)data, n};
	if (n > 65536)
		return 0;
	int r = get(body, value, sizeof value);
	int cut = get(body, small, sizeof small);
	if (r != 0) {
		CHECK(cut == r);
		return 0;
	}
	CHECK(cut == (strlen(value) < sizeof small ? 0 : FORM_BAD));
	size_t used = (size_t)snprintf(again, sizeof again, "secret=");
	for (const char *p = value; *p != '\0'; p++)
		used += (size_t)snprintf(
			again + used, sizeof again - used, "%%%02x", (unsigned char)*p);
	CHECK(get((struct span){again, used}, twice, sizeof twice) == 0);
	CHECK(strcmp(value, twice) == 0);
	again[used++] = '&';
	memcpy(again + used, data, n);
	CHECK(get((struct span){again, used + n}, twice, sizeof twice) == FORM_TWICE);
	return 0;
}
