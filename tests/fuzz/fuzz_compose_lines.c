// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is a compose file. One that passes names the guest service once at most and nothing of
// the engine's, and one whose images are pinned has a digest in it; each refusal has a reason.

#include "check.h"
#include "compose_lines.h"

static size_t count(struct span text, const char *word)
{
	size_t n = 0, size = strlen(word);
	for (size_t i = 0; i + size <= text.n; i++)
		n += memcmp(text.p + i, word, size) == 0;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = {(const char *)data, n};
	struct why why = {""};
	if (compose_lines_socket_alone(text, &why)) {
		CHECK(count(text, "docker.sock") == 0 && count(text, "/dev/tdx_guest") == 0);
		CHECK(count(text, "\n- /run:/") == 0);
	} else {
		CHECK(why.text[0] != '\0');
	}
	why.text[0] = '\0';
	if (compose_lines_images_pinned(text, &why))
		CHECK(count(text, "@sha256:") > 0);
	else
		CHECK(why.text[0] != '\0');
	return 0;
}
