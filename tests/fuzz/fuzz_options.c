// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A configuration file from memory. What is accepted must be reproduced, byte for byte, by reading
// its own effective text; what is refused must be explained.

#include "check.h"
#include "options.h"

// Parses TEXT; on success its effective text is in EFFECTIVE.
static int parse(struct span text, struct buf *effective)
{
	struct options_input input = {.file_name = "f", .file_text = text, .file_private = true};
	static struct options options;
	struct buf errors;

	options_init(&options);
	buf_init(&errors, OPTIONS_TEXT_MAX);
	int r = options_parse(&options, &input, &errors);
	CHECK(r == 0 || r == OPTIONS_INVALID);
	CHECK((r == 0) == (buf_len(&errors) == 0));
	if (r == 0) {
		CHECK(options.listen.n > 0 && options.default_timeout <= options.max_timeout);
		CHECK(options_effective(&options, effective) == 0);
	}
	options_deinit(&options);
	buf_reset(&errors);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf first, second;

	buf_init(&first, OPTIONS_TEXT_MAX);
	buf_init(&second, OPTIONS_TEXT_MAX);
	if (size <= OPTIONS_FILE_MAX &&
		parse((struct span){(const char *)data, size}, &first) == 0) {
		CHECK(parse(buf_span(&first), &second) == 0);
		CHECK(span_eq(buf_span(&first), buf_span(&second)));
	}
	buf_reset(&first);
	buf_reset(&second);
	return 0;
}
