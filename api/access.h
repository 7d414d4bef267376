// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Who may call the API: whoever sends the owner's token.

#pragma once

#include "http_head.h"
#include "secret.h"

// Whether HEAD carries exactly one Authorization field and in it the token with hash OWNER, as a
// bearer. Takes the same time for any wrong token.
bool access_is_owner(const struct http_head *head, const struct secret_hash *owner);
