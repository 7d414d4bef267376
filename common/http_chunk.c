// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The chunked coding as a table: which state follows which on what kind of character. What the
// table does not name is malformed. Only chunk data is outside it, taken in whole runs.

#include "http_chunk.h"

#include <assert.h>

enum {
	SIZE_DIGITS_MAX = 16,
	EXTENSIONS_MAX = 1024, // bytes behind a chunk size, up to its CR LF
	TRAILERS_MAX = 8192,   // bytes behind the last chunk's line, its final empty line included
};

enum kind { CR, LF, BLANK, SEMICOLON, COLON, HEX, TCHAR, TEXT, CONTROL, KINDS };

// START is where a zeroed decoder stands and nothing leads back to it: in the table 0 is
// "malformed".
enum state {
	START = 0,
	SIZE,      // before the first digit
	DIGITS,    // behind a digit
	BLANKS,    // white space that only an extension may follow
	EXTENSION, // behind a ';'
	SIZE_LF,   // behind the CR of a size line
	DATA,      // LEFT bytes to come
	DATA_CR,   // behind the last of them
	DATA_LF,
	LINE, // at the start of a trailer line, or of the empty one that ends the body
	NAME,
	VALUE,
	LINE_LF,
	END_LF,
	END,
	MALFORMED,
	STATES
};

static const uint8_t table[STATES][KINDS] = {
	[START] = {[HEX] = DIGITS},
	[SIZE] = {[HEX] = DIGITS},
	[DIGITS] = {[HEX] = DIGITS, [BLANK] = BLANKS, [SEMICOLON] = EXTENSION, [CR] = SIZE_LF},
	[BLANKS] = {[BLANK] = BLANKS, [SEMICOLON] = EXTENSION},
	[EXTENSION] = {[BLANK] = EXTENSION,
		[SEMICOLON] = EXTENSION,
		[COLON] = EXTENSION,
		[HEX] = EXTENSION,
		[TCHAR] = EXTENSION,
		[TEXT] = EXTENSION,
		[CR] = SIZE_LF},
	[SIZE_LF] = {[LF] = DATA},
	[DATA_CR] = {[CR] = DATA_LF},
	[DATA_LF] = {[LF] = SIZE},
	[LINE] = {[HEX] = NAME, [TCHAR] = NAME, [CR] = END_LF},
	[NAME] = {[HEX] = NAME, [TCHAR] = NAME, [COLON] = VALUE},
	[VALUE] = {[BLANK] = VALUE,
		[SEMICOLON] = VALUE,
		[COLON] = VALUE,
		[HEX] = VALUE,
		[TCHAR] = VALUE,
		[TEXT] = VALUE,
		[CR] = LINE_LF},
	[LINE_LF] = {[LF] = LINE},
	[END_LF] = {[LF] = END},
};

static enum kind kind_of(unsigned char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
		return HEX;
	if ((c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z'))
		return TCHAR;
	switch (c) {
	case '\r': return CR;
	case '\n': return LF;
	case '\t':
	case ' ': return BLANK;
	case ';': return SEMICOLON;
	case ':': return COLON;
	default: break;
	}
	if (c < ' ' || c == 0x7f)
		return CONTROL;
	return c < 0x80 && strchr("!#$%&'*+-.^_`|~", c) != NULL ? TCHAR : TEXT;
}

static bool add_digit(struct http_chunk *chunk, unsigned char c)
{
	unsigned digit = c <= '9' ? c - (unsigned)'0' : (c | 0x20U) - 'a' + 10;

	if (++chunk->digits > SIZE_DIGITS_MAX || chunk->left > INT64_MAX >> 4)
		return false;
	chunk->left = chunk->left << 4 | digit;
	return true;
}

// Moves the decoder over one byte outside chunk data.
static bool step(struct http_chunk *chunk, unsigned char c)
{
	bool in_trailers = chunk->state >= LINE;

	chunk->state = table[chunk->state][kind_of(c)];
	switch (chunk->state) {
	case START: return false;
	case SIZE: chunk->digits = 0; return true;
	case DIGITS: return add_digit(chunk, c);
	case BLANKS:
	case EXTENSION: return ++chunk->line <= EXTENSIONS_MAX;
	case DATA:
		chunk->line = 0;
		if (chunk->left == 0)
			chunk->state = LINE;
		return true;
	default: return !in_trailers || ++chunk->trailers <= TRAILERS_MAX;
	}
}

static void take_data(struct http_chunk *chunk, struct span *in, struct span *data)
{
	*data = (struct span){in->p, (size_t)MIN(in->n, chunk->left)};
	in->p += data->n;
	in->n -= data->n;
	chunk->left -= data->n;
	if (chunk->left == 0)
		chunk->state = DATA_CR;
}

int http_chunk_next(struct http_chunk *chunk, struct span *in, struct span *data)
{
	while (chunk->state < END && in->n > 0) {
		if (chunk->state == DATA) {
			take_data(chunk, in, data);
			return HTTP_CHUNK_DATA;
		}
		if (!step(chunk, (unsigned char)*in->p))
			chunk->state = MALFORMED;
		in->p++;
		in->n--;
	}
	if (chunk->state == END)
		return HTTP_CHUNK_END;
	return chunk->state == MALFORMED ? HTTP_CHUNK_BAD : HTTP_CHUNK_OK;
}
