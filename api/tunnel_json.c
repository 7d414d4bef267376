// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tunnel_json.h"

#include "clock.h"
#include "problem.h"

#include <inttypes.h>

// Appends `"NAME":` and TEXT as a string.
static int add_text(struct buf *out, const char *name, struct span text)
{
	int r = buf_printf(out, ",\"%s\":", name);
	return r == 0 ? problem_string(out, text) : r;
}

// A point in time, null when there is none.
static int add_time(struct buf *out, const char *name, int64_t seconds)
{
	char text[RFC3339_SIZE];
	if (seconds == 0)
		return buf_printf(out, ",\"%s\":null", name);
	rfc3339_format(seconds, text);
	return buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

// A limit, null when there is none.
static int add_limit(struct buf *out, const char *lead, const char *name, uint64_t limit)
{
	if (limit == 0)
		return buf_printf(out, "%s\"%s\":null", lead, name);
	return buf_printf(out, "%s\"%s\":%" PRIu64, lead, name, limit);
}

// All addresses of it, the first one first.
static int add_urls(struct buf *out, const struct tunnel *tunnel, const struct origins *origins)
{
	static const enum tunnel_origin order[] = {ORIGIN_WILDCARD, ORIGIN_PORT, ORIGIN_PATH};
	char url[ORIGIN_URL_MAX];
	enum tunnel_origin best = origin_best(origins, tunnel->origin, tunnel->port);
	origin_url(origins, best, tunnel->id, tunnel->port, url);
	int r = buf_printf(
		out, "{\"id\":\"%s\",\"url\":\"%s\",\"urls\":[\"%s\"", tunnel->id, url, url);
	for (size_t i = 0; i < ARRAY_SIZE(order) && r == 0; i++)
		if (order[i] != best &&
			origin_url(origins, order[i], tunnel->id, tunnel->port, url) > 0)
			r = buf_printf(out, ",\"%s\"", url);
	return r == 0 ? buf_printf(out, "],\"origin\":\"%s\"", tunnel_origin_name(best)) : r;
}

static int add_addresses(
	struct buf *out, const struct tunnel *tunnel, const struct origins *origins)
{
	int r = add_urls(out, tunnel, origins);
	if (r < 0)
		return r;
	return buf_printf(out,
		",\"state\":\"%s\",\"mode\":\"%s\",\"auth\":\"%s\",\"prefix\":\"%s\","
		"\"token\":\"%s\",\"timeout\":%" PRIu64,
		tunnel_state_name(tunnel->state), tunnel_mode_name(tunnel),
		tunnel_auth_name(tunnel->auth), tunnel_prefix_name(tunnel->prefix), tunnel->token,
		tunnel->timeout_s);
}

static int add_backend(struct buf *out, const struct tunnel *tunnel)
{
	return tunnel_is_pull(tunnel) ? buf_printf(out, ",\"backend\":null")
				      : add_text(out, "backend", span_of(tunnel->backend));
}

static int add_limits(struct buf *out, const struct tunnel *tunnel)
{
	int r = add_limit(out, ",\"limits\":{", "connections", tunnel->max_connections);
	if (r == 0)
		r = add_limit(out, ",", "requests", tunnel->max_requests);
	if (r == 0)
		r = add_limit(out, ",", "bytes", tunnel->max_bytes);
	if (r == 0)
		r = add_limit(out, ",", "request_rate", tunnel->request_rate);
	return r == 0 ? buf_printf(out, "}") : r;
}

int tunnel_json_counters(struct buf *out, const struct tunnel_counters *counters)
{
	int r = buf_printf(out,
		"{\"connections\":%" PRIu64 ",\"open\":%" PRIu64 ",\"requests\":%" PRIu64
		",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"agents\":%" PRIu64,
		counters->connections, counters->open, counters->requests, counters->bytes_in,
		counters->bytes_out, counters->agents);
	int64_t last = (int64_t)MIN(counters->last_activity, (uint64_t)INT64_MAX);
	if (r == 0)
		r = add_time(out, "last_activity", last);
	return r == 0 ? buf_printf(out, "}") : r;
}

static int add_secret(struct buf *out, struct span secret)
{
	return secret.p != NULL ? add_text(out, "secret", secret)
				: buf_printf(out, ",\"secret\":null");
}

// What to share: opened in a browser, it logs in by itself. The secret stands where browsers do not
// send it, behind the '#'.
static int add_share_url(
	struct buf *out, const struct tunnel *tunnel, const struct tunnel_view *view)
{
	if (tunnel->auth != AUTH_BEARER || view->secret.p == NULL)
		return buf_printf(out, ",\"share_url\":null");
	char url[ORIGIN_URL_MAX];
	origin_url(view->origins, origin_best(view->origins, tunnel->origin, tunnel->port),
		tunnel->id, tunnel->port, url);
	return buf_printf(
		out, ",\"share_url\":\"%s#%.*s\"", url, (int)view->secret.n, view->secret.p);
}

// Where agents connect to (design: ws is http, wss is https), and with what.
static int add_agent(struct buf *out, const struct tunnel *tunnel, const struct tunnel_view *view)
{
	static const struct span http = SPAN_INIT("http");
	const char *rest = view->origins->url[ORIGIN_PATH] + http.n;
	int r = buf_printf(
		out, ",\"agent\":{\"url\":\"ws%s/_api/tunnels/%s/agent\"", rest, tunnel->id);
	if (r == 0)
		r = add_text(out, "token", view->agent_token);
	return r == 0 ? buf_printf(out, "}") : r;
}

int tunnel_json(struct buf *out, const struct tunnel *tunnel, const struct tunnel_view *view)
{
	int r = add_addresses(out, tunnel, view->origins);
	if (r == 0)
		r = add_text(out, "name", span_of(tunnel->name));
	if (r == 0)
		r = add_backend(out, tunnel);
	if (r == 0)
		r = add_limits(out, tunnel);
	if (r == 0)
		r = add_time(out, "created_at", tunnel->created_at);
	if (r == 0)
		r = add_time(out, "expires_at", tunnel->expires_at);
	if (r == 0 && tunnel_state_is_over(tunnel->state))
		r = add_time(out, "ended_at", tunnel->ended_at);
	if (r == 0 && view->counters)
		r = buf_printf(out, ",\"counters\":");
	if (r == 0 && view->counters)
		r = tunnel_json_counters(out, &tunnel->counters);
	if (r == 0 && view->to_creator)
		r = add_secret(out, view->secret);
	if (r == 0 && view->to_creator)
		r = add_share_url(out, tunnel, view);
	if (r == 0 && view->to_creator && tunnel_is_pull(tunnel))
		r = add_agent(out, tunnel, view);
	return r == 0 ? buf_printf(out, "}") : r;
}
