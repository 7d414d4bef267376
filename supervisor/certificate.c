// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "certificate.h"

enum { OFFSET, SIZE, TAIL, QUOTED, INSTANCE, PIECE }; // fields of CERTIFIED

void certificate_drop(struct certificate *incoming)
{
	free(incoming->bytes);
	*incoming = (struct certificate){0};
}

static int begin(struct certificate *incoming, const struct wire_value *f)
{
	certificate_drop(incoming);
	if (f[TAIL].number > f[SIZE].number)
		return -EBADMSG;
	incoming->bytes = malloc(f[SIZE].number);
	incoming->size = f[SIZE].number;
	incoming->tail = f[TAIL].number;
	incoming->quoted = f[QUOTED].number;
	memcpy(incoming->instance, f[INSTANCE].bytes.p, sizeof incoming->instance);
	return 0;
}

int certificate_add(struct certificate *incoming, const struct wire_value *fields)
{
	struct span piece = fields[PIECE].bytes;
	int r = fields[OFFSET].number == 0 ? begin(incoming, fields) : 0;

	if (r < 0 || fields[OFFSET].number != incoming->have ||
		fields[SIZE].number != incoming->size || piece.n > incoming->size - incoming->have)
		return -EBADMSG;
	if (incoming->bytes != NULL)
		memcpy(incoming->bytes + incoming->have, piece.p, piece.n);
	incoming->have += piece.n;
	return incoming->have == incoming->size && incoming->bytes != NULL ? CERTIFICATE_WHOLE : 0;
}

static struct certificate *new_of(const uint8_t instance[INSTANCE_HASH_SIZE], size_t *alive)
{
	struct certificate *made = calloc(1, sizeof *made);

	if (made == NULL)
		return NULL;
	memcpy(made->instance, instance, sizeof made->instance);
	made->refs = 1;
	made->alive = alive;
	++*alive;
	return made;
}

int certificate_replace(struct certificate **now, struct certificate *incoming, size_t *alive)
{
	if (!certificate_is_of(*now, incoming->instance)) {
		struct certificate *made = new_of(incoming->instance, alive);
		if (made == NULL) {
			certificate_drop(incoming);
			return -ENOMEM;
		}
		certificate_unref(now);
		*now = made;
	}
	free((*now)->bytes);
	(*now)->bytes = incoming->bytes;
	(*now)->size = (*now)->have = incoming->size;
	(*now)->tail = incoming->tail;
	(*now)->quoted = incoming->quoted;
	(*now)->edition++;
	*incoming = (struct certificate){0};
	return 0;
}

void certificate_unref(struct certificate **certificate)
{
	struct certificate *gone = *certificate;

	*certificate = NULL;
	if (gone == NULL || --gone->refs > 0)
		return;
	--*gone->alive;
	free(gone->bytes);
	free(gone);
}

bool certificate_is_of(
	const struct certificate *certificate, const uint8_t instance[INSTANCE_HASH_SIZE])
{
	return certificate != NULL &&
	       memcmp(certificate->instance, instance, INSTANCE_HASH_SIZE) == 0;
}
