// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "quoter.h"

#include "hex.h"

#include <sha2.h>
#include <stdio.h>

static void next(struct quoter *quoter);

// ---- report_data

static void sha512(uint8_t out[REPORT_DATA_SIZE], const struct span *parts, size_t n)
{
	SHA2_CTX hash;
	SHA512Init(&hash);
	for (size_t i = 0; i < n; i++)
		SHA512Update(&hash, (const uint8_t *)parts[i].p, parts[i].n);
	SHA512Final(out, &hash);
}

static void report_data_of(
	const struct quoter *quoter, enum quoter_job job, uint8_t out[REPORT_DATA_SIZE])
{
	if (job != JOB_FRESH) {
		memcpy(out, job == JOB_INSTANCE ? quoter->report_data : quoter->tls_key_data,
			REPORT_DATA_SIZE);
		return;
	}
	const struct fresh_request *request = TAILQ_FIRST(&quoter->waiting);
	const struct span parts[] = {
		SPAN("tunneld-fresh:"),
		{(const char *)quoter->statement_sha256, sizeof quoter->statement_sha256},
		{(const char *)request->nonce, request->n},
	};
	sha512(out, parts, ARRAY_SIZE(parts));
}

// ---- the end of a job

static void set_again(struct quoter *quoter, int64_t ms)
{
	// Without memory for the timer there is no refresh: the quote there is stays.
	if (loop_timer_set(quoter->loop, &quoter->again, instant_add_ms(instant_now(), ms)) < 0)
		quoter->pause_ms = QUOTER_RETRY_FIRST_MS;
}

static void try_later(struct quoter *quoter)
{
	set_again(quoter, quoter->pause_ms);
	quoter->pause_ms = MIN(quoter->pause_ms * 2, (int64_t)QUOTER_RETRY_MOST_MS);
}

static void on_again(struct loop_timer *timer)
{
	struct quoter *quoter = container_of(timer, struct quoter, again);
	quoter->wanted[JOB_VERSION] = quoter->version[0] == '\0';
	quoter->wanted[JOB_INFO] = true;
	quoter->wanted[JOB_INSTANCE] = true;
	next(quoter);
}

static enum guest_outcome end_version(
	struct quoter *quoter, enum guest_outcome outcome, struct span body)
{
	return outcome == GUEST_OK ? guest_answer_version(body, quoter->version) : outcome;
}

static enum guest_outcome end_info(
	struct quoter *quoter, enum guest_outcome outcome, struct span body)
{
	char *text = NULL;
	if (outcome == GUEST_OK)
		outcome = guest_answer_info(body, &text);
	if (outcome == GUEST_OK) {
		free(quoter->app_compose);
		quoter->app_compose = text;
	}
	return outcome;
}

static enum guest_outcome end_instance(
	struct quoter *quoter, enum guest_outcome outcome, struct span body)
{
	struct quote quote;
	if (outcome == GUEST_OK)
		outcome = guest_answer_quote(body, quoter->report_data, &quote);
	if (outcome == GUEST_OK) {
		quote_deinit(&quoter->quote);
		quoter->quote = quote;
		quoter->pause_ms = QUOTER_RETRY_FIRST_MS;
		set_again(quoter,
			quoter->app_compose != NULL ? QUOTER_REFRESH_MS : QUOTER_RETRY_MOST_MS);
		quoter->wanted[JOB_TLS_KEY] = quoter->tls_key_wanted;
	} else {
		try_later(quoter);
	}
	bool same = !quoter->pending && outcome == quoter->state && outcome != GUEST_OK;
	quoter->pending = false;
	quoter->state = outcome;
	if (!same)
		quoter->changed(quoter);
	return outcome;
}

// Comes after the instance's. A certificate can do without, so its failures are no state of the
// evidence.
static enum guest_outcome end_tls_key(
	struct quoter *quoter, enum guest_outcome outcome, struct span body)
{
	struct quote quote = {0};
	if (outcome == GUEST_OK)
		outcome = guest_answer_quote(body, quoter->tls_key_data, &quote);
	quoter->tls_key_wanted = outcome != GUEST_OK || quoter->tls_key(quoter, &quote) < 0;
	quote_deinit(&quote);
	if (quoter->tls_key_wanted)
		set_again(quoter, QUOTER_RETRY_MOST_MS);
	return outcome;
}

static enum guest_outcome end_fresh(
	struct quoter *quoter, enum guest_outcome outcome, struct span body)
{
	struct fresh_request *request = TAILQ_FIRST(&quoter->waiting);
	uint8_t report_data[REPORT_DATA_SIZE];
	struct quote quote = {0};
	report_data_of(quoter, JOB_FRESH, report_data);
	if (outcome == GUEST_OK)
		outcome = guest_answer_quote(body, report_data, &quote);
	quoter->fresh(quoter, request, outcome, outcome == GUEST_OK ? &quote : NULL);
	quote_deinit(&quote);
	TAILQ_REMOVE(&quoter->waiting, request, link);
	quoter->n_waiting--;
	free(request);
	return outcome;
}

// ---- jobs

static const struct job {
	const char *method;
	const char *path, *old_path; // NULL: the service cannot be asked for it
	enum guest_outcome (*end)(
		struct quoter *quoter, enum guest_outcome outcome, struct span body);
} jobs[JOBS] = {
	[JOB_VERSION] = {"Version", "/Version", NULL, end_version},
	[JOB_INFO] = {"Info", "/Info", "/prpc/Tappd.Info", end_info},
	[JOB_INSTANCE] = {"GetQuote", "/GetQuote", "/prpc/Tappd.RawQuote", end_instance},
	[JOB_TLS_KEY] = {"GetQuote", "/GetQuote", "/prpc/Tappd.RawQuote", end_tls_key},
	[JOB_FRESH] = {"GetQuote", "/GetQuote", "/prpc/Tappd.RawQuote", end_fresh},
};

static void end_job(struct quoter *quoter, enum guest_outcome outcome, struct span body)
{
	const struct job *job = &jobs[quoter->job];
	char why[GUEST_WHY_MAX + 1] = "";
	loop_timer_clear(quoter->loop, &quoter->deadline);
	if (outcome == GUEST_ERROR)
		guest_answer_error(body, why);
	outcome = job->end(quoter, outcome, body);
	bool news = outcome != quoter->last[quoter->job];
	quoter->last[quoter->job] = outcome;
	quoter->job = JOB_NONE;
	if (outcome != GUEST_OK && news)
		quoter->failed(quoter, job->method, outcome, why);
	next(quoter);
}

static const struct span nothing = {"", 0};

static void on_call_done(struct guest_call *call, enum guest_outcome outcome, struct span body)
{
	end_job(container_of(call, struct quoter, call), outcome, body);
}

static void on_deadline(struct loop_timer *timer)
{
	struct quoter *quoter = container_of(timer, struct quoter, deadline);
	guest_call_stop(&quoter->call);
	end_job(quoter, GUEST_SLOW, nothing);
}

static void stop_job(struct quoter *quoter, enum quoter_job job)
{
	if (quoter->job != job)
		return;
	guest_call_stop(&quoter->call);
	loop_timer_clear(quoter->loop, &quoter->deadline);
	quoter->job = JOB_NONE;
}

static enum quoter_job next_job(const struct quoter *quoter)
{
	for (enum quoter_job job = JOB_VERSION; job < JOB_FRESH; job++)
		if (quoter->wanted[job])
			return job;
	return TAILQ_EMPTY(&quoter->waiting) ? JOB_NONE : JOB_FRESH;
}

static void next(struct quoter *quoter)
{
	if (quoter->job != JOB_NONE)
		return;
	quoter->job = next_job(quoter);
	if (quoter->job == JOB_NONE)
		return;
	quoter->wanted[quoter->job] = false;
	struct instant due = instant_add_ms(instant_now(), QUOTER_CALL_MS);
	if (loop_timer_set(quoter->loop, &quoter->deadline, due) < 0)
		quoter->job = JOB_NONE; // the next request, or refresh, tries again
	else
		quoter->connect(quoter);
}

// ---- connections

void quoter_connected(struct quoter *quoter, int fd, bool old)
{
	char body[sizeof "{\"report_data\":\"\"}" + 2 * REPORT_DATA_SIZE] = "{}";
	const struct job *job = &jobs[quoter->job];
	const char *path = old ? job->old_path : job->path;
	if (quoter->job == JOB_NONE || quoter->call.watch.fd >= 0 || path == NULL) {
		close(fd);
		if (quoter->job != JOB_NONE && path == NULL)
			end_job(quoter, GUEST_ERROR, nothing);
		return;
	}
	if (quoter->job >= JOB_INSTANCE) {
		uint8_t report_data[REPORT_DATA_SIZE];
		char hex[2 * REPORT_DATA_SIZE + 1];
		report_data_of(quoter, quoter->job, report_data);
		hex_encode(hex, report_data, sizeof report_data);
		snprintf(body, sizeof body, "{\"report_data\":\"%s\"}", hex);
	}
	if (guest_call_start(&quoter->call, fd, path, span_of(body)) < 0)
		end_job(quoter, GUEST_UNAVAILABLE, nothing);
}

void quoter_unavailable(struct quoter *quoter)
{
	if (quoter->job != JOB_NONE && quoter->call.watch.fd < 0)
		end_job(quoter, GUEST_UNAVAILABLE, nothing);
}

// ---- what is asked for

void quoter_set_statement(struct quoter *quoter, struct span statement)
{
	const struct span parts[] = {SPAN("tunneld-instance:"), statement};
	SHA2_CTX hash;
	SHA256Init(&hash);
	SHA256Update(&hash, (const uint8_t *)statement.p, statement.n);
	SHA256Final(quoter->statement_sha256, &hash);
	sha512(quoter->report_data, parts, ARRAY_SIZE(parts));
	quote_deinit(&quoter->quote);
	quoter->pending = true;
	quoter->pause_ms = QUOTER_RETRY_FIRST_MS;
	stop_job(quoter, JOB_INSTANCE); // about what is no more
	on_again(&quoter->again);
}

void quoter_set_tls_key(struct quoter *quoter, struct span spki)
{
	const struct span parts[] = {SPAN("ratls-cert:"), spki};
	stop_job(quoter, JOB_TLS_KEY);
	sha512(quoter->tls_key_data, parts, ARRAY_SIZE(parts));
	quoter->tls_key_wanted = spki.n > 0;
	quoter->wanted[JOB_TLS_KEY] = quoter->tls_key_wanted && quoter->quote.hex != NULL;
	next(quoter);
}

int quoter_ask(struct quoter *quoter, const struct fresh_request *request, unsigned *retry_after)
{
	*retry_after = QUOTER_CALL_MS / 1000;
	if (!quoter->fresh_allowed)
		return QUOTER_NEVER;
	if (quoter->n_waiting == QUOTER_WAITING_MAX)
		return QUOTER_FULL;
	struct fresh_request *copy = malloc(sizeof *copy);
	if (copy == NULL)
		return QUOTER_FULL;
	unsigned wait_s = bucket_take(&quoter->rate, instant_now());
	if (wait_s > 0) {
		*retry_after = wait_s;
		free(copy);
		return QUOTER_LIMITED;
	}
	*copy = *request;
	TAILQ_INSERT_TAIL(&quoter->waiting, copy, link);
	quoter->n_waiting++;
	next(quoter);
	return 0;
}

const char *quoter_state(const struct quoter *quoter)
{
	return quoter->pending ? "pending" : guest_outcome_name(quoter->state);
}

// ---- life

void quoter_init(struct quoter *quoter, struct loop *loop, uint64_t fresh_rate)
{
	*quoter = (struct quoter){
		.loop = loop,
		.deadline.expired = on_deadline,
		.again.expired = on_again,
		.pending = true,
		.fresh_allowed = fresh_rate > 0,
	};
	TAILQ_INIT(&quoter->waiting);
	bucket_init(&quoter->rate, fresh_rate, instant_now());
	guest_call_init(&quoter->call, loop, on_call_done);
}
