/* SPDX-License-Identifier: MIT
 *
 * Private to coding PREDICT: a segment at work.
 *
 * Files: predict.c goes through pieces and gaps, predict_token.c codes what stands in pieces, predict_symbols.c the kernel's
 * tables of symbols.
 */
#ifndef DFOTA_CODEC_PREDICT_SEGMENT_H
#define DFOTA_CODEC_PREDICT_SEGMENT_H

#include "predict.h"

struct segment {
	struct predict *p;
	const struct predict_job *job;
	struct guess_history history;
	struct guess guess;
	uint32_t long_end, block_end; /* of the blocks at hand; 0 = none */
	bool clean;
	uint32_t long_history, short_history; /* outcomes of blocks, newest in bit 0 */
	uint32_t outcomes;   /* of tokens with a choice, two bits each: first, other, miss, literal */
	uint32_t since;      /* tokens since one that was not its first candidate */
	uint32_t piece_start, piece_end;
	uint32_t phase, old_phase; /* of the run's regions */
	struct btf_walk walk; /* of the new image's BTF types, at walk_at */
	uint32_t walk_at;
	const struct region *walk_region; /* NULL = not in them yet */
	uint64_t written; /* when it was last charged */
	int error;
};

enum outcome { OUTCOME_FIRST, OUTCOME_OTHER, OUTCOME_MISS, OUTCOME_LITERAL };

static inline uint8_t *segment_new(const struct segment *s, uint32_t at)
{
	return s->job->out + (at - s->job->start);
}

static inline void segment_store(const struct segment *s, uint32_t at, unsigned bytes, uint32_t word)
{
	if (s->job->mode != PREDICT_DECODE)
		return;
	for (unsigned i = 0; i < bytes; i++)
		segment_new(s, at)[i] = (uint8_t)(word >> (8 * i));
}

/* Old bytes [from, to), fewer than a view, come to hand; more are read ahead, up to `most`. After an error the segment is lost. */
int segment_view(struct segment *s, uint32_t from, uint32_t to, uint32_t most) DFOTA_MUST_CHECK;

/* Old bytes at hand, around `old`. */
static inline struct isa_text segment_old(const struct segment *s, uint32_t old)
{
	const struct predict_view *view = &s->p->view;
	struct isa_text text = { view->bytes + (old - view->start), old - view->start,
				 view->end - old };

	if (text.before > ISA_REACH)
		text.before = ISA_REACH;
	if (text.after > ISA_REACH)
		text.after = ISA_REACH;
	return text;
}

/* Numbers that are not worth a model. */
uint32_t segment_plain(struct segment *s, unsigned bits, uint32_t number);

/* All that was written since the last time is the price of this. */
static inline void segment_charge(struct segment *s, enum predict_cost what)
{
	uint64_t written;

	if (!s->job->counts)
		return;
	written = coder_written(&s->p->coder);
	s->job->counts->cost[what] += written - s->written;
	s->written = written;
}

/* The token is set up in guess.place but for its word. */
void segment_token(struct segment *s, uint32_t run_end);

/* A byte that is no part of a token; `old_at` is NULL where nothing old stands beside it. `kind`: of its region, plus 1. */
void segment_byte(struct segment *s, uint32_t at, const uint8_t *old_at, uint32_t kind);

/* Role of the word at `at` in the region of BTF types; all before it is known. */
uint8_t segment_role(struct segment *s, const struct region *region, uint32_t at);

/* New bytes [at, end), which no piece covers, of a region of kind NAMES or SEQUENCES. */
void segment_names(struct segment *s, const struct region *region, uint32_t at, uint32_t end);
void segment_sequences(struct segment *s, const struct region *region, uint32_t at, uint32_t end);

#endif
