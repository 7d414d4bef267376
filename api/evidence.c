// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "evidence.h"

#include "hex.h"

static void drop(struct certificate *certificate)
{
	free(certificate->document);
	*certificate = (struct certificate){0};
}

void evidence_deinit(struct evidence *evidence)
{
	drop(&evidence->certificate);
	drop(&evidence->incoming);
}

// Returns 0 or -ENOMEM.
static int begin(struct certificate *incoming, const struct wire_value *f)
{
	drop(incoming);
	incoming->document = malloc(f[1].number);
	if (incoming->document == NULL)
		return -ENOMEM;
	incoming->size = f[1].number;
	incoming->tail = f[2].number;
	incoming->quoted = f[3].number;
	memcpy(incoming->instance.bytes, f[4].bytes.p, SECRET_HASH_SIZE);
	return 0;
}

// Without memory the one there is stays; a worker that is started again is told once more.
int evidence_on_certificate(
	struct evidence *evidence, const struct ipc_message *message, bool *changed)
{
	struct certificate *incoming = &evidence->incoming;
	const struct wire_value *f = message->fields;
	struct span piece = f[5].bytes;

	*changed = false;
	if (f[0].number == 0 && begin(incoming, f) < 0)
		return 0;
	if (incoming->document == NULL)
		return 0;
	if (f[0].number != incoming->have || piece.n > incoming->size - incoming->have)
		return -EBADMSG;
	memcpy(incoming->document + incoming->have, piece.p, piece.n);
	incoming->have += piece.n;
	if (incoming->have < incoming->size)
		return 0;
	drop(&evidence->certificate);
	evidence->certificate = *incoming;
	*incoming = (struct certificate){0};
	*changed = true;
	return 0;
}

static int add_base64(struct buf *out, struct span bytes)
{
	char *room = buf_room(out, BASE64_SIZE(bytes.n));
	if (room == NULL)
		return -errno;
	base64_encode(room, bytes.p, bytes.n);
	buf_added(out, BASE64_SIZE(bytes.n) - 1);
	return 0;
}

int evidence_statement(struct buf *out, struct span statement, const uint8_t signature[64])
{
	char hex[2 * 64 + 1];
	hex_encode(hex, signature, 64);
	int r = buf_printf(out, "{\"statement\":\"");
	if (r == 0)
		r = add_base64(out, statement);
	return r == 0 ? buf_printf(out, "\",\"signature\":\"%s\",", hex) : r;
}
