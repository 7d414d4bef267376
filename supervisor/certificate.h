// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What certifies an instance key, as the attestor tells it (CERTIFIED): the document of one
// instance, which is told anew when there is a quote, or the state of it has changed.
//
// It is shared: by the attestor's successor it is replaced, but receipts signed with its key need
// it until they are stored.

#pragma once

#include "wire.h"

enum { INSTANCE_HASH_SIZE = 32 };

struct certificate {
	unsigned refs;
	unsigned edition;                     // grows when it is told anew
	uint8_t instance[INSTANCE_HASH_SIZE]; // SHA-256 of the instance statement
	bool quoted;
	uint8_t *bytes;    // NULL: there is none
	size_t size, have; // have < size: still being told
	size_t tail;       // from here on it is the end of other documents
	size_t *alive;     // counts all there are
};

// Takes a piece: FIELDS are those of CERTIFIED. Returns 0, CERTIFICATE_WHOLE, or -EBADMSG. What
// there is no memory for is left out.
enum { CERTIFICATE_WHOLE = 1 };
int certificate_add(struct certificate *incoming, const struct wire_value *fields) WARN_UNUSED;
// Forgets the pieces.
void certificate_drop(struct certificate *incoming);

// *NOW becomes what INCOMING, which is emptied, says; of the same instance it stays the same
// object. Returns 0 or -ENOMEM: nothing has changed then. *ALIVE counts objects.
int certificate_replace(
	struct certificate **now, struct certificate *incoming, size_t *alive) WARN_UNUSED;

static inline struct certificate *certificate_ref(struct certificate *certificate)
{
	certificate->refs++;
	return certificate;
}

// Lets go of *CERTIFICATE (may be NULL) and clears it.
void certificate_unref(struct certificate **certificate);

// Whether it is that of INSTANCE; CERTIFICATE may be NULL.
bool certificate_is_of(
	const struct certificate *certificate, const uint8_t instance[INSTANCE_HASH_SIZE]);
