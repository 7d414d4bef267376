// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A line of the request log for each request: begun when its head has been read, ended with the
// exchange. The batch lies in the page the supervisor shares, so what a killed relay has not sent
// is not lost. Nothing here is called while the log is off.

#include "relay.h"
#include "visitor.h"

void exchange_log_begin(struct visitor *visitor, const struct http_head *head)
{
	struct relay *relay = visitor->relay;
	struct span prefix = {relay->prefix_text, relay->prefix_length}, path = {NULL, 0};
	struct span method = {NULL, 0};
	if (head != NULL) {
		method = head->method_text;
		path = head->path;
		if (span_starts(path, prefix))
			path = (struct span){path.p + prefix.n, path.n - prefix.n};
	}
	visitor->x.line = request_line_new(method, path, relay->loop.now);
}

void exchange_log_end(struct visitor *visitor)
{
	struct exchange *x = &visitor->x;
	struct request_entry entry = {
		.status = x->status,
		.code = x->code,
		.bytes_in = x->up.moved,
		.bytes_out = x->down.moved,
		.ours = !x->answering && x->status != 0,
		.cut = x->status == 0 || (x->answering && !x->down.ended),
		.peer = {(const char *)visitor->sender.peer, PEER_SIZE},
	};
	request_line_end(&visitor->relay->log, x->line, &entry);
	x->line = NULL;
}
