/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: bytes that no candidate explains.
 */
#ifndef DFOTA_CODEC_LITERAL_H
#define DFOTA_CODEC_LITERAL_H

#include "guess.h"

#define LITERAL_CONTEXTS 12u
#define LITERAL_INPUTS   MODEL_INPUTS(LITERAL_CONTEXTS)
#define LITERAL_ROWS0    512u
#define LITERAL_ROWS1    4096u
#define LITERAL_ROWS2    2048u
#define MATCH_BITS       16u

/* What a match model and the last bytes tell; forgotten with each segment. */
struct literal_memory {
	uint32_t index[1u << MATCH_BITS]; /* position + 1 behind six bytes, by their hash */
	uint32_t passed;
	uint32_t found;                   /* what stood in it for the last position passed */
	uint32_t match, match_bytes;      /* place in the segment expected to go on here; equal bytes before it */
	uint32_t coded;                   /* last four bytes in coding order */
};

/* A byte or, if bytes > 1, a token of so many whose highest byte comes first. */
struct literal {
	uint32_t at;        /* new position */
	unsigned bytes;
	uint32_t value;     /* encoding: what it is */
	bool has_old;
	uint32_t old;       /* old bytes at its place */
	bool has_guess;
	uint32_t guess;     /* best candidate, known to be wrong as a whole */
	uint32_t kind;      /* region kind + 1, or 0 */
};

void literal_reset(struct literal_memory *memory);

/* Codes it and returns it; the caller stores it into the history. */
uint32_t literal_code(struct literal_memory *memory, struct model *model, struct model_mixer *mixer,
		      const struct guess_history *history, const struct literal *literal);

/* All bytes before `end` stand in the history now; `end` is where the next token starts. */
void literal_passed(struct literal_memory *memory, const struct guess_history *history,
		    uint32_t end);

#endif
