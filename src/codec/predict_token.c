/* SPDX-License-Identifier: MIT
 *
 * What stands in pieces: blocks of tokens that all are what was expected, flags, misses.
 */
#include "predict_segment.h"

#define BLOCK_LONG  256u /* bytes */
#define BLOCK_SHORT 64u

/* ---- history ----------------------------------------------------------------------------------- */

static void note_outcome(struct segment *s, enum outcome outcome)
{
	s->since = outcome == OUTCOME_FIRST ? s->since + 1 : 0;
	if (outcome != OUTCOME_FIRST || s->guess.count > 1)
		s->outcomes = s->outcomes << 2 | outcome;
}

/* ---- counts, when encoding --------------------------------------------------------------------- */

/* Candidate `j` is the word. */
static void count_word(const struct segment *s, uint32_t j)
{
	struct predict_counts *counts = s->job->counts;

	if (counts)
		(s->clean ? counts->clean : counts->flagged)[__builtin_ctz(s->guess.mask[j])]++;
}

/* ---- decisions --------------------------------------------------------------------------------- */

static bool all_right(const struct segment *s, uint32_t from, uint32_t to)
{
	for (uint32_t i = from - s->job->start; i < to - s->job->start; i++) {
		if (i % 8 == 0 && to - s->job->start - i >= 8) {
			if (s->job->wrong[i / 8])
				return false;
			i += 7;
		} else if (s->job->wrong[i / 8] >> (i % 8) & 1) {
			return false;
		}
	}
	return true;
}

/* "All tokens up to `end` are their first candidate." */
static bool code_block(struct segment *s, uint32_t at, uint32_t end, unsigned is_long)
{
	struct model *model = &s->p->model;
	uint32_t kind = s->guess.class, history = is_long ? s->long_history : s->short_history;
	uint32_t from = model_log2(at - s->piece_start), left = model_log2(s->piece_end - at);
	uint32_t select[MODEL_SETS] = { 0 };
	uint32_t since = model_log2(s->since);
	unsigned clean = 0;

	if (s->job->mode == PREDICT_SCAN)
		return false;
	if (s->job->mode == PREDICT_ENCODE)
		clean = all_right(s, at, end);
	model_begin(model);
	model_context(model, model_hash3(is_long, history & 255, 11));
	model_context(model, model_hash4(is_long, kind, from << 8 | left, 12));
	model_context(model, model_hash4(is_long, history & 15, kind, 13));
	model_context(model, model_hash4(is_long, since, from << 8 | history, 14));
	model_context(model, model_hash4(is_long, s->outcomes & 255, s->long_history & 3, 15));
	model_context(model, model_hash4(is_long, at >> 12, history & 3, 16));
	select[0] = is_long * 16 + (history & 15);
	select[1] = is_long * 32 + (since < 31 ? since : 31);
	clean = model_code(model, &s->p->block_mixer, select, clean);
	segment_charge(s, PREDICT_BLOCKS);
	if (is_long)
		s->long_history = s->long_history << 1 | clean;
	else
		s->short_history = s->short_history << 1 | clean;
	return clean;
}

static void begin_block(struct segment *s, uint32_t at, uint32_t end)
{
	if (at < s->block_end)
		return;
	s->clean = false;
	if (at >= s->long_end && end - at >= BLOCK_LONG) {
		s->long_end = s->block_end = at + BLOCK_LONG;
		s->clean = code_block(s, at, s->long_end, 1);
		if (s->clean)
			return;
	}
	if (end - at >= BLOCK_SHORT) {
		s->block_end = at + BLOCK_SHORT;
		s->clean = code_block(s, at, s->block_end, 0);
	} else {
		s->block_end = end;
	}
}

/* "It is candidate `j`." */
static unsigned code_flag(struct segment *s, uint32_t j, uint32_t later, unsigned yes)
{
	const struct guess *g = &s->guess;
	const struct fixed_place *place = &g->place;
	struct model *model = &s->p->model;
	uint32_t at = place->at, word = place->word, class = g->class, select[MODEL_SETS] = { 0 };
	uint32_t jm = model_hash3(g->mask[j], j, class), jo = model_hash3(jm, later, at & 3);
	uint32_t before = place->text.before >= 4 ? isa_load(place->text.at - 4, 4) : 0;
	uint32_t behind = place->text.after >= 8 ? isa_load(place->text.at + 4, 4) : 0;
	uint32_t done = at - s->job->start, last = s->outcomes & 3, from, left, same;
	unsigned present = (unsigned)__builtin_popcount(g->have);

	from = model_log2(at - s->piece_start);
	left = model_log2(s->piece_end - at);
	same = done >= 4 && before == isa_load(segment_new(s, at) - 4, 4);
	model_begin(model);
	model_context(model, jo);
	model_context(model, model_hash4(jm, model_log2(s->since), s->outcomes & 15, 2));
	model_context(model, model_hash3(jm, word, 3));
	model_context(model, model_hash4(jm, (from < 12 ? from : 12) << 8 | (left < 12 ? left : 12), 0, 4));
	model_context(model, model_hash4(jm, before >> 21 << 11 | behind >> 21, last, 5));
	model_context(model, model_hash4(jm, (uint32_t)g->fixed.target, g->fixed.exact, 6));
	model_context(model, model_hash4(jo, same, word >> 22, 7));
	select[0] = class * 4 + (j < 3 ? j : 3);
	select[1] = (((present < 7 ? present : 7) * 4 + (j < 3 ? j : 3)) * 4 + last) * 2 +
		    (g->mask[j] & 1);
	return model_code(model, &s->p->flag_mixer, select, yes);
}

/* ---- BTF --------------------------------------------------------------------------------------- */

uint32_t segment_plain(struct segment *s, unsigned bits, uint32_t number)
{
	uint32_t value = 0;

	while (bits-- > 0)
		value = value << 1 |
			coder_bit(&s->p->coder, 32768, number >> bits & 1);
	return value;
}

/* A segment that starts inside of BTF types says where in a record. */
static void begin_walk(struct segment *s, const struct region *region)
{
	s->walk_region = region;
	s->walk = (struct btf_walk){ 0 };
	s->walk_at = region->start;
	if (region->start >= s->job->start)
		return;
	s->walk_at = s->job->start;
	if (s->job->mode != PREDICT_DECODE)
		s->walk = s->job->walk;
	if (s->job->mode == PREDICT_SCAN)
		return;
	s->walk.at = segment_plain(s, 3, s->walk.at);
	s->walk.kind = segment_plain(s, 5, s->walk.kind);
	s->walk.left = segment_plain(s, 18, s->walk.left);
	segment_charge(s, PREDICT_FLAGS);
}

uint8_t segment_role(struct segment *s, const struct region *region, uint32_t at)
{
	if (region->start % 4 != 0 || at % 4 != 0)
		return ROLE_NONE;
	if (s->walk_region != region)
		begin_walk(s, region);
	for (; s->walk_at < at; s->walk_at += 4)
		(void)btf_step(&s->walk, isa_load(segment_new(s, s->walk_at), 4)); /* only the state counts */
	return s->walk_at == at ? (uint8_t)btf_role(&s->walk) : ROLE_NONE;
}

/* ---- tokens ------------------------------------------------------------------------------------ */

static void code_literal(struct segment *s, struct literal *literal)
{
	uint32_t value;

	if (s->job->mode == PREDICT_SCAN)
		return;
	value = literal_code(s->p->literals, &s->p->model, &s->p->literal_mixer, &s->history,
			     literal);
	segment_store(s, literal->at, literal->bytes, value);
}

void segment_byte(struct segment *s, uint32_t at, const uint8_t *old_at, uint32_t kind)
{
	struct literal literal = { .at = at, .bytes = 1, .kind = kind };

	if (s->job->mode != PREDICT_DECODE)
		literal.value = *segment_new(s, at);
	if (old_at) {
		literal.has_old = literal.has_guess = true;
		literal.old = literal.guess = *old_at;
	}
	code_literal(s, &literal);
	segment_charge(s, PREDICT_LITERALS);
	if (s->job->counts)
		s->job->counts->literals++;
	if (s->job->mode != PREDICT_SCAN)
		literal_passed(s->p->literals, &s->history, at + 1);
}

static void code_miss(struct segment *s)
{
	const struct guess *g = &s->guess;
	struct literal literal = {
		.at = g->place.at,
		.bytes = g->place.token.bytes,
		.has_old = true,
		.old = g->place.word,
		.has_guess = true,
		.guess = g->value[0],
		.kind = g->class >> 4,
	};

	if (s->job->mode != PREDICT_DECODE)
		literal.value = isa_load(segment_new(s, g->place.at), g->place.token.bytes);
	code_literal(s, &literal);
}

static void code_choice(struct segment *s)
{
	const struct guess *g = &s->guess;
	uint32_t at = g->place.at, later = g->have, j;
	unsigned bytes = g->place.token.bytes;
	uint32_t word = s->job->mode == PREDICT_DECODE ? 0 : isa_load(segment_new(s, at), bytes);

	for (j = 0; j < g->count && j < GUESS_TRIED; j++) {
		later &= ~g->mask[j];
		if (code_flag(s, j, later, word == g->value[j])) {
			segment_store(s, at, bytes, g->value[j]);
			segment_charge(s, PREDICT_FLAGS);
			count_word(s, j);
			note_outcome(s, j == 0 ? OUTCOME_FIRST : OUTCOME_OTHER);
			return;
		}
	}
	segment_charge(s, PREDICT_FLAGS);
	code_miss(s);
	segment_charge(s, PREDICT_MISSES);
	if (s->job->counts)
		s->job->counts->misses++;
	note_outcome(s, OUTCOME_MISS);
}

static void scan_choice(struct segment *s)
{
	const struct guess *g = &s->guess;
	uint32_t at = g->place.at - s->job->start;

	if (isa_load(segment_new(s, g->place.at), g->place.token.bytes) != g->value[0])
		s->job->wrong[at / 8] |= (uint8_t)(1u << (at % 8));
}

void segment_token(struct segment *s, uint32_t run_end)
{
	struct guess *g = &s->guess;
	uint32_t at = g->place.at;

	g->place.word = isa_load(g->place.text.at, g->place.token.bytes);
	begin_block(s, at, run_end);
	guess_make(s->p->guesses, &s->p->map, &s->history, g);
	if (s->job->mode == PREDICT_SCAN) {
		scan_choice(s);
	} else if (s->clean) {
		segment_store(s, at, g->place.token.bytes, g->value[0]);
		count_word(s, 0);
		note_outcome(s, OUTCOME_FIRST);
	} else {
		code_choice(s);
	}
	guess_learn(s->p->guesses, &s->history, g, isa_load(segment_new(s, at), g->place.token.bytes));
	if (s->job->mode != PREDICT_SCAN && !s->clean)
		literal_passed(s->p->literals, &s->history, at + g->place.token.bytes);
}
