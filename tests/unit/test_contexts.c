// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Which certificate a visitor is shown, and that new ones replace the old as a whole or not at all.

#include "contexts.h"
#include "keygen.h"

#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include <cmocka.h>

struct made {
	char *chain;
	int key;
};

static struct made make(const char *names)
{
	const struct keygen_subject subject = {.names = span_of(names), .life_s = 3600};
	struct made made = {NULL, memfd_create("key", MFD_CLOEXEC)};
	assert_int_equal(keygen_make(&subject, made.key, &made.chain), 0);
	return made;
}

static void unmake(struct made made)
{
	free(made.chain);
	close(made.key);
}

// The result of the last one.
static int add_all(struct contexts *contexts, const char *const *names, size_t n)
{
	int r = -1;
	for (size_t i = 0; i < n; i++) {
		const char *why = "";
		struct made made = make(names[i]);
		r = contexts_add(contexts, i, n, span_of(made.chain), made.key, &why);
		unmake(made);
	}
	return r;
}

static void drop(struct contexts *contexts)
{
	while (contexts->n > 0)
		SSL_CTX_free(contexts->items[--contexts->n]);
	while (contexts->n_next > 0)
		SSL_CTX_free(contexts->next[--contexts->n_next]);
}

// The certificate that a visitor gets who asks for NAME (NULL: for none), to be freed; NULL when
// there is no handshake.
static X509 *shown(struct contexts *contexts, const char *name, const char *alpn)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *visitor = SSL_new(context), *edge = contexts_accept(contexts);
	BIO *here, *there;
	assert_int_equal(BIO_new_bio_pair(&here, 65536, &there, 65536), 1);
	SSL_set_bio(visitor, here, here);
	SSL_set_bio(edge, there, there);
	SSL_set_connect_state(visitor);
	char asked[64]; // OpenSSL's macro wants what is not const
	snprintf(asked, sizeof asked, "%s", name != NULL ? name : "");
	if (name != NULL)
		SSL_set_tlsext_host_name(visitor, asked);
	if (alpn != NULL)
		SSL_set_alpn_protos(visitor, (const uint8_t *)alpn, (unsigned)strlen(alpn));
	for (int i = 0; i < 4; i++) {
		SSL_do_handshake(visitor);
		SSL_do_handshake(edge);
	}
	X509 *certificate = SSL_is_init_finished(edge) ? SSL_get1_peer_certificate(visitor) : NULL;
	SSL_free(visitor);
	SSL_free(edge);
	SSL_CTX_free(context);
	return certificate;
}

static bool is_shown(struct contexts *contexts, const char *asked, const char *name)
{
	X509 *certificate = shown(contexts, asked, NULL);
	assert_non_null(certificate);
	bool is = X509_check_host(certificate, name, 0, 0, NULL) == 1;
	X509_free(certificate);
	return is;
}

static void test_the_name_decides(void **state)
{
	static const char *const names[] = {"one.test,localhost", "*.two.test", "three.test"};
	struct contexts contexts = {0};
	assert_int_equal(add_all(&contexts, names, ARRAY_SIZE(names)), CONTEXTS_COMPLETE);
	static const struct {
		const char *asked, *name;
	} cases[] = {
		{NULL, "one.test"},
		{"one.test", "one.test"},
		{"a.two.test", "a.two.test"},
		{"A.TWO.test", "a.two.test"},
		{"a.b.two.test", "one.test"},
		{"two.test", "one.test"},
		{"three.test", "three.test"},
		{"nobody.test", "one.test"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (!is_shown(&contexts, cases[i].asked, cases[i].name))
			fail_msg("asked for %s, not shown %s", cases[i].asked, cases[i].name);
	drop(&contexts);
}

static void test_only_a_whole_set_replaces(void **state)
{
	static const char *const old[] = {"old.test"}, *const new[] = {"new.test", "new2.test"};
	struct contexts contexts = {0};
	const char *why = "";
	struct made made = make("new.test");
	assert_null(contexts_accept(&contexts));
	assert_int_equal(add_all(&contexts, old, 1), CONTEXTS_COMPLETE);
	assert_int_equal(contexts_add(&contexts, 0, 2, span_of(made.chain), made.key, &why), 0);
	assert_true(is_shown(&contexts, NULL, "old.test"));
	assert_int_equal(
		contexts_add(&contexts, 1, 2, SPAN("none"), made.key, &why), CONTEXTS_INVALID);
	assert_true(is_shown(&contexts, NULL, "old.test"));
	assert_int_equal(
		contexts_add(&contexts, 2, 3, span_of(made.chain), made.key, &why), -EBADMSG);
	assert_int_equal(
		contexts_add(&contexts, 1, 1, span_of(made.chain), made.key, &why), -EBADMSG);
	assert_int_equal(add_all(&contexts, new, 2), CONTEXTS_COMPLETE);
	assert_true(is_shown(&contexts, NULL, "new.test"));
	unmake(made);
	drop(&contexts);
}

static void test_http_1_1_or_nothing(void **state)
{
	static const char *const names[] = {"one.test"};
	struct contexts contexts = {0};
	assert_int_equal(add_all(&contexts, names, 1), CONTEXTS_COMPLETE);
	X509 *certificate = shown(&contexts, NULL, "\x02h2\x08http/1.1");
	assert_non_null(certificate);
	X509_free(certificate);
	assert_null(shown(&contexts, NULL, "\x02h2"));
	drop(&contexts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_name_decides),
		cmocka_unit_test(test_only_a_whole_set_replaces),
		cmocka_unit_test(test_http_1_1_or_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
