// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a page says to people about a code, beside what common/code.c says to everybody: what the
// visitor can do, what the owner of the tunnel can do, and whether waiting helps.

#pragma once

#include "code.h"

struct page_text {
	const char *visitor, *owner; // sentences, NULL: none
	const char *command;         // for the owner to run, NULL: none
	bool with_id;                // the tunnel's id is the command's last word
	uint8_t retry;               // seconds until the page asks again by itself, 0: it does not
};

// CODE is one of code.h, CODE_NONE excluded.
const struct page_text *page_text(enum code code);
