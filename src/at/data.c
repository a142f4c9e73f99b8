/* SPDX-License-Identifier: MIT
 *
 * Data mode: uploads with acknowledgement and time-out, downloads, the checksum of both.
 */
#include <stdio.h>

#include "engine.h"

void dfota_at_checksum_add(struct dfota_at_checksum *checksum, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		checksum->sum ^= (uint16_t)(checksum->odd ? bytes[i] : bytes[i] << 8);
		checksum->odd = !checksum->odd;
	}
}

/* `name` of the last line, NULL when there is none; `words` in place of CONNECT. */
static void begin(struct dfota_at *at, enum at_mode mode, const char *name, uint64_t size,
		  const char *words)
{
	at->mode = (uint8_t)mode;
	at->data_size = size;
	at->data_done = 0;
	at->data_sum = (struct dfota_at_checksum){ 0 };
	at->data_error = 0;
	at->escape_count = 0;
	at->data_last_ms = at->now_ms;
	at->connect_out = false;
	snprintf(at->data_name, sizeof(at->data_name), "%s", name ? name : "");
	at_connect(at, words);
}

/* The last words of a transfer; the piece is open. */
static void finish(struct dfota_at *at)
{
	if (!at->data_error && at->data_name[0])
		dfota_at_line(at, "%s: %llu,%x", at->data_name, (unsigned long long)at->data_done,
			      at->data_sum.sum);
	at_final(at, at->data_error);
}

/* ---- upload
 * -------------------------------------------------------------------------------------- */

void dfota_at_upload(struct dfota_at *at, const char *name, uint64_t size, uint64_t timeout_ms,
		     bool ack, const struct dfota_at_sink *sink)
{
	begin(at, AT_UPLOAD, name, size, "CONNECT");
	at->data_timeout_ms = timeout_ms;
	at->ack = ack;
	at->sink = *sink;
}

static void upload_finish(struct dfota_at *at)
{
	int code;

	at->mode = AT_COMMAND;
	at_piece_begin(at); /* before `end`, which may have lines to say */
	code = at->sink.end(at->sink.context, at->data_done, at->data_sum.sum);
	if (!at->data_error)
		at->data_error = code;
	finish(at);
}

static void upload_add(struct dfota_at *at, const uint8_t *bytes, size_t count)
{
	uint64_t blocks = at->data_done / DFOTA_AT_ACK_BYTES;

	if (!at->data_error)
		at->data_error = at->sink.data(at->sink.context, bytes, count);
	dfota_at_checksum_add(&at->data_sum, bytes, count);
	at->data_done += count;
	if (at->ack && at->data_done / DFOTA_AT_ACK_BYTES > blocks) {
		if (!at->piece_acks)
			at_piece_begin(at);
		at->piece_acks = true; /* hosts read those of one chunk at once */
		at_put(at, "A", 1);
	}
	if (at->data_done == at->data_size)
		upload_finish(at);
}

/* The pluses that were held back are data after all. */
static void escape_cancel(struct dfota_at *at)
{
	static const uint8_t pluses[3] = { '+', '+', '+' };
	size_t count = at->escape_count;

	at->escape_count = 0;
	if (count)
		upload_add(at, pluses, count);
}

/* True when the byte may belong to a +++ and was held back. */
static bool escape_take(struct dfota_at *at, uint8_t byte)
{
	bool quiet = at->escape_count > 0 || at->now_ms - at->data_last_ms >= AT_GUARD_MS;

	if (byte != '+' || !quiet || at->escape_count == 3 ||
	    at->data_size - at->data_done <= (uint64_t)at->escape_count + 1)
		return false;
	at->escape_count++;
	at->data_last_ms = at->now_ms;
	return true;
}

size_t at_data_input(struct dfota_at *at, const uint8_t *bytes, size_t count)
{
	uint64_t room;

	if (escape_take(at, bytes[0]))
		return 1;
	escape_cancel(at);
	if (at->mode != AT_UPLOAD)
		return 0;
	room = at->data_size - at->data_done;
	if (at->ack) /* one acknowledgement for each block, none may be missed */
		room = dfota_min64(room, DFOTA_AT_ACK_BYTES - at->data_done % DFOTA_AT_ACK_BYTES);
	count = (size_t)dfota_min64(count, room);
	at->data_last_ms = at->now_ms;
	upload_add(at, bytes, count);
	return count;
}

/* ---- download
 * ------------------------------------------------------------------------------------ */

void dfota_at_download(struct dfota_at *at, const char *name, uint64_t size,
		       const struct dfota_source *source)
{
	begin(at, AT_DOWNLOAD, name, size, "CONNECT");
	at->source = *source;
}

void dfota_at_read(struct dfota_at *at, uint64_t size, const struct dfota_source *source)
{
	char words[40];

	snprintf(words, sizeof(words), "CONNECT %llu", (unsigned long long)size);
	begin(at, AT_DOWNLOAD, NULL, size, words);
	at->source = *source;
}

static void download_finish(struct dfota_at *at)
{
	at->mode = AT_COMMAND;
	at->escape_count = 0;
	at_piece_begin(at);
	finish(at);
}

size_t at_data_output(struct dfota_at *at, uint8_t *buffer, size_t max)
{
	size_t bytes = (size_t)dfota_min64(max, at->data_size - at->data_done);

	if (bytes > 0 && dfota_source_read(&at->source, at->data_done, buffer, bytes)) {
		at->data_error = 411;
		bytes = 0;
	}
	dfota_at_checksum_add(&at->data_sum, buffer, bytes);
	at->data_done += bytes;
	if (bytes == 0)
		download_finish(at);
	return bytes;
}

/* Pluses that turn out to be no +++ are lost: before an AT they would be nothing either. */
bool at_data_escape(struct dfota_at *at, uint8_t byte)
{
	bool quiet = at->escape_count > 0 || at->now_ms - at->data_last_ms >= AT_GUARD_MS;

	if (byte == '+' && quiet && at->escape_count < 3) {
		at->escape_count++;
		at->data_last_ms = at->now_ms;
		return true;
	}
	at->escape_count = 0;
	at->data_last_ms = at->now_ms;
	return false;
}

/* ---- time
 * ---------------------------------------------------------------------------------------- */

/* Milliseconds of silence that end the transfer as it stands. */
static uint64_t patience(const struct dfota_at *at)
{
	uint64_t timeout = at->mode == AT_UPLOAD ? at->data_timeout_ms : UINT64_MAX;

	return at->escape_count == 3 ? dfota_min64(AT_GUARD_MS, timeout) : timeout;
}

uint64_t at_data_wait(const struct dfota_at *at)
{
	uint64_t passed = at->now_ms - at->data_last_ms;

	if (at->mode == AT_COMMAND || patience(at) == UINT64_MAX)
		return UINT64_MAX;
	if (at->mode == AT_UPLOAD && at->data_size == 0)
		return 0;
	return passed >= patience(at) ? 0 : patience(at) - passed;
}

void at_data_tick(struct dfota_at *at)
{
	if (at_data_wait(at) > 0)
		return;
	if (at->mode == AT_DOWNLOAD) {
		download_finish(at);
		return;
	}
	if (at->escape_count == 3)
		at->escape_count = 0;
	else
		escape_cancel(at);
	if (at->mode == AT_UPLOAD)
		upload_finish(at);
}
