// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The file of `collateral`, as a sealed copy in memory: the attestor opens no file, and each
// attestor gets the same bytes.

#pragma once

#include "util.h"

enum { COLLATERAL_SIZE_MAX = 512 * 1024 };

// Copies the file PATH; with "" the copy is empty. Returns a descriptor (close-on-exec) or a
// negative errno: -EFBIG above COLLATERAL_SIZE_MAX, -EINVAL when it is no regular file.
int collateral_load(const char *path) WARN_UNUSED;
