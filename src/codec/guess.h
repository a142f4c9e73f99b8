/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: candidates for the next token, best first.
 *
 * Each predictor makes a value or none. Equal values are one candidate; candidates are ranked by how often the
 * predictors that made them were right. What is learned depends on the tokens alone, never on how they were
 * coded, so the encoder can look ahead.
 */
#ifndef DFOTA_CODEC_GUESS_H
#define DFOTA_CODEC_GUESS_H

#include "fixed.h"
#include "model.h"

enum guess_kind {
	GUESS_SAME, GUESS_PC, GUESS_LEARNED, GUESS_NEAR, GUESS_PREL, GUESS_ABS, GUESS_WORD,
	GUESS_IMMEDIATE, GUESS_DELTA, GUESS_COLUMN8, GUESS_COLUMN12, GUESS_COLUMN24, GUESS_VALUE,
	GUESS_RANGE, GUESS_ID, GUESS_KINDS
};

#define GUESS_TRIED    5u   /* candidates that can be chosen */
#define GUESS_CLASSES  (16u * (REGION_KINDS + 1))
#define GUESS_TARGETS  (1u << 13)
#define GUESS_NEARS    (1u << 12)
#define GUESS_WORDS    (1u << 15)
#define GUESS_FIELDS   (1u << 13)
#define GUESS_VALUES   (1u << 13)

struct guess_target {
	uint64_t old, new; /* addresses; 0 = empty */
};

struct guess_pair {
	uint32_t old, new;
};

/* Which entries of a table are filled. Tables are larger than a cache and mostly empty; this is not. */
#define GUESS_FILLED(entries) ((entries) / 32)

/* What is learned inside one segment. */
struct guess_memory {
	uint32_t targets_filled[GUESS_FILLED(GUESS_TARGETS)], nears_filled[GUESS_FILLED(GUESS_NEARS)];
	uint32_t words_filled[GUESS_FILLED(GUESS_WORDS)], fields_filled[GUESS_FILLED(GUESS_FIELDS)];
	uint32_t values_filled[GUESS_FILLED(GUESS_VALUES)];
	struct guess_target targets[GUESS_TARGETS];
	struct guess_target nears[GUESS_NEARS];
	struct guess_pair words[GUESS_WORDS];
	struct guess_pair fields[GUESS_FIELDS];
	struct guess_pair values[GUESS_VALUES];
	uint16_t scores[GUESS_CLASSES][GUESS_KINDS][2]; /* after it was wrong, after it was right */
	uint16_t right[GUESS_CLASSES]; /* predictors that were right the last time */
	uint32_t delta;
	uint32_t id_at; /* new position of the last program's identity; 0 = none */
};

/* New bytes of the segment before the token; older ones read as zero. */
struct guess_history {
	const uint8_t *segment;
	uint32_t start; /* position of segment[0] in the new image */
};

struct guess {
	struct fixed_place place;
	struct fixed_values fixed;
	uint32_t class;  /* of region kind and token */
	uint32_t value[GUESS_KINDS];
	uint32_t mask[GUESS_KINDS]; /* predictors that made it */
	uint32_t count;
	uint32_t unchanged; /* bytes right before the token, on its diagonal, that are the old ones; at least so many */
	/* private */
	uint32_t made[GUESS_KINDS];
	uint32_t have;
};

void guess_reset(struct guess_memory *memory);

/* Candidates for guess->place; at least one. */
void guess_make(struct guess_memory *memory, const struct map *map,
		const struct guess_history *history, struct guess *guess);

/* The token is `word`, and stands in the history now. */
void guess_learn(struct guess_memory *memory, const struct guess_history *history,
		 struct guess *guess, uint32_t word);

#endif
