// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a server says about tunnels, as a terminal gets it: no byte acts, whatever the document is.

#include "api.h"
#include "check.h"
#include "clean.h"
#include "tunnel_text.h"
#include "utf8.h"

static void check_clean(struct span text)
{
	CHECK(utf8_valid(text));
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = (uint8_t)text.p[i];
		CHECK((c >= ' ' && c != 0x7f) || c == '\n');
		CHECK(c != 0xc2 || (uint8_t)text.p[i + 1] >= 0xa0); // C1
	}
	CHECK(text.n == 0 ||
		memmem(text.p, text.n, "\xe2\x80\xae", 3) == NULL); // right-to-left override
}

static void check_document(const json_t *document)
{
	char *text = NULL, left[TUNNEL_LEFT_SIZE];
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	CHECK(out != NULL);
	tunnel_print_all(out, document);
	tunnel_print_access(out, document);
	tunnel_left(document, left);
	fclose(out);
	check_clean((struct span){text, n});
	free(text);
}

static void check_refusal(struct span body)
{
	static const struct settings settings;
	struct failure failure;

	CHECK(api_refusal(&settings, 422, body, &failure) > 0);
	CHECK(strlen(failure.text) < sizeof failure.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = {(const char *)data, n};
	json_t *document = json_loadb(n > 0 ? text.p : "", n, 0, NULL);
	struct buf out;

	buf_init(&out, 1 << 20);
	if (n < 4096) {
		CHECK(clean_add(&out, text) == 0);
		check_clean(buf_span(&out));
	}
	buf_reset(&out);
	tunnel_ref_id(text);
	check_refusal(text);
	if (document != NULL)
		check_document(document);
	json_decref(document);
	return 0;
}
