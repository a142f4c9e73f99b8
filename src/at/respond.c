/* SPDX-License-Identifier: MIT
 *
 * What goes out: echo, information lines, result codes, URCs; and which bytes belong into one
 * write.
 *
 * Hosts that read a response with one read() lose what is split or joined, so every response and
 * every URC is one piece (row A1; V.250 5.7).
 */
#include <stdarg.h>
#include <stdio.h>

#include "engine.h"

void at_put(struct dfota_at *at, const void *bytes, size_t count)
{
	if (count > sizeof(at->output) - at->output_bytes) {
		at->output_overflow = true;
		return;
	}
	memcpy(at->output + at->output_bytes, bytes, count);
	at->output_bytes += count;
}

void at_piece_end(struct dfota_at *at)
{
	size_t last = at->piece_count ? at->piece_end[at->piece_count - 1] : 0;

	at->piece_open = at->piece_echo = at->piece_acks = at->lines_open = false;
	if (at->output_bytes == last)
		return;
	if (at->piece_count == AT_PIECES_MAX) /* rather one long write than lost bytes */
		at->piece_count--;
	at->piece_end[at->piece_count++] = (uint16_t)at->output_bytes;
}

void at_piece_begin(struct dfota_at *at)
{
	at_piece_end(at);
	at->piece_open = true;
	at->output_overflow = false;
}

void at_echo(struct dfota_at *at, uint8_t byte)
{
	if (!at->echo)
		return;
	if (!at->piece_echo) {
		at_piece_begin(at);
		at->piece_echo = true;
	}
	at_put(at, &byte, 1);
}

static void put_framing(struct dfota_at *at)
{
	const char framing[2] = { (char)at->s[3], (char)at->s[4] };

	at_put(at, framing, sizeof(framing));
}

void dfota_at_line(struct dfota_at *at, const char *format, ...)
{
	char text[DFOTA_AT_LINE_MAX + 1];
	va_list arguments;
	int length;
	size_t bytes;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	bytes = (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1;
	if (bytes + 4 + AT_FINAL_BYTES > sizeof(at->output) - at->output_bytes) {
		at->output_overflow = true;
		return;
	}
	if (!at->lines_open && at->verbose)
		put_framing(at);
	at->lines_open = true;
	at_put(at, text, bytes);
	put_framing(at);
}

/* Result code in words or as a number (ATV); `number` < 0: there is none, the words are sent
 * always. */
static void put_result(struct dfota_at *at, const char *words, int number)
{
	char digit = (char)('0' + number);

	if (at->quiet)
		return;
	if (!at->verbose && number >= 0) {
		at_put(at, &digit, 1);
		at_put(at, &at->s[3], 1);
		return;
	}
	put_framing(at);
	at_put(at, words, strlen(words));
	put_framing(at);
}

void at_final(struct dfota_at *at, int result)
{
	char text[96];
	bool number = at->cmee == 1 || (at->cmee == 0 && at->config.cme_always && result >= 400);

	if (result == DFOTA_AT_OK && at->output_overflow)
		result = DFOTA_AT_ERROR; /* lines are missing */
	if (result == DFOTA_AT_OK) {
		put_result(at, "OK", 0);
	} else if (result > 0 && (number || at->cmee == 2)) {
		if (number)
			snprintf(text, sizeof(text), "+CME ERROR: %d", result);
		else
			snprintf(text, sizeof(text), "+CME ERROR: %s", dfota_at_cme_text(result));
		put_result(at, text, -1);
	} else {
		put_result(at, "ERROR", 4);
	}
	at_piece_end(at);
}

void at_connect(struct dfota_at *at, const char *words)
{
	put_result(at, words, 1);
	at_piece_end(at);
}

/* ---- URCs --------------------------------------------------------------------------------------
 */

/* After output that has left the engine. A URC that a busy host kept waiting for long goes without.
 */
static void gap_begin(struct dfota_at *at)
{
	if (!at->urc_count || at->now_ms - at->urc_since_ms < AT_URC_WAIT_MS)
		at->urc_next_ms =
		    at->now_ms + (at->config.urc_gap_ms ? at->config.urc_gap_ms : 100);
}

static void urc_remove(struct dfota_at *at, uint32_t index)
{
	at->urc_count--;
	memmove(&at->urcs[index], &at->urcs[index + 1],
		(at->urc_count - index) * sizeof(at->urcs[0]));
}

bool dfota_at_urc(struct dfota_at *at, const char *text, bool droppable)
{
	uint32_t i = 0;
	char *to;

	if (at->urc_count == DFOTA_AT_URCS_MAX) {
		while (i < DFOTA_AT_URCS_MAX && !at->urcs[i].droppable)
			i++;
		if (i == DFOTA_AT_URCS_MAX)
			return false;
		urc_remove(at, i);
	}
	if (at->urc_count == 0)
		at->urc_since_ms = at->now_ms;
	to = at->urcs[at->urc_count].text;
	for (i = 0; i < DFOTA_AT_URC_MAX && text[i]; i++) /* one line, whatever it holds */
		to[i] = (uint8_t)text[i] < ' ' ? '?' : text[i];
	to[i] = '\0';
	at->urcs[at->urc_count++].droppable = droppable;
	return true;
}

void dfota_at_hold_urcs(struct dfota_at *at, bool hold)
{
	at->urcs_held = hold;
}

/* A line that is being typed holds URCs back, unless it was left half typed. */
static uint64_t typing_ms(const struct dfota_at *at)
{
	uint64_t end = at->line_ms + AT_TYPING_MS;

	if (at->line_state == AT_LINE_NONE || at->now_ms >= end)
		return 0;
	return end - at->now_ms;
}

/* Milliseconds until the next URC may go; UINT64_MAX when something else must happen first. */
static uint64_t urc_wait(const struct dfota_at *at)
{
	uint64_t gap = at->urc_next_ms > at->now_ms ? at->urc_next_ms - at->now_ms : 0;
	uint64_t typing = typing_ms(at);

	if (!at->urc_count || at->urcs_held || at->mode != AT_COMMAND || at->output_bytes)
		return UINT64_MAX;
	return gap > typing ? gap : typing;
}

static void urc_send(struct dfota_at *at)
{
	at_piece_begin(at);
	put_framing(at);
	at_put(at, at->urcs[0].text, strlen(at->urcs[0].text));
	put_framing(at);
	at_piece_end(at);
	urc_remove(at, 0);
	at->urc_since_ms = at->now_ms;
}

/* ---- taking
 * -------------------------------------------------------------------------------------- */

static size_t take_piece(struct dfota_at *at, uint8_t *buffer, size_t max)
{
	size_t end = at->piece_count ? at->piece_end[0] : at->output_bytes;
	size_t take = end < max ? end : max;

	memcpy(buffer, at->output, take);
	at->output_bytes -= take;
	memmove(at->output, at->output + take, at->output_bytes);
	if (at->piece_count && take == end) {
		at->piece_count--;
		memmove(at->piece_end, at->piece_end + 1,
			at->piece_count * sizeof(at->piece_end[0]));
	}
	for (uint32_t i = 0; i < at->piece_count; i++)
		at->piece_end[i] = (uint16_t)(at->piece_end[i] - take);
	return take;
}

size_t dfota_at_output(struct dfota_at *at, uint8_t *buffer, size_t max, uint64_t now_ms)
{
	size_t bytes;

	at->now_ms = now_ms;
	if (max == 0)
		return 0;
	if (at->piece_open)
		at_piece_end(at);
	if (!at->output_bytes && at->mode == AT_DOWNLOAD) {
		bytes = at_data_output(at, buffer, max);
		if (bytes)
			return bytes;
	}
	if (urc_wait(at) == 0)
		urc_send(at);
	bytes = at->output_bytes ? take_piece(at, buffer, max) : 0;
	if (at->output_bytes == 0) {
		at->connect_out = true;
		if (bytes)
			gap_begin(at);
	}
	return bytes;
}

uint64_t dfota_at_tick(struct dfota_at *at, uint64_t now_ms)
{
	at->now_ms = now_ms;
	at_data_tick(at);
	return dfota_min64(urc_wait(at), at_data_wait(at));
}

bool dfota_at_idle(const struct dfota_at *at)
{
	return !at->output_bytes && !at->urc_count && at->mode == AT_COMMAND;
}
