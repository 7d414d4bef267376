// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Linked into programs alone: a library with it would be made anew with every change of any file.

#include "source.h"

#include <source_built.h>

const struct source source_built = {TUNNELD_VERSION, SOURCE_COMMIT, SOURCE_TREE_SHA256};

__attribute__((used)) static const char source_text[] =
	"tunneld-source version=" TUNNELD_VERSION " commit=" SOURCE_COMMIT
	" tree_sha256=" SOURCE_TREE_SHA256;
