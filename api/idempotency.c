// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "idempotency.h"

static void on_timer(struct loop_timer *timer);

// ---- keys

// Takes the quotes off: OUT gets what stands between them. Returns its length, 0 when VALUE is no
// string of RFC 8941 or too long.
static size_t unquote(struct span value, char out[IDEMPOTENCY_KEY_MAX])
{
	size_t n = 0;
	if (value.n < 2 || value.p[value.n - 1] != '"')
		return 0;
	for (size_t i = 1; i < value.n - 1; i++) {
		char c = value.p[i];
		if (c == '\\') {
			// The last character is the closing quote: there is always a next one.
			c = value.p[++i];
			if (i == value.n - 1 || (c != '"' && c != '\\'))
				return 0;
		} else if (c == '"' || c < ' ' || c > '~') {
			return 0;
		}
		if (n == IDEMPOTENCY_KEY_MAX)
			return 0;
		out[n++] = c;
	}
	return n;
}

static size_t copy_bare(struct span value, char out[IDEMPOTENCY_KEY_MAX])
{
	if (value.n > IDEMPOTENCY_KEY_MAX)
		return 0;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] <= ' ' || value.p[i] > '~')
			return 0;
		out[i] = value.p[i];
	}
	return value.n;
}

// The one value of the field. Returns 0 or an outcome.
static int find_field(const struct http_head *head, struct span *value)
{
	unsigned n = 0;
	for (size_t i = 0; i < head->n_fields; i++)
		if (span_eq_nocase(head->fields[i].name, SPAN("idempotency-key"))) {
			*value = head->fields[i].value;
			n++;
		}
	return n == 0 ? IDEMPOTENCY_NO_KEY : n == 1 ? 0 : IDEMPOTENCY_BAD_KEY;
}

int idempotency_key_read(struct idempotency_key *key, const struct http_head *head,
	struct span body, const char *token)
{
	// The id of a token has no blank: no other token and key give the same text.
	char text[TOKEN_ID_MAX + 1 + IDEMPOTENCY_KEY_MAX];
	struct span value = {NULL, 0};
	int r = find_field(head, &value);
	if (r != 0)
		return r;
	size_t start = strnlen(token, TOKEN_ID_MAX);
	memcpy(text, token, start);
	text[start++] = ' ';
	size_t n = value.n > 0 && value.p[0] == '"' ? unquote(value, text + start)
						    : copy_bare(value, text + start);
	if (n == 0)
		return IDEMPOTENCY_BAD_KEY;
	secret_hash_make(&key->id, (struct span){text, start + n});
	secret_hash_make(&key->body, body);
	return 0;
}

// ---- answers

void idempotency_init(struct idempotency *set, struct loop *loop, size_t max)
{
	*set = (struct idempotency){.loop = loop, .max = max, .timer.expired = on_timer};
	TAILQ_INIT(&set->done);
}

void idempotency_forget(struct kept_answer *kept)
{
	struct idempotency *set = kept->set;
	LIST_REMOVE(kept, same);
	if (kept->bytes != NULL) {
		TAILQ_REMOVE(&set->done, kept, age);
		set->n--;
		set->n_scoped -= kept->scoped;
		explicit_bzero(kept->bytes, kept->n);
		free(kept->bytes);
	}
	free(kept);
}

void idempotency_deinit(struct idempotency *set)
{
	loop_timer_clear(set->loop, &set->timer);
	for (size_t i = 0; i < IDEMPOTENCY_BUCKETS; i++)
		while (!LIST_EMPTY(&set->buckets[i]))
			idempotency_forget(LIST_FIRST(&set->buckets[i]));
}

static size_t bucket_of(const struct idempotency_key *key)
{
	return key->id.bytes[0] % IDEMPOTENCY_BUCKETS;
}

struct kept_answer *idempotency_find(struct idempotency *set, const struct idempotency_key *key)
{
	struct kept_answer *kept;
	LIST_FOREACH(kept, &set->buckets[bucket_of(key)], same)
	if (secret_hash_equal(&kept->key.id, &key->id))
		return kept;
	return NULL;
}

struct kept_answer *idempotency_begin(
	struct idempotency *set, const struct idempotency_key *key, bool scoped)
{
	struct kept_answer *kept = calloc(1, sizeof *kept);
	if (kept == NULL)
		return NULL;
	kept->set = set;
	kept->key = *key;
	kept->scoped = scoped;
	LIST_INSERT_HEAD(&set->buckets[bucket_of(key)], kept, same);
	return kept;
}

static struct kept_answer *oldest(struct idempotency *set, bool scoped_only)
{
	struct kept_answer *kept;
	TAILQ_FOREACH(kept, &set->done, age)
	if (kept->scoped || !scoped_only)
		return kept;
	return NULL;
}

// Makes a place for one more. Returns false when there is none.
static bool make_place(struct idempotency *set, bool scoped)
{
	while (set->n >= set->max || (scoped && set->n_scoped >= set->max / 2)) {
		struct kept_answer *victim = oldest(set, scoped);
		if (victim == NULL)
			return false;
		idempotency_forget(victim);
	}
	return true;
}

// All are kept equally long, so the oldest ends first.
static void set_timer(struct idempotency *set)
{
	struct kept_answer *first;
	while ((first = TAILQ_FIRST(&set->done)) != NULL &&
		loop_timer_set(set->loop, &set->timer, first->until) < 0)
		idempotency_forget(first); // a secret must not stay for ever
	if (first == NULL)
		loop_timer_clear(set->loop, &set->timer);
}

static void on_timer(struct loop_timer *timer)
{
	struct idempotency *set = container_of(timer, struct idempotency, timer);
	struct kept_answer *first;
	struct instant now = instant_now();
	while ((first = TAILQ_FIRST(&set->done)) != NULL && instant_reached(now, first->until))
		idempotency_forget(first);
	set_timer(set);
}

void idempotency_finish(struct kept_answer *kept, struct span answer)
{
	struct idempotency *set = kept->set;
	char *bytes = NULL;
	if (answer.n <= IDEMPOTENCY_ANSWER_MAX && make_place(set, kept->scoped))
		bytes = malloc(answer.n);
	if (bytes == NULL) {
		idempotency_forget(kept);
		return;
	}
	memcpy(bytes, answer.p, answer.n);
	kept->bytes = bytes;
	kept->n = answer.n;
	kept->until = instant_add_ms(instant_now(), IDEMPOTENCY_KEPT_MS);
	TAILQ_INSERT_TAIL(&set->done, kept, age);
	set->n++;
	set->n_scoped += kept->scoped;
	set_timer(set);
}
