// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "request_log.h"

#include "hex.h"
#include "http_parse.h"
#include "tunnel_config.h"

enum {
	VALUES = 11,     // of an entry
	LENGTH_SIZE = 2, // in front of each, big endian
	ENTRY_MAX = LENGTH_SIZE + 6 * 9 + REQUEST_METHOD_MAX + REQUEST_PATH_MAX + PEER_SIZE + 16,
};

static const char cut_mark[] = "...";

// ---- sending

static void flush(struct request_log *log)
{
	struct request_batch *batch = log->batch;
	uint32_t used = atomic_load_explicit(&batch->used, memory_order_relaxed);
	// Nothing is queued: what the supervisor cannot take now waits here or is left out.
	if ((used == 0 && log->dropped == 0) || log->channel->queued > 0)
		return;
	if (ipc_post(log->channel, MSG_REQUESTS, -1, wire_uint(log->dropped),
		    wire_bin(batch->bytes, used)) != IPC_SENT)
		return;
	atomic_store_explicit(&batch->used, 0, memory_order_release);
	log->dropped = 0;
}

static void wait_for_more(struct request_log *log)
{
	struct instant due = instant_add_ms(log->loop->now, REQUEST_LOG_MS);
	if (log->timer.place == 0 && loop_timer_set(log->loop, &log->timer, due) < 0)
		flush(log); // out of memory: without waiting
}

static void on_timer(struct loop_timer *timer)
{
	struct request_log *log = container_of(timer, struct request_log, timer);
	log->taken = 0;
	flush(log);
	// Also when no further request comes.
	if (log->batch->used > 0 || log->dropped > 0)
		wait_for_more(log);
}

void request_log_init(struct request_log *log, struct loop *loop, struct ipc_channel *channel,
	struct request_batch *batch, uint32_t rate)
{
	*log = (struct request_log){
		.loop = loop,
		.channel = channel,
		.batch = rate > 0 ? batch : NULL,
		.rate = rate,
		.timer = {.expired = on_timer},
	};
}

static size_t encode(const struct request_entry *e, uint8_t out[ENTRY_MAX])
{
	const struct wire_value values[VALUES] = {
		wire_uint((uint64_t)e->at.us),
		wire_bin(e->method.p, e->method.n),
		wire_bin(e->path.p, e->path.n),
		wire_uint(e->ms),
		wire_uint(e->status),
		wire_uint(e->code),
		wire_uint(e->bytes_in),
		wire_uint(e->bytes_out),
		wire_bool(e->ours),
		wire_bool(e->cut),
		wire_bin(e->peer.p, e->peer.n),
	};
	size_t n = wire_encode(out + LENGTH_SIZE, ENTRY_MAX - LENGTH_SIZE, values, VALUES);
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	return n > 0 ? LENGTH_SIZE + n : 0;
}

void request_log_add(struct request_log *log, const struct request_entry *entry)
{
	uint8_t bytes[ENTRY_MAX];
	struct request_batch *batch = log->batch;
	size_t n = log->taken < log->rate ? encode(entry, bytes) : 0;
	if (n > sizeof batch->bytes - batch->used)
		flush(log);
	if (n == 0 || n > sizeof batch->bytes - batch->used) {
		log->dropped++;
	} else {
		log->taken++;
		memcpy(batch->bytes + batch->used, bytes, n);
		atomic_store_explicit(
			&batch->used, batch->used + (uint32_t)n, memory_order_release);
	}
	wait_for_more(log);
}

// ---- a request

static struct span path_of(struct span target)
{
	const char *mark = target.n > 0 ? memchr(target.p, '?', target.n) : NULL;
	return mark != NULL ? (struct span){target.p, (size_t)(mark - target.p)} : target;
}

// The character that TEXT, which is not empty, begins with, decoded, in lower case. *N: its bytes.
static char character_at(struct span text, size_t *n)
{
	uint8_t byte = (uint8_t)text.p[0];
	*n = 1;
	if (byte == '%' && text.n > 2 && hex_decode(&byte, 1, (struct span){text.p + 1, 2}) == 0)
		*n = 3;
	return (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
}

// How many bytes at the start of TEXT are, decoded, a tunnel's id or more of its kind, 0: none. Its
// beginning goes to OUT. An address is easily written with a full stop or a bracket around it.
static size_t id_at(struct span text, char out[REQUEST_SHORT_ID])
{
	char id[TUNNEL_ID_MAX];
	size_t n = 0, used = 0, size;
	for (; used < text.n; used += size, n++) {
		char c = character_at((struct span){text.p + used, text.n - used}, &size);
		bool fits = n == 0   ? c == 't'
			    : n == 1 ? c == '-'
				     : (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7');
		if (!fits)
			break;
		if (n < sizeof id)
			id[n] = c;
	}
	if (n <= REQUEST_SHORT_ID || !tunnel_id_ok((struct span){id, MIN(n, sizeof id)}))
		return 0;
	memcpy(out, id, REQUEST_SHORT_ID);
	return used;
}

// Appends as much as there is room for. Returns false when that is not all.
static bool append(char out[REQUEST_PATH_MAX], size_t *n, struct span piece)
{
	size_t room = REQUEST_PATH_MAX - (sizeof cut_mark - 1) - *n;
	size_t most = MIN(room, piece.n);
	if (most > 0)
		memcpy(out + *n, piece.p, most);
	*n += most;
	return most == piece.n;
}

// Writes PATH with ids shortened, cut to REQUEST_PATH_MAX. Returns its length.
static size_t shorten(char out[REQUEST_PATH_MAX], struct span path)
{
	char id[REQUEST_SHORT_ID];
	size_t n = 0;
	bool whole = true;
	while (path.n > 0 && whole) {
		size_t size = id_at(path, id);
		if (size > 0) {
			whole = append(out, &n, (struct span){id, sizeof id}) &&
				append(out, &n, span_of(cut_mark));
		} else {
			size = 1;
			whole = append(out, &n, (struct span){path.p, size});
		}
		path = (struct span){path.p + size, path.n - size};
	}
	if (!whole) {
		memcpy(out + n, cut_mark, sizeof cut_mark - 1);
		n += sizeof cut_mark - 1;
	}
	return n;
}

struct request_line *request_line_new(struct span method, struct span target, struct instant now)
{
	static const struct span unknown = SPAN_INIT("-");
	char path[REQUEST_PATH_MAX];
	if (method.n == 0)
		method = target = unknown;
	method.n = MIN(method.n, (size_t)REQUEST_METHOD_MAX);
	size_t path_n = shorten(path, path_of(target));
	struct request_line *line = malloc(sizeof *line + method.n + path_n);
	if (line == NULL)
		return NULL;
	line->begin = now;
	line->method_n = (uint8_t)method.n;
	line->path_n = (uint8_t)path_n;
	memcpy(line->text, method.p, method.n);
	memcpy(line->text + method.n, path, path_n);
	return line;
}

void request_line_end(
	struct request_log *log, struct request_line *line, struct request_entry *entry)
{
	entry->method = (struct span){line->text, line->method_n};
	entry->path = (struct span){line->text + line->method_n, line->path_n};
	entry->at = log->loop->now;
	entry->ms = (uint64_t)MAX(0, instant_diff_us(entry->at, line->begin)) / 1000;
	request_log_add(log, entry);
	free(line);
}

// ---- receiving

static int decode(struct request_entry *e, const void *bytes, size_t n)
{
	static const enum wire_kind kinds[VALUES] = {WIRE_UINT, WIRE_BIN, WIRE_BIN, WIRE_UINT,
		WIRE_UINT, WIRE_UINT, WIRE_UINT, WIRE_UINT, WIRE_BOOL, WIRE_BOOL, WIRE_BIN};
	struct wire_value v[VALUES];
	if (wire_decode(bytes, n, v, VALUES) != VALUES)
		return -EBADMSG;
	for (size_t i = 0; i < VALUES; i++)
		if (v[i].kind != kinds[i])
			return -EBADMSG;
	*e = (struct request_entry){
		.at = {(int64_t)MIN(v[0].number, (uint64_t)INT64_MAX)},
		.method = v[1].bytes,
		.path = v[2].bytes,
		.ms = v[3].number,
		.status = v[4].number,
		.code = v[5].number,
		.bytes_in = v[6].number,
		.bytes_out = v[7].number,
		.ours = v[8].number,
		.cut = v[9].number,
		.peer = v[10].bytes,
	};
	if (e->method.n > REQUEST_METHOD_MAX || !http_is_token(e->method) ||
		e->path.n > REQUEST_PATH_MAX || e->status > 999 || e->code >= CODES ||
		(e->peer.n != 0 && e->peer.n != PEER_SIZE))
		return -EBADMSG;
	return 0;
}

int request_log_next(struct span *rest, struct request_entry *entry)
{
	const uint8_t *bytes = (const uint8_t *)rest->p;
	if (rest->n == 0)
		return 0;
	size_t n = rest->n >= LENGTH_SIZE ? (size_t)bytes[0] << 8 | bytes[1] : 0;
	if (n == 0 || n > rest->n - LENGTH_SIZE || decode(entry, bytes + LENGTH_SIZE, n) < 0)
		return -EBADMSG;
	*rest = (struct span){rest->p + LENGTH_SIZE + n, rest->n - LENGTH_SIZE - n};
	return REQUEST_ENTRY;
}
