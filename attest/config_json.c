// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "config_json.h"

#include "problem.h"

#include <inttypes.h>

static int add_texts(struct buf *out, const struct tunnel_config *config)
{
	char text[URL_TEXT_MAX];
	struct span backend = {NULL, 0};
	if (!tunnel_config_pull(config))
		backend = (struct span){text, url_format(&config->backend, text, sizeof text)};
	const struct {
		const char *name;
		struct span value; // absent: null
	} members[] = {
		{"{\"id\":", span_of(config->id)},
		{",\"name\":", span_of(config->name)},
		{",\"mode\":", span_of(backend.p != NULL ? "push" : "pull")},
		{",\"backend\":", backend},
		{",\"auth\":", span_of(tunnel_auth_name(config->auth))},
		{",\"prefix\":", span_of(tunnel_prefix_name(config->prefix))},
		{",\"backend_reuse\":", span_of(backend_reuse_name(config->reuse))},
		{",\"origin\":", span_of(tunnel_origin_name(config->origin))},
	};
	int r = 0;
	for (size_t i = 0; i < ARRAY_SIZE(members) && r == 0; i++) {
		r = buf_printf(out, "%s", members[i].name);
		if (r == 0)
			r = members[i].value.p != NULL ? problem_string(out, members[i].value)
						       : buf_printf(out, "null");
	}
	return r;
}

int config_json(struct buf *out, const struct tunnel_config *config)
{
	int r = add_texts(out, config);
	if (r < 0)
		return r;
	return buf_printf(out,
		",\"port\":%" PRIu64 ",\"life_ms\":%" PRIu64 ",\"max_connections\":%" PRIu64
		",\"max_requests\":%" PRIu64 ",\"max_bytes\":%" PRIu64 ",\"request_rate\":%" PRIu64
		"}",
		config->port, config->life_ms, config->max_connections, config->max_requests,
		config->max_bytes, config->request_rate);
}
