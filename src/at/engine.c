/* SPDX-License-Identifier: MIT
 *
 * Input: line editing as in V.250 5.2 (prefix, S3, S5, echo, A/), and the way to data mode.
 *
 * Whatever stands before an "AT" is ignored: noise, padding of the last upload, a second line feed.
 */
#include "engine.h"

#define CARRIAGE_RETURN 13
#define LINE_FEED	10
#define BACKSPACE	8

void at_defaults(struct dfota_at *at)
{
	memset(at->s, 0, sizeof(at->s));
	at->s[3] = CARRIAGE_RETURN;
	at->s[4] = LINE_FEED;
	at->s[5] = BACKSPACE;
	at->echo = at->verbose = true;
	at->quiet = false;
	at->cmee = at->config.cmee;
}

void dfota_at_init(struct dfota_at *at, const struct dfota_at_config *config, uint64_t now_ms)
{
	memset(at, 0, sizeof(*at));
	at->config = *config;
	at->now_ms = at->urc_next_ms = now_ms;
	at_defaults(at);
}

static void line_begin(struct dfota_at *at)
{
	at->line_state = AT_LINE_BODY;
	at->line_bytes = 0;
	at->line_overflow = at->line_bad = false;
}

static void line_end(struct dfota_at *at)
{
	at->line_state = AT_LINE_NONE;
	at->line_feed_next = at->s[3] != LINE_FEED;
	at->line[at->line_bytes] = '\0';
	at_piece_begin(at);
	if (at->line_overflow || at->line_bad) {
		at_final(at, DFOTA_AT_ERROR);
		return;
	}
	memcpy(at->last_line, at->line, at->line_bytes + 1);
	at_execute(at);
}

/* The line feed behind the line that began an upload is no data. */
static bool line_feed_take(struct dfota_at *at, uint8_t byte)
{
	bool next = at->line_feed_next;

	at->line_feed_next = false;
	return next && byte == LINE_FEED && (at->line_feed_habit || !at->connect_out);
}

static void line_repeat(struct dfota_at *at)
{
	at->line_state = AT_LINE_NONE;
	memcpy(at->line, at->last_line, sizeof(at->line));
	at->line_bytes = strlen(at->line);
	at_piece_begin(at);
	at_execute(at);
}

static void body_take(struct dfota_at *at, uint8_t byte)
{
	if (byte == at->s[3]) {
		line_end(at);
	} else if (byte == at->s[5] || byte == 0x7f) {
		at->line_bytes -= at->line_bytes > 0;
	} else if (byte == LINE_FEED) {
		return;
	} else if (at->line_bytes == DFOTA_AT_LINE_MAX - 2) { /* the limit counts the AT */
		at->line_overflow = true;
	} else {
		at->line_bad |= byte < ' ';
		at->line[at->line_bytes++] = (char)byte;
	}
}

static void command_take(struct dfota_at *at, uint8_t byte)
{
	uint8_t letter = byte & 0xdf; /* upper case */

	if (at->line_feed_next)
		at->line_feed_habit = byte == LINE_FEED;
	at->line_feed_next = false;
	at->line_ms = at->now_ms;
	switch ((enum at_line_state)at->line_state) {
	case AT_LINE_NONE:
		if (letter != 'A')
			return;
		at_echo(at, byte);
		at->line_state = AT_LINE_A;
		return;
	case AT_LINE_A:
		if (letter == 'A' || letter == 'T' || byte == '/')
			at_echo(at, byte);
		if (letter == 'T')
			line_begin(at);
		else if (byte == '/')
			line_repeat(at);
		else if (letter != 'A')
			at->line_state = AT_LINE_NONE;
		return;
	case AT_LINE_BODY:
		if (byte != LINE_FEED || at->s[3] == LINE_FEED)
			at_echo(at, byte);
		body_take(at, byte);
	}
}

size_t dfota_at_input(struct dfota_at *at, const uint8_t *bytes, size_t count, uint64_t now_ms)
{
	size_t taken = 0;

	dfota_at_tick(at, now_ms);
	while (taken < count && at->output_bytes <= AT_OUTPUT_BUSY &&
	       at->piece_count <= AT_PIECES_BUSY) {
		if (at->mode == AT_COMMAND)
			command_take(at, bytes[taken++]);
		else if (line_feed_take(at, bytes[taken]))
			taken++;
		else if (at->mode == AT_UPLOAD)
			taken += at_data_input(at, bytes + taken, count - taken);
		else if (at_data_escape(at, bytes[taken]))
			taken++;
		else
			break; /* of the next command, which waits */
	}
	return taken;
}

void dfota_at_hang_up(struct dfota_at *at)
{
	at->mode = AT_COMMAND;
	at->line_state = AT_LINE_NONE;
	at->line_feed_next = at->line_feed_habit = false;
	at->escape_count = 0;
	at->output_bytes = 0;
	at->piece_count = 0;
	at->piece_open = at->piece_echo = at->piece_acks = at->lines_open = false;
}

bool dfota_at_in_data(const struct dfota_at *at)
{
	return at->mode != AT_COMMAND;
}

const char *dfota_at_last_line(const struct dfota_at *at)
{
	return at->last_line;
}
