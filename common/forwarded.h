// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a proxy in front of us says about a request: X-Forwarded-For and X-Forwarded-Proto. Anybody
// can write such fields, so they are believed from those peers alone whom the operator has listed.

#pragma once

#include "facts.h"
#include "http_head.h"

// FACTS are those of the connection that REQUEST came by; on return they are the request's. When
// their peer is one of TRUSTED (networks.h), the visitor is the last address of X-Forwarded-For
// that is none of these, or the first if all are; what stands before it, anybody could have
// written. The last X-Forwarded-Proto says whether it came by TLS. An element that is no address
// ends the search.
void forwarded_apply(struct facts *facts, const struct http_head *request, struct span trusted);
