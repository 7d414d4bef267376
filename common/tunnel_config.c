// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tunnel_config.h"

enum { CONFIG_VERSION = 1, CONFIG_VALUES = 14 };

static const char *const auth_names[] = {
	[AUTH_BEARER] = "bearer", [AUTH_BASIC] = "basic", [AUTH_NONE] = "none"};
static const char *const prefix_names[] = {[PREFIX_STRIP] = "strip", [PREFIX_KEEP] = "keep"};
static const char *const reuse_names[] = {[REUSE_VISITOR] = "visitor", [REUSE_SHARED] = "shared"};

static unsigned name_find(const char *const *names, size_t n, struct span text)
{
	for (unsigned i = 1; i < n; i++)
		if (span_eq(span_of(names[i]), text))
			return i;
	return 0;
}

enum tunnel_auth tunnel_auth_parse(struct span text)
{
	return (enum tunnel_auth)name_find(auth_names, ARRAY_SIZE(auth_names), text);
}

enum tunnel_prefix tunnel_prefix_parse(struct span text)
{
	return (enum tunnel_prefix)name_find(prefix_names, ARRAY_SIZE(prefix_names), text);
}

const char *tunnel_auth_name(enum tunnel_auth auth)
{
	return auth_names[auth];
}

const char *tunnel_prefix_name(enum tunnel_prefix prefix)
{
	return prefix_names[prefix];
}

const char *backend_reuse_name(enum backend_reuse reuse)
{
	return reuse_names[reuse];
}

bool tunnel_id_ok(struct span id)
{
	enum { ID_LEAST = 2 + 20 }; // 96 bits need 20 characters of base32
	if (id.n < ID_LEAST || id.n > TUNNEL_ID_MAX || id.p[0] != 't' || id.p[1] != '-')
		return false;
	for (size_t i = 2; i < id.n; i++)
		if (!((id.p[i] >= 'a' && id.p[i] <= 'z') || (id.p[i] >= '2' && id.p[i] <= '7')))
			return false;
	return true;
}

size_t tunnel_config_encode(const struct tunnel_config *config, uint8_t out[TUNNEL_CONFIG_MAX])
{
	char backend[URL_TEXT_MAX];
	size_t n = tunnel_config_pull(config)
			   ? 0
			   : url_format(&config->backend, backend, sizeof backend);
	const struct wire_value values[CONFIG_VALUES] = {
		wire_uint(CONFIG_VERSION),
		wire_str(span_of(config->id)),
		wire_str(span_of(config->name)),
		wire_str((struct span){backend, n}),
		wire_str(span_of(auth_names[config->auth])),
		wire_str(span_of(prefix_names[config->prefix])),
		wire_str(span_of(reuse_names[config->reuse])),
		wire_uint(config->life_ms),
		wire_uint(config->max_connections),
		wire_uint(config->max_requests),
		wire_uint(config->max_bytes),
		wire_uint(config->request_rate),
		wire_str(span_of(tunnel_origin_name(config->origin))),
		wire_uint(config->port),
	};
	return wire_encode(out, TUNNEL_CONFIG_MAX, values, CONFIG_VALUES);
}

static int text_copy(char *out, size_t size, const struct wire_value *v)
{
	if (v->kind != WIRE_STR || v->bytes.n >= size)
		return -EBADMSG;
	memcpy(out, v->bytes.p, v->bytes.n);
	out[v->bytes.n] = '\0';
	return 0;
}

static int choices_decode(struct tunnel_config *config, const struct wire_value *v)
{
	for (int i = 0; i < 4; i++)
		if (v[i].kind != WIRE_STR)
			return -EBADMSG;
	const char *why;
	if (v[0].bytes.n > 0 && url_parse_backend(&config->backend, v[0].bytes, &why) != 0)
		return -EBADMSG;
	config->auth = tunnel_auth_parse(v[1].bytes);
	config->prefix = tunnel_prefix_parse(v[2].bytes);
	config->reuse =
		(enum backend_reuse)name_find(reuse_names, ARRAY_SIZE(reuse_names), v[3].bytes);
	return config->auth && config->prefix && config->reuse ? 0 : -EBADMSG;
}

static int origin_decode(struct tunnel_config *config, const struct wire_value *v)
{
	if (v[0].kind != WIRE_STR || v[1].kind != WIRE_UINT || v[1].number > UINT16_MAX)
		return -EBADMSG;
	config->origin = tunnel_origin_parse(v[0].bytes);
	config->port = v[1].number;
	return config->origin != 0 ? 0 : -EBADMSG;
}

int tunnel_config_decode(struct tunnel_config *config, const void *bytes, size_t n)
{
	struct wire_value v[CONFIG_VALUES];
	if (wire_decode(bytes, n, v, CONFIG_VALUES) != CONFIG_VALUES)
		return -EBADMSG;
	*config = (struct tunnel_config){0};
	if (v[0].kind != WIRE_UINT || v[0].number != CONFIG_VERSION)
		return -EBADMSG;
	if (text_copy(config->id, sizeof config->id, &v[1]) < 0 ||
		!tunnel_id_ok(span_of(config->id)) ||
		text_copy(config->name, sizeof config->name, &v[2]) < 0)
		return -EBADMSG;
	if (choices_decode(config, v + 3) < 0 || origin_decode(config, v + 12) < 0)
		return -EBADMSG;
	uint64_t *const numbers[] = {&config->life_ms, &config->max_connections,
		&config->max_requests, &config->max_bytes, &config->request_rate};
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (v[7 + i].kind != WIRE_UINT)
			return -EBADMSG;
		*numbers[i] = v[7 + i].number;
	}
	// Another spelling of the same settings would be a second string of bytes to sign.
	uint8_t canonical[TUNNEL_CONFIG_MAX];
	size_t size = tunnel_config_encode(config, canonical);
	return size == n && memcmp(canonical, bytes, n) == 0 ? 0 : -EBADMSG;
}
