/* SPDX-License-Identifier: MIT
 *
 * Private to the at room: what its files ask of each other.
 */
#ifndef DFOTA_AT_ENGINE_H
#define DFOTA_AT_ENGINE_H

#include "dfota/at.h"

enum at_mode { AT_COMMAND, AT_UPLOAD, AT_DOWNLOAD };

/* Where a command line stands: nothing yet, after its A, after its AT. */
enum at_line_state { AT_LINE_NONE, AT_LINE_A, AT_LINE_BODY };

#define AT_OUTPUT_BUSY 2048u /* more waiting output than this: input waits with the caller */
#define AT_PIECES_MAX  (sizeof(((struct dfota_at *)0)->piece_end) / sizeof(uint16_t))
#define AT_PIECES_BUSY (AT_PIECES_MAX - 8) /* the same for pieces */
#define AT_FINAL_BYTES 256u		   /* kept free for the final result code */
#define AT_TYPING_MS   2000u /* a line that rests for longer no longer holds URCs back */
#define AT_URC_WAIT_MS                                                                             \
	1000u		  /* a URC that waited so long does not wait for a gap after a response */
#define AT_GUARD_MS 1000u /* silence on both sides of +++ */

/* respond.c */
void at_echo(struct dfota_at *at, uint8_t byte);
void at_piece_begin(
    struct dfota_at *at); /* what follows is a piece of its own, up to at_piece_end */
void at_piece_end(struct dfota_at *at);
void at_put(struct dfota_at *at, const void *bytes, size_t count);
/* Final result code for what a handler returned (OK, ERROR or a CME code). */
void at_final(struct dfota_at *at, int result);
void at_connect(struct dfota_at *at, const char *words);

/* line.c: the line in at->line; ends with a final result code or in data mode. */
void at_execute(struct dfota_at *at);

/* engine.c: &F and Z. */
void at_defaults(struct dfota_at *at);

/* data.c: bytes of an upload; returns how many were taken. */
size_t at_data_input(struct dfota_at *at, const uint8_t *bytes, size_t count);
/* Fills at most max bytes of a download; ends it when all went out. */
size_t at_data_output(struct dfota_at *at, uint8_t *buffer, size_t max);
/* A byte that comes during a download: true when it may belong to a +++ and is taken. */
bool at_data_escape(struct dfota_at *at, uint8_t byte);
void at_data_tick(struct dfota_at *at);
/* Milliseconds until at_data_tick has something to do. */
uint64_t at_data_wait(const struct dfota_at *at);

#endif
