// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "report.h"

#include "bytes.h"
#include "clean.h"
#include "clock.h"
#include "hex.h"

static void print_checks(FILE *out, const struct verdict *verdict)
{
	static const char *const marks[] = {
		[CHECK_LEFT_OUT] = " -- ", [CHECK_PASSED] = " ok ", [CHECK_FAILED] = "FAIL"};
	for (unsigned i = 0; i < CHECKS; i++) {
		const char *why = verdict->checks[i].why.text;
		enum check_state state = verdict->checks[i].state;
		if (state == CHECK_LEFT_OUT && why[0] == '\0')
			continue;
		fprintf(out, "%s  %-19s  ", marks[state], check_name(i));
		clean_print(out, span_of(state == CHECK_PASSED ? check_meaning(i) : why));
		fputc('\n', out);
	}
}

static void print_hex(FILE *out, const char *name, struct span bytes)
{
	char hex[2 * MEASUREMENT_SIZE + 1];
	if (bytes.p == NULL || 2 * bytes.n >= sizeof hex)
		return;
	hex_encode(hex, bytes.p, bytes.n);
	fprintf(out, "      %-12s %s\n", name, hex);
}

static void print_facts(FILE *out, const struct verification *v)
{
	static const enum td_field fields[] = {TD_MR_TD, TD_RTMR0, TD_RTMR1, TD_RTMR2, TD_RTMR3};
	const struct event *compose = event_log_boot(&v->evidence->log, "compose-hash");
	for (size_t i = 0; v->is_quote && i < ARRAY_SIZE(fields); i++)
		print_hex(out, quote_td_name(fields[i]), quote_td(&v->quote, fields[i]));
	if (v->is_quote && compose != NULL)
		print_hex(out, "compose_hash", compose->payload);
}

static void print_advisories(FILE *out, const struct tcb *tcb)
{
	for (size_t i = 0; i < json_array_size(tcb->advisories); i++) {
		fputs(i == 0 ? "advisories: " : ", ", out);
		clean_print(out, span_of(json_string_value(json_array_get(tcb->advisories, i))));
	}
	if (json_array_size(tcb->advisories) > 0)
		fputc('\n', out);
	if (tcb->relaunch)
		fputs("the platform has been updated since the machine was started: it should be "
		      "started anew\n",
			out);
}

// What it has come to, in a few words.
static const char *outcome(const struct verification *v)
{
	if (verdict_rejected(&v->verdict))
		return "not accepted";
	if (!v->verdict.has_tcb)
		return "not accepted: without collateral nobody can tell whether the platform is sound";
	if (!verification_accepted(v))
		return "not accepted by the policy on TCB status";
	if (v->verdict.checks[CHECK_MEASUREMENTS].state == CHECK_LEFT_OUT ||
		v->verdict.checks[CHECK_APP].state == CHECK_LEFT_OUT)
		return "accepted as a platform; no policy was asked about what runs on it";
	return "accepted";
}

void report_print(FILE *out, const struct verification *v)
{
	char at[RFC3339_SIZE];
	print_checks(out, &v->verdict);
	print_facts(out, v);
	if (v->verdict.has_tcb)
		print_advisories(out, &v->verdict.tcb);
	if (!v->root_is_intel)
		fputs("the root of trust was given by --root-ca: this proves nothing about "
		      "Intel's hardware\n",
			out);
	rfc3339_format(v->at, at);
	fprintf(out, "%s at %s: %s\n", verdict_word(&v->verdict), at, outcome(v));
}

// ---- JSON

static json_t *hex_json(struct span bytes)
{
	char hex[2 * 80 + 1];
	if (bytes.p == NULL || 2 * bytes.n >= sizeof hex)
		return json_null();
	hex_encode(hex, bytes.p, bytes.n);
	return json_string(hex);
}

static json_t *checks_json(const struct verdict *verdict, bool failed_only)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < CHECKS; i++) {
		const char *why = verdict->checks[i].why.text;
		enum check_state state = verdict->checks[i].state;
		if (failed_only && state == CHECK_FAILED)
			json_array_append_new(list, json_string(check_name(i)));
		if (failed_only || (state == CHECK_LEFT_OUT && why[0] == '\0'))
			continue;
		json_t *check = json_pack("{s:s, s:s, s:s}", "name", check_name(i), "state",
			check_state_name(state), "reason",
			state == CHECK_PASSED ? check_meaning(i) : why);
		json_array_append_new(list, check);
	}
	return list;
}

static void add_quote(json_t *report, const struct verification *v)
{
	const struct quote *quote = &v->quote;
	json_object_set_new(report, "quote_version", json_integer(quote->version));
	json_object_set_new(report, "body_type", json_integer(quote->body_type));
	json_object_set_new(report, "quote_len", json_integer((json_int_t)v->evidence->quote.n));
	json_object_set_new(report, "auth_len", json_integer(quote->auth_size));
	json_object_set_new(report, "trailing_bytes", json_integer((json_int_t)quote->trailing));
	for (unsigned i = 0; i < TD_FIELDS; i++)
		if (quote_td(quote, i).p != NULL)
			json_object_set_new(report, quote_td_name(i), hex_json(quote_td(quote, i)));
	json_object_set_new(report, "qe_isv_svn",
		json_integer((json_int_t)bytes_number(quote_qe(quote, QE_ISV_SVN))));
}

static void add_platform(json_t *report, const struct sgx_extension *platform)
{
	json_object_set_new(
		report, "fmspc", hex_json(bytes_of(platform->fmspc, sizeof platform->fmspc)));
	json_object_set_new(report, "pck_cpu_svn",
		hex_json(bytes_of(platform->cpu_svn, sizeof platform->cpu_svn)));
	json_object_set_new(report, "pck_pce_svn", json_integer(platform->pce_svn));
}

static json_t *tcb_json(const struct tcb *tcb)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:O, s:b}", "status",
		tcb_status_word(tcb->status), "platform_status", tcb_status_word(tcb->platform),
		"qe_status", tcb_status_word(tcb->qe), "tcb_date", tcb->date, "advisory_ids",
		tcb->advisories, "relaunch_advised", tcb->relaunch);
	if (tcb->module != TCB_UNKNOWN) {
		json_object_set_new(
			json, "module_status", json_string(tcb_status_word(tcb->module)));
		json_object_set_new(json, "module_id", json_string(tcb->module_id));
	}
	return json;
}

static void add_log(json_t *report, const struct verification *v)
{
	const struct event_log *log = &v->evidence->log;
	const struct event *event = NULL;
	json_t *replays = json_array(), *boot = json_object();
	struct why why;
	for (unsigned i = 0; i < RTMRS; i++) {
		uint8_t rtmr[MEASUREMENT_SIZE];
		bool same = event_log_replay(log, i, rtmr, &why) &&
			    span_eq(bytes_of(rtmr, sizeof rtmr), quote_td(&v->quote, TD_RTMR0 + i));
		json_array_append_new(replays, json_boolean(same));
	}
	while ((event = event_log_boot_next(log, event)) != NULL) {
		char *name = strndup(event->name.p, event->name.n);
		char *hex = malloc(2 * event->payload.n + 1);
		if (name != NULL && hex != NULL && json_object_get(boot, name) == NULL) {
			hex_encode(hex, event->payload.p, event->payload.n);
			json_object_set_new(boot, name, json_string(hex));
		}
		free(name);
		free(hex);
	}
	json_object_set_new(report, "event_count", json_integer((json_int_t)log->n));
	json_object_set_new(report, "rtmr_replay_matches", replays);
	json_object_set_new(report, "boot_events", boot);
}

json_t *report_json(const struct verification *v)
{
	char at[RFC3339_SIZE];
	rfc3339_format(v->at, at);
	json_t *report = json_pack("{s:s, s:b, s:o, s:o, s:s, s:s}", "verdict",
		verdict_word(&v->verdict), "accepted", verification_accepted(v), "failed_checks",
		checks_json(&v->verdict, true), "checks", checks_json(&v->verdict, false), "root",
		v->root_is_intel ? "intel" : "given by --root-ca", "at", at);
	if (report == NULL)
		return NULL;
	if (v->is_quote)
		add_quote(report, v);
	if (v->has_platform)
		add_platform(report, &v->platform);
	if (v->verdict.has_tcb)
		json_object_set_new(report, "tcb", tcb_json(&v->verdict.tcb));
	if (v->is_quote && v->evidence->has_log)
		add_log(report, v);
	return report;
}
