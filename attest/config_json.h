// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A tunnel's CONFIG as a JSON object, every setting in it: what stands in statements and receipts.

#pragma once

#include "buf.h"
#include "tunnel_config.h"

// Returns 0 or a negative errno of buf_add().
int config_json(struct buf *out, const struct tunnel_config *config) WARN_UNUSED;
