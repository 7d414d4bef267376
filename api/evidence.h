// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The evidence as the API worker has it: the document that certifies the instance key, told by the
// supervisor piece by piece, and what is signed with a visitor's nonce, asked for one by one. The
// worker puts documents together and can leave out or spoil what it passes on; it cannot make any
// of it, which is what signatures are for.

#pragma once

#include "evidence_view.h"
#include "ipc.h"
#include "request.h"
#include "secret.h"

struct connection;
struct worker;

// What CERTIFICATE says of one instance. Receipts that wait to be stored share it.
struct certificate {
	unsigned refs;
	char *document; // JSON
	size_t size, have;
	size_t tail; // from here on it is the end of other documents
	bool quoted;
	struct secret_hash instance; // SHA-256 of the instance statement
	struct evidence_view view;   // of the document, made when a page is
};

struct evidence {
	struct certificate *certificate; // of this instance; NULL: not known yet
	struct certificate *former;      // the last of an attestor that is no more, for receipts
	struct certificate incoming;
};

void evidence_deinit(struct evidence *evidence);

// Handler of CERTIFICATE. *CHANGED: the one that says something else now, or NULL.
int evidence_on_certificate(struct evidence *evidence, const struct ipc_message *message,
	const struct certificate **changed) WARN_UNUSED;

// The certificate of INSTANCE, to be let go of; NULL: not known.
struct certificate *evidence_certificate_of(
	struct evidence *evidence, const struct secret_hash *instance);
// Lets go of it (may be NULL).
void certificate_unref(struct certificate *certificate);

static inline struct span certificate_document(const struct certificate *certificate)
{
	return (struct span){certificate->document, certificate->size};
}

static inline struct span certificate_tail(const struct certificate *certificate)
{
	return (struct span){
		certificate->document + certificate->tail, certificate->size - certificate->tail};
}

// What CERTIFICATE (may be NULL) says, for pages; NULL: there is none, or no memory.
const struct evidence_view *certificate_look(struct certificate *certificate);

// Appends the beginning of a document, up to where the certificate's tail goes on.
int evidence_statement(
	struct buf *out, struct span statement, const uint8_t signature[64]) WARN_UNUSED;

// ---- one question (evidence_question.c)

// Answers with a statement about tunnel ID with NONCE (ID of NULL: about the instance, without one)
// and, if FRESH, a quote about NONCE; or what stands against it. CONNECTION waits meanwhile.
void evidence_ask(struct worker *worker, struct connection *connection, const char *id,
	struct span nonce, bool fresh);

// Field lines that let scripts of any page read the answer: there is nothing in it that is not
// public.
#define EVIDENCE_FIELDS                      \
	"Access-Control-Allow-Origin: *\r\n" \
	"Access-Control-Expose-Headers: Retry-After, Tunnel-Error\r\n"
