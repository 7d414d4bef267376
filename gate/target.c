// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "target.h"

#include "tunnel_config.h"

// The id at the start of TEXT: up to the next '/' or '?'.
static struct span leading_id(struct span text)
{
	size_t n = 0;
	while (n < text.n && text.p[n] != '/' && text.p[n] != '?')
		n++;
	return (struct span){text.p, n};
}

struct target target_of(struct span path)
{
	static const struct span prefix = SPAN_INIT("/t/");
	enum target_kind kind = span_starts(path, prefix) ? TARGET_TUNNEL : TARGET_BARE;
	size_t before = kind == TARGET_TUNNEL ? prefix.n : 1;
	if (path.n <= before || path.p[0] != '/')
		return (struct target){.kind = TARGET_OTHER};
	struct span id = leading_id((struct span){path.p + before, path.n - before});
	if (!tunnel_id_ok(id))
		return (struct target){.kind = TARGET_OTHER};
	return (struct target){.kind = kind, .id = id};
}
