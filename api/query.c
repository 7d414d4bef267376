// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "query.h"

#include <stdio.h>

bool query_next(struct span *text, struct span *name, struct span *value)
{
	while (text->n > 0) {
		const char *end = memchr(text->p, '&', text->n);
		struct span pair = {text->p, end != NULL ? (size_t)(end - text->p) : text->n};
		const char *equals = pair.n > 0 ? memchr(pair.p, '=', pair.n) : NULL;
		size_t taken = pair.n + (end != NULL);
		*text = (struct span){text->p + taken, text->n - taken};
		*name = pair;
		*value = (struct span){"", 0};
		if (equals != NULL) {
			name->n = (size_t)(equals - pair.p);
			*value = (struct span){equals + 1, pair.n - name->n - 1};
		}
		if (pair.n > 0)
			return true;
	}
	return false;
}

int64_t query_number(struct span text, int64_t max)
{
	int64_t n = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9' || (i == 0 && text.p[i] == '0'))
			return 0;
		if (n > (max - (text.p[i] - '0')) / 10)
			return 0;
		n = n * 10 + (text.p[i] - '0');
	}
	return n;
}

void query_unknown(struct findings *findings, struct span name, const char *known)
{
	char detail[FINDINGS_NAME_MAX + 96];
	name.n = MIN(name.n, (size_t)FINDINGS_NAME_MAX);
	snprintf(detail, sizeof detail, "\"%.*s\" is no parameter: there are %s.", (int)name.n,
		name.p, known);
	finding_parameter(findings, name, detail);
}
