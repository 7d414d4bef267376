// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "form.h"

#include "hex.h"

// Takes the text before the next MARK, or all, off REST.
static struct span take(struct span *rest, char mark)
{
	const char *at = rest->n > 0 ? memchr(rest->p, mark, rest->n) : NULL;
	struct span taken = *rest;
	if (at == NULL) {
		*rest = (struct span){NULL, 0};
		return taken;
	}
	taken.n = (size_t)(at - rest->p);
	*rest = (struct span){at + 1, rest->n - taken.n - 1};
	return taken;
}

static int decode(struct span value, char *out, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			if (value.n - i < 3 ||
				hex_decode(&c, 1, (struct span){value.p + i + 1, 2}) < 0)
				return FORM_BAD;
			i += 2;
		}
		if (c == '\0' || used + 1 >= size)
			return FORM_BAD;
		out[used++] = c;
	}
	out[used] = '\0';
	return 0;
}

int form_get(struct span body, struct span name, char *out, size_t size)
{
	struct span found = {NULL, 0};
	int r = FORM_ABSENT;
	out[0] = '\0';
	while (body.n > 0) {
		struct span value = take(&body, '&');
		if (!span_eq(take(&value, '='), name))
			continue;
		if (r == 0)
			return FORM_TWICE;
		found = value;
		r = 0;
	}
	if (r == 0)
		r = decode(found, out, size);
	if (r != 0)
		explicit_bzero(out, size);
	return r;
}

bool form_type_ok(struct span value)
{
	static const struct span type = SPAN_INIT("application/x-www-form-urlencoded");
	if (value.n < type.n || !span_eq_nocase((struct span){value.p, type.n}, type))
		return false;
	for (size_t i = type.n; i < value.n && value.p[i] != ';'; i++)
		if (value.p[i] != ' ' && value.p[i] != '\t')
			return false;
	return true;
}
