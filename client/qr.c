// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "qr.h"

#include <qrcodegen/qrcodegen.h>

enum { QUIET_ZONE = 4 };

// Outside of the code everything is light.
static bool is_light(const uint8_t *code, int x, int y)
{
	return !qrcodegen_getModule(code, x, y);
}

// Upper and lower module in one character. What is drawn is the light ones: with a terminal's usual
// light on dark this is the right way round, and with COLOUR it is said which is which.
static const char *cell(bool upper, bool lower)
{
	static const char *const cells[] = {" ", "\u2584", "\u2580", "\u2588"};
	return cells[(upper ? 2 : 0) + (lower ? 1 : 0)];
}

static int draw_line(struct buf *out, const uint8_t *code, int y, bool colour)
{
	int size = qrcodegen_getSize(code), r = 0;
	if (colour)
		r = buf_printf(out, "\033[97;40m");
	for (int x = -QUIET_ZONE; x < size + QUIET_ZONE && r == 0; x++)
		r = buf_printf(out, "%s", cell(is_light(code, x, y), is_light(code, x, y + 1)));
	if (r == 0)
		r = buf_printf(out, "%s\n", colour ? "\033[0m" : "");
	return r;
}

int qr_draw(struct buf *out, const char *text, unsigned columns, bool colour)
{
	uint8_t code[qrcodegen_BUFFER_LEN_MAX], scratch[qrcodegen_BUFFER_LEN_MAX];
	if (!qrcodegen_encodeText(text, scratch, code, qrcodegen_Ecc_LOW, qrcodegen_VERSION_MIN,
		    qrcodegen_VERSION_MAX, qrcodegen_Mask_AUTO, true))
		return QR_TOO_LONG;
	int size = qrcodegen_getSize(code), r = 0;
	if ((unsigned)(size + 2 * QUIET_ZONE) > columns)
		return QR_TOO_WIDE;
	for (int y = -QUIET_ZONE; y < size + QUIET_ZONE && r == 0; y += 2)
		r = draw_line(out, code, y, colour);
	return r;
}
