/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: coding PREDICT, one segment, both ways.
 *
 * A segment is coded in pieces of the map. Tokens of a piece are compared with candidates; blocks whose tokens
 * all are their first candidate cost one decision. What no piece covers is literal. All that is learned starts
 * anew with each segment.
 */
#ifndef DFOTA_CODEC_PREDICT_H
#define DFOTA_CODEC_PREDICT_H

#include "btf.h"
#include "coding.h"
#include "literal.h"
#include "prelude.h"
#include "symbols.h"

#define PREDICT_MARGIN ISA_REACH /* old bytes read before and behind each piece, as far as there are */

#define PREDICT_VIEW (32u << 10)

/* Old bytes at hand. */
struct predict_view {
	const struct dfota_source *source;
	uint32_t start, end; /* of what is in bytes */
	uint8_t bytes[PREDICT_VIEW + 3 * PREDICT_MARGIN];
};

enum predict_mode {
	PREDICT_DECODE,
	PREDICT_SCAN,   /* encoder: finds the tokens that are not their first candidate */
	PREDICT_ENCODE
};

enum predict_cost { PREDICT_BLOCKS, PREDICT_FLAGS, PREDICT_MISSES, PREDICT_LITERALS, PREDICT_COSTS };

/* Counted when encoding, for people. A word counts for the first of the predictors that made its candidate. */
struct predict_counts {
	uint64_t cost[PREDICT_COSTS];  /* in 1/65536 bit */
	uint64_t clean[GUESS_KINDS];   /* words caught in clean blocks */
	uint64_t flagged[GUESS_KINDS]; /* words caught by a flag */
	uint64_t misses;               /* words */
	uint64_t literals;             /* bytes of no word */
};

struct predict {
	struct map map;
	struct prelude prelude;
	struct coder coder;
	struct model model;
	struct model_mixer prelude_mixer, block_mixer, flag_mixer, literal_mixer;
	int16_t *weights;
	size_t weights_bytes;
	struct guess_memory *guesses;
	struct literal_memory *literals;
	struct symbols *symbols; /* made by predict_open, or those of somebody else */
	struct pool pool;
	struct predict_view view;
};

/* How a table of symbols goes on in the middle. */
struct predict_window {
	uint32_t phase;             /* bytes before the next entry */
	uint32_t index;             /* new number of the symbol there; names only, as the next one */
	uint32_t old_index;         /* of the old symbol at old_at */
	uint32_t old_at, old_end;   /* old bytes that are read */
};

/* A segment at work. */
struct predict_job {
	enum predict_mode mode;
	uint32_t start, end;             /* new positions */
	uint8_t *out;                    /* decoding: filled; else the new bytes */
	const struct dfota_source *old;
	uint8_t *wrong;                  /* encoder: bit per byte of the segment, where such a token starts */
	struct btf_walk walk;            /* encoder: at `start`, if BTF types are there */
	/* Encoder: for new bytes [at, end) of names or sequences. NULL: without old ones. */
	struct predict_window (*window)(const struct predict_job *job, uint32_t at, uint32_t end);
	const void *window_context;
	struct predict_counts *counts;   /* encoder: added to; NULL = not counted */
};

/* Room for everything, in an arena. */
size_t predict_workspace_bytes(const struct dfota_delta_map *room);
int predict_open(struct predict **ret_predict, const struct dfota_codec_image *image,
		 struct codec_arena *arena) DFOTA_MUST_CHECK;

/* After map and regions are in place: sorts and indexes them. DFOTA_E_CORRUPT when symbols' pairs make no sense. */
int predict_ready(struct predict *predict) DFOTA_MUST_CHECK;

/* Codes the segment with coder as it is set up. Errors: those of the old source; DFOTA_E_CORRUPT. */
int predict_segment(struct predict *predict, const struct predict_job *job) DFOTA_MUST_CHECK;

#endif
