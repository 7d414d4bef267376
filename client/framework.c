// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "framework.h"

// Vite, code-server, Streamlit and whatever has relative links, or plain absolute ones, is not
// here: it works as it is.
static const struct framework frameworks[] = {
	{.name = "Jupyter", // its login cookie is for its path, its WebSockets are at the root
		.setting = {"--ServerApp.base_url=", "/"},
		.keep = true,
		.body = {"<title>Jupyter", "name=\"password\""}}, // without a login it works
	{.name = "Next.js", // its router writes paths without the prefix into the address bar
		.setting = {"basePath: '", "'"},
		.keep = true,
		.field = "X-Powered-By",
		.value = "Next.js"},
	{.name = "Nuxt",
		.setting = {"NUXT_APP_BASE_URL=", "/"},
		.keep = true,
		.body = {"id=\"__nuxt\""}},
	{.name = "Docusaurus",
		.setting = {"baseUrl: '", "/'"},
		.keep = true,
		.body = {"content=\"Docusaurus"}},
	{.name = "Grafana",
		.setting = {"GF_SERVER_ROOT_URL=%(protocol)s://%(domain)s", "/"},
		.body = {"<title>Grafana</title>"}},
	{.name = "Kibana", .setting = {"server.basePath: \"", "\""}, .field = "kbn-name"},
};

static bool is(const struct framework *framework, const struct answer *answer, struct span body)
{
	for (size_t i = 0; i < ARRAY_SIZE(framework->body); i++) {
		const char *mark = framework->body[i];
		if (mark == NULL)
			continue;
		if (body.n == 0 || memmem(body.p, body.n, mark, strlen(mark)) == NULL)
			return false;
	}
	if (framework->field == NULL)
		return true;
	struct span value = http_head_named(&answer->head, span_of(framework->field));
	return value.p != NULL &&
	       (framework->value == NULL || span_starts(value, span_of(framework->value)));
}

const struct framework *framework_find(const struct answer *answer, struct span body)
{
	for (size_t i = 0; i < ARRAY_SIZE(frameworks); i++)
		if (is(&frameworks[i], answer, body))
			return &frameworks[i];
	return NULL;
}
