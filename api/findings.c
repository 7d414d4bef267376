// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "findings.h"

#include "problem.h"

#include <ctype.h>
#include <stdio.h>

static void keep_failure(struct findings *findings, int r)
{
	if (r < 0)
		findings->failed = r;
}

// WHERE stands in front of the first DETAIL unless it is empty.
static void keep_first(struct findings *findings, struct span where, const char *detail)
{
	if (where.n == 0)
		snprintf(findings->first, sizeof findings->first, "%s", detail);
	else
		snprintf(findings->first, sizeof findings->first, "%.*s: %c%s", (int)where.n,
			where.p, ascii_lower(detail[0]), detail + 1);
}

// KIND, which names WHERE: "pointer", "parameter" or "header".
static void add(struct findings *findings, const char *kind, struct span where, const char *detail)
{
	if (findings->n++ >= FINDINGS_MAX)
		return;
	keep_failure(findings,
		buf_printf(findings->said, "%s{\"%s\":", findings->n > 1 ? "," : "[", kind));
	keep_failure(findings, problem_string(findings->said, where));
	keep_failure(findings, buf_printf(findings->said, ",\"detail\":"));
	keep_failure(findings, problem_string(findings->said, span_of(detail)));
	keep_failure(findings, buf_printf(findings->said, "}"));
}

void finding_member(
	struct findings *findings, const char *prefix, struct span name, const char *detail)
{
	char text[16 + 2 * FINDINGS_NAME_MAX];
	size_t n = name.p != NULL ? (size_t)snprintf(text, sizeof text, "%s/", prefix) : 0;
	for (size_t i = 0; i < name.n && n + 2 < sizeof text; i++) {
		bool escaped = name.p[i] == '~' || name.p[i] == '/';
		if (escaped)
			text[n++] = '~';
		text[n++] = name.p[i] == '~' ? '0' : name.p[i] == '/' ? '1' : name.p[i];
	}
	struct span pointer = {text, n};
	if (findings->n == 0)
		keep_first(findings, pointer, detail);
	add(findings, "pointer", pointer, detail);
}

struct span finding_sentence(char out[FINDINGS_SENTENCE_SIZE], struct span reason)
{
	bool ended = reason.n > 0 && reason.p[reason.n - 1] == '.';
	snprintf(out, FINDINGS_SENTENCE_SIZE, "%.*s%s", (int)reason.n, reason.p, ended ? "" : ".");
	out[0] = (char)toupper((unsigned char)out[0]);
	return span_of(out);
}

void finding_reason(struct findings *findings, struct span name, struct span reason)
{
	char detail[FINDINGS_SENTENCE_SIZE];
	finding_sentence(detail, reason);
	finding_member(findings, "", name, detail);
}

void finding_unknown(struct findings *findings, const char *prefix, struct span name)
{
	if (name.n <= FINDINGS_NAME_MAX) {
		finding_member(findings, prefix, name, "There is no such member.");
		return;
	}
	char detail[96];
	snprintf(
		detail, sizeof detail, "A member whose name has %zu bytes does not exist.", name.n);
	finding_member(findings, prefix, (struct span){NULL, 0}, detail);
}

// DETAIL names it: the first one needs nothing in front.
static void add_named(
	struct findings *findings, const char *kind, struct span name, const char *detail)
{
	if (findings->n == 0)
		keep_first(findings, (struct span){NULL, 0}, detail);
	add(findings, kind, name, detail);
}

void finding_parameter(struct findings *findings, struct span name, const char *detail)
{
	add_named(findings, "parameter", name, detail);
}

void finding_field(struct findings *findings, struct span name, const char *detail)
{
	add_named(findings, "header", name, detail);
}

int findings_end(struct findings *findings, char summary[FINDINGS_SUMMARY_SIZE])
{
	if (findings->failed < 0)
		return findings->failed;
	if (findings->n == 0)
		return FINDINGS_NONE;
	int n = snprintf(summary, FINDINGS_SUMMARY_SIZE, "%s", findings->first);
	if (findings->n > 1)
		snprintf(summary + n, FINDINGS_SUMMARY_SIZE - (size_t)n, " (and %u more)",
			findings->n - 1);
	int r = buf_printf(findings->said, "]");
	return r < 0 ? r : FINDINGS_INVALID;
}
