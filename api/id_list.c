// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "id_list.h"

bool id_list_collect(const struct tunnel *tunnel, void *arg)
{
	struct id_list *list = arg;
	if (list->n == list->size) {
		size_t size = MAX(list->size * 2, (size_t)64);
		void *ids = reallocarray(list->ids, size, sizeof *list->ids);
		if (ids == NULL) {
			list->incomplete = true;
			return false;
		}
		list->ids = ids;
		list->size = size;
	}
	memcpy(list->ids[list->n++], tunnel->id, sizeof list->ids[0]);
	return true;
}
