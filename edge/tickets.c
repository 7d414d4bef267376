// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tickets.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

enum { NAME_SIZE = 16, SECRET_SIZE = 32, KEYS = 2 };

// Layout of TICKET_KEY_SIZE bytes.
struct ticket_key {
	uint8_t name[NAME_SIZE];
	uint8_t cipher[SECRET_SIZE];
	uint8_t mac[SECRET_SIZE];
};
static_assert(sizeof(struct ticket_key) == TICKET_KEY_SIZE, "as they travel");

// One process serves with one set of keys: the current ones first.
static struct ticket_key keys[KEYS];
static size_t n_keys;

void tickets_set_keys(struct span current, struct span previous)
{
	explicit_bzero(keys, sizeof keys);
	memcpy(&keys[0], current.p, sizeof keys[0]);
	if (previous.n == sizeof keys[1])
		memcpy(&keys[1], previous.p, sizeof keys[1]);
	n_keys = previous.n == sizeof keys[1] ? 2 : 1;
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
	char digest[] = "SHA256";
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

// SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 done, 2 done and to be replaced, 0 no such key (a full
// handshake follows), -1 failure.
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int seal)
{
	const EVP_CIPHER *aes = EVP_aes_256_cbc();
	if (n_keys == 0)
		return 0;
	if (seal) {
		struct ticket_key *key = &keys[0];
		memcpy(name, key->name, NAME_SIZE);
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) != 1)
			return -1;
		return EVP_EncryptInit_ex2(cipher, aes, key->cipher, iv, NULL) == 1 &&
				       set_mac(mac, key)
			       ? 1
			       : -1;
	}
	for (size_t i = 0; i < n_keys; i++) {
		if (memcmp(name, keys[i].name, NAME_SIZE) != 0) // a name, no secret
			continue;
		if (EVP_DecryptInit_ex2(cipher, aes, keys[i].cipher, iv, NULL) != 1 ||
			!set_mac(mac, &keys[i]))
			return -1;
		return i == 0 ? 1 : 2;
	}
	return 0;
}

bool tickets_use(SSL_CTX *context)
{
	static const unsigned char name[] = "tunneld";
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	// OpenSSL would send two to everybody. One is enough to come back with, and making them is
	// a good part of a handshake's cost.
	return SSL_CTX_set_num_tickets(context, 1) == 1 &&
	       SSL_CTX_set_session_id_context(context, name, sizeof name - 1) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1;
}
