// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the types of values share. For options_parse.c and the files of single types only.

#pragma once

#include "options_table.h"

// Reads and writes one type of member. SET finds it empty or, when a list, as it is so far.
struct option_value {
	int (*set)(void *member, const struct option_def *def, struct span value, char *why);
	int (*format)(const void *member, const struct option_def *def, struct buf *text);
	void (*clear)(void *member);
};

// Writes WHY and returns OPTIONS_INVALID.
int option_invalid(char *why, const char *format, ...) PRINTF(2, 3);

// Calls ADD for each part of VALUE between commas, without the blanks around it.
int option_each(
	void *member, struct span value, int (*add)(void *, struct span, char *), char *why);

// 127.0.0.1:8080 or [::1]:8080. Returns NULL or what is wrong.
const char *option_address_parse(struct sockaddr_storage *address, struct span text);

// Adds one rule to a struct options_rules.
int option_rule_add(void *member, struct span item, char *why);

// Puts a copy of VALUE into a member for text.
int option_text_store(void *member, struct span value);

int option_url_set(void *member, const struct option_def *def, struct span value, char *why);

// ---- options_ranges.c: of networks, and of addresses with several ports

int option_networks_set(void *member, const struct option_def *def, struct span value, char *why);

int option_ranges_set(void *member, const struct option_def *def, struct span value, char *why);
int option_ranges_format(const void *member, const struct option_def *def, struct buf *text);
void option_ranges_clear(void *member);

int option_pool_set(void *member, const struct option_def *def, struct span value, char *why);

// ---- options_origins.c

int option_pool_url_set(void *member, const struct option_def *def, struct span value, char *why);
int option_domain_set(void *member, const struct option_def *def, struct span value, char *why);
int option_contact_set(void *member, const struct option_def *def, struct span value, char *why);
