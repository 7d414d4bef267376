// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "inquiry.h"

#include "bytes.h"
#include "hex.h"
#include "json_read.h"

#include <stdio.h>
#include <sys/random.h>

enum { INQUIRY_MS = 30 * 1000 }; // a fresh quote may take its time

void inquiry_deinit(struct inquiry *inquiry)
{
	free(inquiry->text);
	*inquiry = (struct inquiry){0};
}

static int make_nonce(struct inquiry *inquiry)
{
	uint8_t bytes[NONCE_SIZE];
	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return -EIO;
	hex_encode(inquiry->nonce, bytes, sizeof bytes);
	return 0;
}

static void make_path(const struct inquiry *inquiry, char *path, size_t size)
{
	const struct envelope_question *question = &inquiry->question;
	if (question->tunnel.p == NULL && !question->fresh)
		snprintf(path, size, "/_api/attestation"); // it would sign nothing of it
	else if (question->tunnel.p == NULL)
		snprintf(path, size, "/_api/attestation?nonce=%s&fresh=1", inquiry->nonce);
	else
		snprintf(path, size, "/_api/tunnels/%s/attestation?nonce=%s%s", inquiry->tunnel,
			inquiry->nonce, question->fresh ? "&fresh=1" : "");
}

// Keeps the body and what the connection was.
static int take_answer(struct inquiry *inquiry, struct http *http, struct failure *failure)
{
	struct buf body;
	buf_init(&body, ENVELOPE_MAX);
	int r = http_body_all(http, &body, failure);
	if (r == 0) {
		inquiry->status = http->answer.head.status;
		inquiry->document = buf_span(&body);
		inquiry->text = malloc(inquiry->document.n + 1);
		r = inquiry->text != NULL ? 0 : -ENOMEM;
	}
	if (r == 0 && inquiry->document.n > 0) {
		memcpy(inquiry->text, inquiry->document.p, inquiry->document.n);
		inquiry->document.p = inquiry->text;
	}
	buf_reset(&body);
	return r;
}

static int exchange(struct inquiry *inquiry, const struct route *route, struct failure *failure)
{
	char path[512];
	struct http http;
	make_path(inquiry, path, sizeof path);
	const struct http_request request = {.path = path};
	int r = http_begin(
		&http, route, &request, instant_add_ms(instant_now(), INQUIRY_MS), failure);
	if (r != 0)
		return r;
	inquiry->question.connected = true;
	inquiry->question.has_spki =
		transport_spki(http.transport, inquiry->question.spki_sha256) == 0;
	r = take_answer(inquiry, &http, failure);
	http_end(&http);
	return r;
}

int inquiry_make(struct inquiry *inquiry, const struct route *route, struct span tunnel, bool fresh,
	struct failure *failure)
{
	struct route any = *route;
	struct tls_trust *trust = NULL;
	*inquiry = (struct inquiry){.question.fresh = fresh};
	if (tunnel.p != NULL && !tunnel_id_ok(tunnel)) // it goes into the path
		return failure_set(failure, EXIT_CODE_USAGE, "'%.*s' is no tunnel's id",
			(int)MIN(tunnel.n, (size_t)TUNNEL_ID_MAX), tunnel.p);
	int r = make_nonce(inquiry);
	if (r == 0 && route->server->scheme == URL_HTTPS)
		r = tls_trust_new(&trust, TLS_CHECK_NONE, NULL, failure);
	if (r != 0)
		return r;
	any.trust = trust;
	inquiry->question.nonce = span_of(inquiry->nonce);
	if (tunnel.p != NULL) {
		memcpy(inquiry->tunnel, tunnel.p, tunnel.n);
		inquiry->question.tunnel = span_of(inquiry->tunnel);
	}
	r = exchange(inquiry, &any, failure);
	tls_trust_free(trust);
	return r;
}

// A refusal is no evidence.
static void say_refused(const struct inquiry *inquiry, struct verification *v)
{
	struct why why;
	CLEANUP(json_p) json_t *problem = json_read(inquiry->document, ENVELOPE_MAX);
	struct span detail = json_member_text(problem, "detail");
	why_not(&why, "the server answers %u%s%.*s", inquiry->status, detail.n > 0 ? ": " : "",
		(int)MIN(detail.n, 120), detail.p != NULL ? detail.p : "");
	verdict_set(&v->verdict, CHECK_INSTANCE, false, &why);
}

void inquiry_verify(const struct inquiry *inquiry, struct verification *v,
	struct envelope *envelope, struct envelope_hold *hold)
{
	if (inquiry->status == 200) {
		verify_envelope(v, envelope, hold, inquiry->document, &inquiry->question);
		return;
	}
	*envelope = (struct envelope){0};
	*hold = (struct envelope_hold){0};
	v->evidence = &envelope->evidence;
	say_refused(inquiry, v);
}
