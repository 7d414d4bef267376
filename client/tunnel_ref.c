// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Finding ids in what people paste.

#include "tunnel_ref.h"

bool tunnel_id_ok(struct span text)
{
	if (text.n < TUNNEL_ID_MIN || text.n > TUNNEL_ID_MAX || !span_starts(text, SPAN("t-")))
		return false;
	for (size_t i = 2; i < text.n; i++)
		if (!((text.p[i] >= 'a' && text.p[i] <= 'z') ||
			    (text.p[i] >= '2' && text.p[i] <= '7')))
			return false;
	return true;
}

// What of TEXT stands before any of the characters of STOP.
static struct span until(struct span text, const char *stop)
{
	size_t n = 0;

	while (n < text.n && strchr(stop, text.p[n]) == NULL)
		n++;
	return (struct span){text.p, n};
}

static struct span behind(struct span text, size_t n)
{
	return (struct span){text.p + n, text.n - n};
}

// Where the authority of a URL begins, or NULL.
static const char *authority_of(struct span text)
{
	const char *mark = memmem(text.p, text.n, "://", 3);

	return mark != NULL && mark > text.p ? mark + 3 : NULL;
}

bool tunnel_ref_is_url(struct span text)
{
	return authority_of(text) != NULL;
}

struct span tunnel_ref_id(struct span text)
{
	const char *start = authority_of(text);
	struct span rest, label;

	if (tunnel_id_ok(text))
		return text;
	if (start == NULL)
		return (struct span){0};
	rest = behind(text, (size_t)(start - text.p));
	label = until(rest, "./:?#");
	if (tunnel_id_ok(label))
		return label;
	rest = behind(rest, until(rest, "/?#").n);
	if (span_starts(rest, SPAN("/t/")))
		rest = behind(rest, 2);
	if (rest.n == 0 || rest.p[0] != '/')
		return (struct span){0};
	rest = until(behind(rest, 1), "/?#");
	return tunnel_id_ok(rest) ? rest : (struct span){0};
}
