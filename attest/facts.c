// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "facts.h"

#include "clock.h"
#include "problem.h"
#include "text.h"

// ---- reading

static int copy_text(char *out, size_t size, struct span text)
{
	if (text.n >= size)
		return -EBADMSG;
	memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	return 0;
}

static int copy_digest(uint8_t out[DIGEST_SIZE], const struct wire_value *value)
{
	if (value->kind != WIRE_BIN || value->bytes.n != DIGEST_SIZE)
		return -EBADMSG;
	memcpy(out, value->bytes.p, DIGEST_SIZE);
	return 0;
}

static int read_component(struct fact_component *component, const struct wire_value v[3])
{
	*component = (struct fact_component){.filtered = v[2].bytes.n > 0};
	if (v[0].kind != WIRE_STR || v[2].kind != WIRE_BIN ||
		copy_text(component->name, sizeof component->name, v[0].bytes) < 0 ||
		copy_digest(component->sha256, &v[1]) < 0)
		return -EBADMSG;
	return component->filtered ? copy_digest(component->seccomp_sha256, &v[2]) : 0;
}

static int read_components(struct facts *facts, struct span bytes)
{
	struct wire_value v[3 * FACTS_COMPONENTS_MAX];
	int n = wire_decode(bytes.p, bytes.n, v, ARRAY_SIZE(v));
	if (n < 0 || n % 3 != 0)
		return -EBADMSG;
	facts->n_components = (size_t)n / 3;
	for (size_t i = 0; i < facts->n_components; i++)
		if (read_component(&facts->components[i], &v[3 * i]) < 0)
			return -EBADMSG;
	return 0;
}

int facts_read(struct facts *facts, const struct wire_value *fields)
{
	*facts = (struct facts){
		.started_at = (int64_t)fields[4].number,
		.started_on = {(int64_t)fields[5].number},
	};
	if (copy_text(facts->version, sizeof facts->version, fields[0].bytes) < 0 ||
		copy_text(facts->commit, sizeof facts->commit, fields[1].bytes) < 0 ||
		copy_text(facts->tree_sha256, sizeof facts->tree_sha256, fields[2].bytes) < 0 ||
		copy_digest(facts->config_sha256, &fields[3]) < 0)
		return -EBADMSG;
	return read_components(facts, fields[7].bytes);
}

int facts_read_tls(struct facts *facts, struct span keys)
{
	struct wire_value v[3 * FACTS_TLS_MAX];
	int n = keys.n > 0 ? wire_decode(keys.p, keys.n, v, ARRAY_SIZE(v)) : 0;
	if (n < 0 || n % 3 != 0)
		return -EBADMSG;
	facts->n_tls = (size_t)n / 3;
	for (size_t i = 0; i < facts->n_tls; i++) {
		struct fact_tls *tls = &facts->tls[i];
		if (v[3 * i].kind != WIRE_STR || v[3 * i + 2].kind != WIRE_BOOL ||
			copy_text(tls->listener, sizeof tls->listener, v[3 * i].bytes) < 0 ||
			copy_digest(tls->spki_sha256, &v[3 * i + 1]) < 0)
			return -EBADMSG;
		tls->from_file = v[3 * i + 2].number != 0;
	}
	return 0;
}

const struct fact_component *facts_component(const struct facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->n_components; i++)
		if (strcmp(facts->components[i].name, name) == 0)
			return &facts->components[i];
	return NULL;
}

// ---- the statement

static int add_tls(struct buf *out, const struct facts *facts)
{
	int r = buf_printf(out, ",\"tls\":[");
	for (size_t i = 0; i < facts->n_tls && r == 0; i++) {
		r = buf_printf(out, "%s{\"listener\":", i == 0 ? "" : ",");
		if (r == 0)
			r = problem_string(out, span_of(facts->tls[i].listener));
		if (r == 0)
			r = buf_printf(out, ",\"spki_sha256\":");
		if (r == 0)
			r = text_hex(out, facts->tls[i].spki_sha256, DIGEST_SIZE);
		if (r == 0)
			r = buf_printf(out, facts->tls[i].from_file ? ",\"from_file\":true}" : "}");
	}
	return r == 0 ? buf_add(out, "]", 1) : r;
}

static int add_component(struct buf *out, const struct fact_component *component)
{
	int r = buf_printf(out, "{\"name\":");
	if (r == 0)
		r = problem_string(out, span_of(component->name));
	if (r == 0)
		r = buf_printf(out, ",\"sha256\":");
	if (r == 0)
		r = text_hex(out, component->sha256, DIGEST_SIZE);
	if (r == 0)
		r = buf_printf(out, ",\"seccomp_sha256\":");
	if (r == 0)
		r = component->filtered ? text_hex(out, component->seccomp_sha256, DIGEST_SIZE)
					: buf_printf(out, "null");
	return r == 0 ? buf_add(out, "}", 1) : r;
}

static int add_components(struct buf *out, const struct facts *facts)
{
	int r = buf_printf(out, ",\"components\":[");
	for (size_t i = 0; i < facts->n_components && r == 0; i++) {
		if (i > 0)
			r = buf_add(out, ",", 1);
		if (r == 0)
			r = add_component(out, &facts->components[i]);
	}
	return r == 0 ? buf_add(out, "]", 1) : r;
}

static int add_source(struct buf *out, const struct facts *facts)
{
	const struct {
		const char *name, *value;
	} members[] = {
		{"{\"version\":", facts->version},
		{",\"commit\":", facts->commit},
		{",\"tree_sha256\":", facts->tree_sha256},
	};
	int r = buf_printf(out, ",\"source\":");
	for (size_t i = 0; i < ARRAY_SIZE(members) && r == 0; i++) {
		r = buf_printf(out, "%s", members[i].name);
		if (r == 0)
			r = problem_string(out, span_of(members[i].value));
	}
	return r == 0 ? buf_add(out, "}", 1) : r;
}

int facts_statement(struct buf *out, const struct facts *facts, const uint8_t key[SIGNER_KEY_SIZE])
{
	int r = buf_printf(out, "{\"type\":\"" INSTANCE_TYPE "\",\"instance_key\":");
	if (r == 0)
		r = text_hex(out, key, SIGNER_KEY_SIZE);
	if (r == 0)
		r = add_tls(out, facts);
	if (r == 0)
		r = add_components(out, facts);
	if (r == 0)
		r = add_source(out, facts);
	if (r == 0)
		r = buf_printf(out, ",\"config_sha256\":");
	if (r == 0)
		r = text_hex(out, facts->config_sha256, DIGEST_SIZE);
	if (r == 0)
		r = buf_printf(out, ",\"started_at\":");
	if (r == 0)
		r = text_time(out, facts->started_at);
	return r == 0 ? buf_add(out, "}", 1) : r;
}
