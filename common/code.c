// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "code.h"

#include <assert.h>

static const struct code_info codes[CODES] = {
	[CODE_TUNNEL_UNKNOWN] = {"tunnel_unknown", 404, 0, "No such tunnel",
		"There is no tunnel at this address. Check the link for missing characters.",
		"destination_not_found"},
	[CODE_TUNNEL_OVER] = {"tunnel_over", 410, 0, "This tunnel is over",
		"The tunnel at this address has ended. Ask whoever shared it for a new one.",
		"destination_unavailable"},
	[CODE_AUTH_REQUIRED] = {"auth_required", 401, 0, "A secret is needed",
		"This tunnel asks for the secret that was shared together with its address. Programs send "
		"it as `Authorization: Bearer SECRET`; a browser that opens the address asks for it.",
		"http_request_denied"},
	[CODE_AUTH_FAILED] = {"auth_failed", 401, 0, "The secret is not right",
		"The secret sent with this request is not the one of this tunnel. Check it for missing "
		"characters, or ask whoever shared it.",
		"http_request_denied"},
	[CODE_RATE_LIMITED] = {"rate_limited", 429, 1, "Too many requests",
		"Requests come faster than is allowed here. Try again in a moment.",
		"http_request_denied"},
	[CODE_TOO_MANY_CONNECTIONS] = {"too_many_connections", 503, 2, "Too many connections",
		"This tunnel already has as many connections as it may have.",
		"connection_limit_reached"},
	[CODE_QUOTA_REACHED] = {"quota_reached", 429, 60, "Quota reached",
		"No further tunnel may be created before another one ends."},
	[CODE_BACKEND_REFUSED] = {"backend_refused", 502, 0, "The service does not answer",
		"The service behind this tunnel refused the connection. Is it running?",
		"connection_refused"},
	[CODE_BACKEND_TIMEOUT] = {"backend_timeout", 504, 0, "The service cannot be reached",
		"The service behind this tunnel did not answer in time.", "connection_timeout"},
	[CODE_BACKEND_BAD_RESPONSE] = {"backend_bad_response", 502, 0, "The service answered badly",
		"The service behind this tunnel sent an answer that is not valid HTTP or ended too early.",
		"http_protocol_error"},
	[CODE_BACKEND_FORBIDDEN] = {"backend_forbidden", 422, 0, "This backend is not allowed",
		"The address of the backend is one that tunnels may not lead to.",
		"destination_ip_prohibited"},
	[CODE_AGENT_OFFLINE] = {"agent_offline", 503, 5, "The developer's machine is offline",
		"The program that serves this tunnel is not connected right now.",
		"destination_unavailable"},
	[CODE_BAD_REQUEST] = {"bad_request", 400, 0, "Bad request",
		"The request is not valid HTTP/1.1.", "http_request_error"},
	[CODE_MISDIRECTED] = {"misdirected", 421, 0, "Wrong connection",
		"This connection belongs to another tunnel. Send the request on a new one.",
		"http_request_denied"},
	[CODE_TOO_LARGE] = {"too_large", 413, 0, "Too large",
		"The request body is larger than allowed."},
	[CODE_HEAD_TOO_LARGE] = {"head_too_large", 431, 0, "Request head too large",
		"The request line and fields exceed 32 KiB, 100 fields or 8 KiB in one line.",
		"http_request_error"},
	[CODE_INVALID] = {"invalid", 422, 0, "Not valid",
		"The request has members that are not valid."},
	[CODE_TOKEN_INVALID] = {"token_invalid", 401, 0, "Token not valid",
		"Send a valid API token as `Authorization: Bearer TOKEN`."},
	[CODE_TOKEN_SCOPE] = {"token_scope", 403, 0, "Not allowed with this token",
		"The token is valid but does not allow this."},
	[CODE_IDEMPOTENCY_EXPIRED] = {"idempotency_expired", 409, 0, "Answer no longer kept",
		"A request with this Idempotency-Key was answered before; its answer is no longer kept."},
	[CODE_CONFLICT] = {"conflict", 409, 0, "Conflict",
		"The tunnel is in a state in which this cannot be done."},
	[CODE_DRAINING] = {"draining", 503, 5, "Shutting down or restarting",
		"The server is not ready to answer this. Try again in a few seconds.",
		"proxy_internal_response"},
	[CODE_INTERNAL] = {"internal", 500, 0, "Internal error",
		"Something went wrong here. It has been logged.", "proxy_internal_error"},
	[CODE_NOT_FOUND] = {"not_found", 404, 0, "Not found", "There is nothing at this address."},
	[CODE_METHOD_NOT_ALLOWED] = {"method_not_allowed", 405, 0, "Method not allowed",
		"This address does not support the method of the request."},
	[CODE_REQUEST_TIMEOUT] = {"request_timeout", 408, 0, "The request took too long",
		"The request did not arrive completely in time."},
	[CODE_LOOP_DETECTED] = {"loop_detected", 502, 0, "The service leads back here",
		"The request has been through tunneld several times: the service behind this tunnel is "
		"probably a proxy that leads back to the tunnel.",
		"proxy_loop_detected"},
	[CODE_UPGRADE_REQUIRED] = {"upgrade_required", 426, 0, "Upgrade required",
		"This address speaks WebSocket only."},
};

const struct code_info *code_info(enum code code)
{
	assert(code > CODE_NONE && code < CODES);
	return &codes[code];
}

const char *http_reason(unsigned status)
{
	static const struct {
		uint16_t status;
		const char *reason;
	} reasons[] = {
		{100, "Continue"},
		{101, "Switching Protocols"},
		{103, "Early Hints"},
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{206, "Partial Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{421, "Misdirected Request"},
		{422, "Unprocessable Content"},
		{426, "Upgrade Required"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}
