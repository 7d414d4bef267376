// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "notice.h"

#include "cookie.h"
#include "relay.h"
#include "visitor.h"

// Whether HEAD is sent for what a window shows, not for a part of that. Browsers that do not say
// what for are taken at their word that they want HTML.
static bool is_for_a_window(const struct visitor *visitor, const struct http_head *head)
{
	const struct http_field *destination = http_head_field(head, HTTP_SEC_FETCH_DEST);
	return visitor->x.form == FORM_HTML && head->method == HTTP_GET && visitor->x.up.ended &&
	       (destination == NULL || span_eq_nocase(destination->value, SPAN("document")));
}

static bool was_seen(const struct visitor *visitor, const struct http_head *head)
{
	for (size_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == HTTP_COOKIE &&
			cookie_seen(head->fields[i].value, visitor->relay->config.id))
			return true;
	return false;
}

bool notice_is_due(const struct visitor *visitor, const struct http_head *head)
{
	return visitor->relay->notice && is_for_a_window(visitor, head) && !was_seen(visitor, head);
}
