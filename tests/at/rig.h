/* SPDX-License-Identifier: MIT
 *
 * An engine on a bench: fake clock, a small command table, all output kept together with the
 * borders of its writes.
 */
#ifndef DFOTA_TESTS_AT_RIG_H
#define DFOTA_TESTS_AT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dfota/at.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINES(text)  "\r\n" text "\r\n"
#define OK	     LINES("OK")
#define ERROR	     LINES("ERROR")

/* How bytes are handed over; the output must not depend on it. */
enum rig_feed { FEED_ALL, FEED_BYTES, FEED_BYTES_DRAINED, FEED_KINDS };

#define RIG_OUT_MAX    (1u << 19)
#define RIG_PIECES_MAX 4096u
#define RIG_FILE_MAX   200000u

struct rig {
	struct dfota_at at;
	uint64_t now;
	enum rig_feed feed;
	/* what came out, and where each write ended */
	char out[RIG_OUT_MAX];
	size_t out_bytes, piece_end[RIG_PIECES_MAX], piece_count;
	uint64_t piece_ms[RIG_PIECES_MAX];
	size_t max; /* of one dfota_at_output */
	/* commands that ran */
	unsigned runs;
	/* the upload's sink: fails once it has more than fail_after bytes */
	uint8_t file[RIG_FILE_MAX];
	size_t file_bytes, fail_after;
	int end_code;
	unsigned ends;
	uint64_t end_received;
	uint16_t end_checksum;
	/* the download's source, file[]: fails beyond fail_after */
};

/* A fresh engine with the table of rig.c, CMEE 1 and default settings but echo off. */
struct rig *rig_new(enum rig_feed feed);
/* The same with another configuration and the defaults of init. */
struct rig *rig_new_with(enum rig_feed feed, const struct dfota_at_config *config);
void rig_free(struct rig *rig);
extern const struct dfota_at_config rig_config;

void rig_send(struct rig *rig, const void *bytes, size_t count);
void rig_say(struct rig *rig, const char *text);
/* Takes all output that is due now. */
void rig_drain(struct rig *rig);
/* Passes time, with ticks when the engine asks for them; output is taken as it comes. */
void rig_pass(struct rig *rig, uint64_t ms);
/* Forgets the output so far. */
void rig_forget(struct rig *rig);
/* What came out since then is exactly that; forgets it. */
#define rig_expect(rig, text) rig_expect_at(rig, text, strlen(text), __FILE__, __LINE__)
void rig_expect_at(struct rig *rig, const void *bytes, size_t count, const char *file, int line);
/* The index-th write since rig_forget is exactly that. */
#define rig_expect_piece(rig, index, text) rig_expect_piece_at(rig, index, text, __FILE__, __LINE__)
void rig_expect_piece_at(struct rig *rig, size_t index, const char *text, const char *file,
			 int line);

/* Deterministic bytes. */
uint32_t rig_random(uint64_t *state);
void rig_fill(uint8_t *bytes, size_t count, uint64_t seed);
/* Checksum by the words of its definition. */
uint16_t rig_checksum(const uint8_t *bytes, size_t count);

#endif
