// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "attestor.h"

#include "code.h"
#include "hex.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

enum {
	QUEUE_MAX = 256 * 1024, // of answers waiting for a busy supervisor
	AGAIN_MS = 1000,        // before the evidence is put together again
	LOG_WARNING = 1,
	LOG_INFO = 2,
	LOG_LINE_MAX = 512,
};

static struct attestor *attestor_of(struct ipc_channel *channel)
{
	return container_of(channel, struct attestor, control);
}

static void log_line(struct attestor *attestor, unsigned level, const char *format, ...)
	PRINTF(3, 4);

static void log_line(struct attestor *attestor, unsigned level, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	(void)ipc_post(&attestor->control, MSG_LOG, -1, wire_uint(level), wire_str(span_of(text)));
}

// ---- the certificate

// Tells the supervisor the rest of it, piece by piece at the pace of its reading.
static void tell(struct attestor *attestor)
{
	struct ipc_channel *control = &attestor->control;
	struct span all = buf_span(&attestor->certificate.document);
	while (attestor->told < all.n && control->queued == 0) {
		size_t n = MIN(all.n - attestor->told, (size_t)CERTIFICATE_PIECE_MAX);
		int r = ipc_post(control, MSG_CERTIFIED, -1, wire_uint(attestor->told),
			wire_uint(all.n), wire_uint(attestor->certificate.tail),
			wire_bool(attestor->quoter.quote.hex != NULL),
			wire_bin(attestor->quoter.statement_sha256, DIGEST_SIZE),
			wire_bin(all.p + attestor->told, n));
		if (r != IPC_SENT)
			break;
		attestor->told += n;
	}
	if (attestor->told < all.n)
		ipc_want_writable(control);
}

static void on_writable(struct ipc_channel *channel)
{
	tell(attestor_of(channel));
}

static void certify(struct attestor *attestor)
{
	int r = certificate_make(&attestor->certificate, buf_span(&attestor->statement),
		&attestor->signer, &attestor->quoter, &attestor->collateral);
	if (r < 0) {
		log_line(attestor, LOG_WARNING, "the evidence cannot be put together: %s",
			strerror(-r));
		struct instant due = instant_add_ms(instant_now(), AGAIN_MS);
		if (loop_timer_set(&attestor->loop, &attestor->again, due) < 0)
			loop_stop(&attestor->loop, ATTESTOR_EXIT_START);
		return;
	}
	attestor->told = 0;
	tell(attestor);
}

static void on_again(struct loop_timer *timer)
{
	certify(container_of(timer, struct attestor, again));
}

// The instance statement, of the facts as they are now. One that says the same as before keeps its
// quote.
static int make_statement(struct attestor *attestor)
{
	CLEANUP(buf_reset) struct buf text;
	buf_init(&text, SIGNER_BYTES_MAX);
	int r = facts_statement(&text, &attestor->facts, attestor->signer.public_key);
	if (r < 0 || span_eq(buf_span(&text), buf_span(&attestor->statement)))
		return r;
	struct buf before = attestor->statement;
	attestor->statement = text;
	text = before;
	quoter_set_statement(&attestor->quoter, buf_span(&attestor->statement));
	certify(attestor);
	return 0;
}

// ---- what the quoter says

static struct attestor *attestor_of_quoter(struct quoter *quoter)
{
	return container_of(quoter, struct attestor, quoter);
}

static void on_connect(struct quoter *quoter)
{
	(void)ipc_send(&attestor_of_quoter(quoter)->control, MSG_GUEST_WANTED, -1, NULL, 0);
}

static void on_changed(struct quoter *quoter)
{
	struct attestor *attestor = attestor_of_quoter(quoter);
	if (quoter->state == GUEST_OK)
		log_line(attestor, LOG_INFO, "the instance key is certified by a quote");
	certify(attestor);
}

static void on_failed(
	struct quoter *quoter, const char *method, enum guest_outcome outcome, const char *why)
{
	log_line(attestor_of_quoter(quoter), LOG_INFO, "guest service: %s: %s%s%s", method,
		guest_outcome_name(outcome), why[0] != '\0' ? ": " : "", why);
}

// It goes into a certificate, as bytes.
static int on_tls_key(struct quoter *quoter, const struct quote *quote)
{
	static uint8_t bytes[RATLS_QUOTE_MAX];
	struct attestor *attestor = attestor_of_quoter(quoter);
	struct span hex = span_of(quote->hex), log = span_of(quote->event_log);
	if (hex.n / 2 > sizeof bytes || log.n > RATLS_LOG_MAX) {
		log_line(attestor, LOG_WARNING,
			"the TLS certificate has no room for a quote of %zu bytes with %zu of log",
			hex.n / 2, log.n);
		return 0;
	}
	int r = hex_decode(bytes, hex.n / 2, hex);
	if (r == 0)
		r = ipc_post(&attestor->control, MSG_RATLS, -1, wire_bin(bytes, hex.n / 2),
			wire_bin(log.p, log.n));
	return r == IPC_FULL ? -EAGAIN : r;
}

static void answer_fresh(struct attestor *attestor, const struct fresh_request *request,
	enum code code, unsigned retry_after, const char *detail, struct span document)
{
	(void)ipc_post(&attestor->control, MSG_QUOTED, -1, wire_uint(request->request),
		wire_uint(request->asker), wire_uint(code), wire_uint(retry_after),
		wire_str(span_of(detail)), wire_bin(document.p, document.n));
}

static void on_fresh(struct quoter *quoter, const struct fresh_request *request,
	enum guest_outcome outcome, const struct quote *quote)
{
	struct attestor *attestor = attestor_of_quoter(quoter);
	char detail[96];
	CLEANUP(buf_reset) struct buf document;
	buf_init(&document, FRESH_MAX);
	if (quote != NULL && certificate_fresh(&document, request, quote) < 0)
		outcome = GUEST_TOO_LARGE;
	if (outcome == GUEST_OK) {
		answer_fresh(attestor, request, CODE_NONE, 0, "", buf_span(&document));
		return;
	}
	snprintf(detail, sizeof detail, "The guest service gave no quote: %s.",
		guest_outcome_name(outcome));
	answer_fresh(attestor, request, CODE_DRAINING, 0, detail, SPAN(""));
}

// ---- what comes of collateral

static void on_collateral_connect(struct collateral *collateral)
{
	struct attestor *attestor = container_of(collateral, struct attestor, collateral);
	(void)ipc_send(&attestor->control, MSG_COLLATERAL_WANTED, -1, NULL, 0);
}

static void on_collateral_changed(struct collateral *collateral)
{
	struct attestor *attestor = container_of(collateral, struct attestor, collateral);
	log_line(attestor, collateral->state == GUEST_OK ? LOG_INFO : LOG_WARNING, "collateral: %s",
		collateral_state(collateral));
	if (buf_len(&attestor->statement) > 0)
		certify(attestor);
}

// ---- messages of the supervisor

static int handle_setup(struct ipc_channel *channel, struct ipc_message *message)
{
	struct attestor *attestor = attestor_of(channel);
	if (facts_read(&attestor->facts, message->fields) < 0)
		return -EBADMSG;
	quoter_init(&attestor->quoter, &attestor->loop, message->fields[6].number);
	attestor->quoter.connect = on_connect;
	attestor->quoter.changed = on_changed;
	attestor->quoter.failed = on_failed;
	attestor->quoter.tls_key = on_tls_key;
	attestor->quoter.fresh = on_fresh;
	channel->phase = PHASE_RUN;
	attestor->collateral.connect = on_collateral_connect;
	attestor->collateral.changed = on_collateral_changed;
	if (message->fields[8].number)
		collateral_start(&attestor->collateral, &attestor->loop);
	return 0;
}

static int handle_collateral(struct ipc_channel *channel, struct ipc_message *message)
{
	if (ipc_check_stream(message->fd, true) < 0)
		return -EBADMSG;
	collateral_connected(&attestor_of(channel)->collateral, take_fd(&message->fd),
		message->fields[0].bytes, message->fields[1].bytes);
	return 0;
}

static int handle_collateral_failed(struct ipc_channel *channel, struct ipc_message *message)
{
	collateral_unavailable(&attestor_of(channel)->collateral);
	return 0;
}

static int handle_tls_keys(struct ipc_channel *channel, struct ipc_message *message)
{
	struct attestor *attestor = attestor_of(channel);
	if (facts_read_tls(&attestor->facts, message->fields[0].bytes) < 0)
		return -EBADMSG;
	int r = make_statement(attestor);
	if (r == 0)
		quoter_set_tls_key(&attestor->quoter, message->fields[1].bytes);
	return r;
}

static int handle_guest(struct ipc_channel *channel, struct ipc_message *message)
{
	if (ipc_check_stream(message->fd, false) < 0)
		return -EBADMSG;
	quoter_connected(
		&attestor_of(channel)->quoter, take_fd(&message->fd), message->fields[0].number);
	return 0;
}

static int handle_guest_failed(struct ipc_channel *channel, struct ipc_message *message)
{
	quoter_unavailable(&attestor_of(channel)->quoter);
	return 0;
}

static int handle_state(struct ipc_channel *channel, struct ipc_message *message)
{
	struct attestor *attestor = attestor_of(channel);
	struct statement statement;
	char id[TUNNEL_ID_MAX + 1];
	uint8_t signature[SIGNER_SIGNATURE_SIZE];
	CLEANUP(buf_reset) struct buf text;
	buf_init(&text, STATEMENT_MAX);
	int r = statement_read(&statement, message->fields);
	if (r == 0)
		r = statement_format(&text, &statement, &attestor->facts, id);
	if (r == 0)
		r = signer_sign(
			&attestor->signer, statement_type(&statement), buf_span(&text), signature);
	if (r == -EBADMSG)
		return r;
	if (r < 0) { // who asked for it waits a little, and goes on without
		log_line(attestor, LOG_WARNING, "nothing could be signed: %s", strerror(-r));
		return 0;
	}
	(void)ipc_post(channel, MSG_STATED, -1, message->fields[0], message->fields[1],
		wire_str(span_of(id)), wire_bin(buf_span(&text).p, buf_len(&text)),
		wire_bin(signature, sizeof signature),
		wire_bin(attestor->quoter.statement_sha256, DIGEST_SIZE));
	return 0;
}

static int handle_fresh(struct ipc_channel *channel, struct ipc_message *message)
{
	struct attestor *attestor = attestor_of(channel);
	struct span nonce = message->fields[2].bytes;
	struct fresh_request request = {
		.request = message->fields[0].number,
		.asker = message->fields[1].number,
		.n = nonce.n,
	};
	unsigned retry_after;
	memcpy(request.nonce, nonce.p, nonce.n);
	switch (quoter_ask(&attestor->quoter, &request, &retry_after)) {
	case QUOTER_LIMITED:
		answer_fresh(attestor, &request, CODE_RATE_LIMITED, retry_after,
			"As many fresh quotes as fresh_rate allows have been made in this minute.",
			SPAN(""));
		break;
	case QUOTER_FULL:
		answer_fresh(attestor, &request, CODE_RATE_LIMITED, retry_after,
			"Too many others wait for a fresh quote.", SPAN(""));
		break;
	case QUOTER_NEVER:
		answer_fresh(attestor, &request, CODE_RATE_LIMITED, retry_after,
			"This server makes no fresh quotes (fresh_rate is 0).", SPAN(""));
		break;
	default: break;
	}
	return 0;
}

static const struct ipc_handling control_table[] = {
	{MSG_ATTEST_SETUP, handle_setup},
	{MSG_TLS_KEYS, handle_tls_keys},
	{MSG_COLLATERAL, handle_collateral},
	{MSG_COLLATERAL_FAILED, handle_collateral_failed},
	{MSG_GUEST, handle_guest},
	{MSG_GUEST_FAILED, handle_guest_failed},
	{MSG_STATE, handle_state},
	{MSG_FRESH, handle_fresh},
};

static const struct ipc_handlers control_handlers = {
	.self = ROLE_ATTESTOR,
	.peer = ROLE_SUPERVISOR,
	.table = control_table,
	.n = ARRAY_SIZE(control_table),
};

static void on_control_ended(struct ipc_channel *channel, const char *why)
{
	loop_stop(&attestor_of(channel)->loop, ATTESTOR_EXIT_CONTROL);
}

static void on_control_exhausted(struct ipc_channel *channel, const struct ipc_message *lost)
{
	loop_stop(&attestor_of(channel)->loop, ATTESTOR_EXIT_LOST);
}

// ---- life

// What libraries would read from files that the sandbox hides.
static int prepare_libraries(void)
{
	size_t seed = 0;
	while (seed == 0)
		if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
			return -errno;
	json_object_seed(seed);
	tzset();
	return 0;
}

// The operator's file: whatever is no JSON object is left out, and its verifiers will miss it.
static int read_collateral(struct attestor *attestor)
{
	struct stat st;
	int fd = ATTESTOR_COLLATERAL_FD;
	if (fstat(fd, &st) < 0)
		return -errno;
	size_t n = (size_t)st.st_size;
	char *text = malloc(n + 1);
	if (text == NULL)
		return -ENOMEM;
	ssize_t got = pread(fd, text, n, 0);
	(void)collateral_set(&attestor->collateral, text, got > 0 ? (size_t)got : 0);
	close(fd);
	return got == (ssize_t)n ? 0 : -EIO;
}

int attestor_prepare(struct attestor *attestor)
{
	*attestor = (struct attestor){0};
	buf_init(&attestor->statement, SIGNER_BYTES_MAX);
	int r = prepare_libraries();
	if (r == 0)
		r = signer_init(&attestor->signer);
	if (r == 0)
		r = read_collateral(attestor);
	return r;
}

int attestor_init(struct attestor *attestor, uint32_t epoch, unsigned reached)
{
	int r = loop_init(&attestor->loop);
	if (r == 0)
		r = ipc_init(&attestor->control, &attestor->loop, IPC_FIRST_FD, &control_handlers,
			epoch, 0, QUEUE_MAX);
	if (r < 0)
		return r;
	attestor->control.ended = on_control_ended;
	attestor->control.exhausted = on_control_exhausted;
	attestor->control.writable = on_writable;
	attestor->again.expired = on_again;
	r = ipc_post(&attestor->control, MSG_READY, -1, wire_uint(reached));
	return r < 0 ? r : 0;
}

int attestor_run(struct attestor *attestor)
{
	int status = loop_run(&attestor->loop);
	return status < 0 ? ATTESTOR_EXIT_LOOP : status;
}
