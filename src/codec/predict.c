/* SPDX-License-Identifier: MIT
 *
 * Coding PREDICT: one segment from old bytes, map and chunk.
 */
#include "predict.h"

#define BLOCK_LONG  256u /* bytes */
#define BLOCK_SHORT 64u


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
	struct btf_walk walk; /* of the new image's BTF types, at walk_at */
	uint32_t walk_at;
	const struct region *walk_region; /* NULL = not in them yet */
	uint64_t written; /* when it was last charged */
	int error;
};

enum outcome { OUTCOME_FIRST, OUTCOME_OTHER, OUTCOME_MISS, OUTCOME_LITERAL };

/* ---- old bytes --------------------------------------------------------------------------------- */

/* Makes sure that old bytes around [old, old + 15) are at hand; reads forward up to `piece_end`. */
static int view_old(struct segment *s, uint32_t old, uint32_t piece_end)
{
	struct predict_view *view = &s->p->view;
	uint32_t limit = s->p->map.old_bytes;
	uint32_t from = old > PREDICT_MARGIN ? old - PREDICT_MARGIN : 0;
	uint32_t to = limit - old > PREDICT_MARGIN ? old + PREDICT_MARGIN : limit;
	uint32_t most = limit - piece_end > PREDICT_MARGIN ? piece_end + PREDICT_MARGIN : limit;

	if (to > most)
		to = most;
	if (view->start <= from && view->end >= to)
		return 0;
	to = from + PREDICT_VIEW < most ? from + PREDICT_VIEW : most;
	view->start = from;
	view->end = to;
	return dfota_source_read(s->job->old, from, view->bytes, to - from);
}

static struct isa_text old_text(const struct segment *s, uint32_t old)
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

/* ---- history ----------------------------------------------------------------------------------- */

static uint8_t *new_at(const struct segment *s, uint32_t at)
{
	return s->job->out + (at - s->job->start);
}

static void store(const struct segment *s, uint32_t at, unsigned bytes, uint32_t word)
{
	if (s->job->mode != PREDICT_DECODE)
		return;
	for (unsigned i = 0; i < bytes; i++)
		new_at(s, at)[i] = (uint8_t)(word >> (8 * i));
}

static void note_outcome(struct segment *s, enum outcome outcome)
{
	s->since = outcome == OUTCOME_FIRST ? s->since + 1 : 0;
	if (outcome != OUTCOME_FIRST || s->guess.count > 1)
		s->outcomes = s->outcomes << 2 | outcome;
}

/* ---- counts, when encoding --------------------------------------------------------------------- */

/* All that was written since the last time is the price of this. */
static void charge(struct segment *s, enum predict_cost what)
{
	uint64_t written;

	if (!s->job->counts)
		return;
	written = coder_written(&s->p->coder);
	s->job->counts->cost[what] += written - s->written;
	s->written = written;
}

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
	model_input(model, 77);
	select[0] = is_long * 16 + (history & 15);
	select[1] = is_long * 32 + (since < 31 ? since : 31);
	clean = model_code(model, &s->p->block_mixer, select, clean);
	charge(s, PREDICT_BLOCKS);
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
	same = done >= 4 && before == isa_load(new_at(s, at) - 4, 4);
	model_begin(model);
	model_context(model, jo);
	model_context(model, model_hash4(jm, model_log2(s->since), s->outcomes & 15, 2));
	model_context(model, model_hash3(jm, word, 3));
	model_context(model, model_hash4(jm, (from < 12 ? from : 12) << 8 | (left < 12 ? left : 12), 0, 4));
	model_context(model, model_hash4(jm, before >> 21 << 11 | behind >> 21, last, 5));
	model_context(model, model_hash4(jm, (uint32_t)g->fixed.target, g->fixed.exact, 6));
	model_context(model, model_hash4(jo, same, word >> 22, 7));
	model_input(model, 77);
	select[0] = class * 4 + (j < 3 ? j : 3);
	select[1] = (((present < 7 ? present : 7) * 4 + (j < 3 ? j : 3)) * 4 + last) * 2 +
		    (g->mask[j] & 1);
	return model_code(model, &s->p->flag_mixer, select, yes);
}

/* ---- BTF --------------------------------------------------------------------------------------- */

/* Numbers that are not worth a model. */
static uint32_t code_plain(struct segment *s, unsigned bits, uint32_t number)
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
	s->walk.at = code_plain(s, 3, s->walk.at);
	s->walk.kind = code_plain(s, 5, s->walk.kind);
	s->walk.left = code_plain(s, 18, s->walk.left);
	charge(s, PREDICT_FLAGS);
}

/* Role of the word at `at` in the region; all before it is known. */
static uint8_t role_at(struct segment *s, const struct region *region, uint32_t at)
{
	if (region->start % 4 != 0 || at % 4 != 0)
		return ROLE_NONE;
	if (s->walk_region != region)
		begin_walk(s, region);
	for (; s->walk_at < at; s->walk_at += 4)
		(void)btf_step(&s->walk, isa_load(new_at(s, s->walk_at), 4)); /* only the state counts */
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
	store(s, literal->at, literal->bytes, value);
}

/* A byte that is no part of a token; `old_at` is NULL where nothing old stands beside it. */
static void code_byte(struct segment *s, uint32_t at, const uint8_t *old_at, uint32_t kind)
{
	struct literal literal = { .at = at, .bytes = 1, .kind = kind };

	if (s->job->mode != PREDICT_DECODE)
		literal.value = *new_at(s, at);
	if (old_at) {
		literal.has_old = literal.has_guess = true;
		literal.old = literal.guess = *old_at;
	}
	code_literal(s, &literal);
	charge(s, PREDICT_LITERALS);
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
		literal.value = isa_load(new_at(s, g->place.at), g->place.token.bytes);
	code_literal(s, &literal);
}

static void code_choice(struct segment *s)
{
	const struct guess *g = &s->guess;
	uint32_t at = g->place.at, later = g->have, j;
	unsigned bytes = g->place.token.bytes;
	uint32_t word = s->job->mode == PREDICT_DECODE ? 0 : isa_load(new_at(s, at), bytes);

	for (j = 0; j < g->count && j < GUESS_TRIED; j++) {
		later &= ~g->mask[j];
		if (code_flag(s, j, later, word == g->value[j])) {
			store(s, at, bytes, g->value[j]);
			charge(s, PREDICT_FLAGS);
			count_word(s, j);
			note_outcome(s, j == 0 ? OUTCOME_FIRST : OUTCOME_OTHER);
			return;
		}
	}
	charge(s, PREDICT_FLAGS);
	code_miss(s);
	charge(s, PREDICT_MISSES);
	if (s->job->counts)
		s->job->counts->misses++;
	note_outcome(s, OUTCOME_MISS);
}

static void scan_choice(struct segment *s)
{
	const struct guess *g = &s->guess;
	uint32_t at = g->place.at - s->job->start;

	if (isa_load(new_at(s, g->place.at), g->place.token.bytes) != g->value[0])
		s->job->wrong[at / 8] |= (uint8_t)(1u << (at % 8));
}

/* The token is set up in guess.place but for its word. */
static void code_token(struct segment *s, uint32_t run_end)
{
	struct guess *g = &s->guess;
	uint32_t at = g->place.at;

	g->place.word = isa_load(g->place.text.at, g->place.token.bytes);
	begin_block(s, at, run_end);
	guess_make(s->p->guesses, &s->p->map, &s->history, g);
	if (s->job->mode == PREDICT_SCAN) {
		scan_choice(s);
	} else if (s->clean) {
		store(s, at, g->place.token.bytes, g->value[0]);
		count_word(s, 0);
		note_outcome(s, OUTCOME_FIRST);
	} else {
		code_choice(s);
	}
	guess_learn(s->p->guesses, &s->history, g, isa_load(new_at(s, at), g->place.token.bytes));
	if (s->job->mode != PREDICT_SCAN)
		literal_passed(s->p->literals, &s->history, at + g->place.token.bytes);
}

/* ---- runs: stretches of a piece inside one region on both sides -------------------------------------- */

static uint32_t run_limit(const struct regions *regions, uint32_t position, uint32_t end,
			  const struct region **ret_region)
{
	uint32_t low = 0, high = regions->count, limit = end;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (regions->items[middle].start <= position)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_region = NULL;
	if (low < regions->count && regions->items[low].start < limit)
		limit = regions->items[low].start;
	if (low > 0) {
		const struct region *region = &regions->items[low - 1];

		if (position - region->start < region->bytes) {
			*ret_region = region;
			if (region->start + region->bytes < limit)
				limit = region->start + region->bytes;
		}
	}
	return limit;
}

static void code_instruction(struct segment *s, const struct isa *isa, uint32_t end)
{
	struct fixed_place *place = &s->guess.place;
	struct isa_token tokens[ISA_TOKENS];
	struct isa_text text = place->text;
	unsigned count;

	if (text.after > end - place->at)
		text.after = end - place->at;
	count = isa->split(&text, tokens);
	for (unsigned i = 0; i < count; i++) {
		place->text = old_text(s, place->old);
		place->token = tokens[i];
		code_token(s, end);
		place->at += tokens[i].bytes;
		place->old += tokens[i].bytes;
	}
}

static void code_run(struct segment *s, uint32_t end, uint32_t old_end)
{
	struct fixed_place *place = &s->guess.place;
	const struct region *old = place->old_region, *new = place->new_region;
	uint32_t kind = new ? new->kind + 1u : 0, distance = place->at - place->old;
	const struct isa *isa = NULL;

	if (old && new && old->kind == new->kind)
		isa = isa_of(new->kind);
	if (isa && distance % isa->step != 0)
		isa = NULL;
	while (place->at < end && !s->error) {
		s->error = view_old(s, place->old, old_end);
		if (s->error)
			return;
		if (coder_exhausted(&s->p->coder)) {
			s->error = DFOTA_E_CORRUPT;
			return;
		}
		place->text = old_text(s, place->old);
		if (isa && place->at % isa->step == 0 && end - place->at >= isa->step) {
			code_instruction(s, isa, end);
		} else if (!isa && place->at % 4 == 0 && end - place->at >= 4) {
			place->token = (struct isa_token){ 4, ISA_OTHER, 0 };
			place->role = new && new->kind == REGION_BTF_TYPES
					      ? role_at(s, new, place->at)
					      : ROLE_NONE;
			code_token(s, end);
			place->at += 4;
			place->old += 4;
		} else {
			code_byte(s, place->at, place->text.at, kind);
			place->at++;
			place->old++;
		}
	}
}

static void code_piece(struct segment *s, uint32_t at, uint32_t end, int32_t diagonal)
{
	struct fixed_place *place = &s->guess.place;
	uint32_t old_end = end + (uint32_t)diagonal;

	s->piece_start = at;
	s->piece_end = end;
	s->long_end = s->block_end = 0;
	place->at = at;
	place->old = at + (uint32_t)diagonal;
	while (place->at < end && !s->error) {
		uint32_t limit = run_limit(&s->p->map.new_regions, place->at, end,
					   &place->new_region);
		uint32_t left = run_limit(&s->p->map.old_regions, place->old, old_end,
					  &place->old_region) - place->old;

		if (limit - place->at > left)
			limit = place->at + left;
		s->long_end = s->block_end = 0;
		code_run(s, limit, old_end);
	}
}

static void code_gap(struct segment *s, uint32_t at, uint32_t end)
{
	for (; at < end && !s->error; at++) {
		const struct region *region = region_at(&s->p->map.new_regions, at);

		code_byte(s, at, NULL, region ? region->kind + 1u : 0);
		if (coder_exhausted(&s->p->coder))
			s->error = DFOTA_E_CORRUPT;
	}
	s->outcomes = s->outcomes << 2 | OUTCOME_LITERAL;
}

/* First piece that ends after `at`. */
static uint32_t piece_find(const struct map *map, uint32_t at)
{
	uint32_t low = 0, high = map->piece_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (map->pieces[middle].at + map->pieces[middle].bytes <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void reset(struct predict *p)
{
	model_reset(&p->model);
	mixer_reset(&p->block_mixer, 14000, 4000);
	mixer_reset(&p->flag_mixer, 11800, 4000);
	mixer_reset(&p->literal_mixer, 9800, 3000);
	guess_reset(p->guesses);
	literal_reset(p->literals);
	p->view.start = p->view.end = 0;
}

int predict_segment(struct predict *p, const struct predict_job *job)
{
	struct segment s = {
		.p = p,
		.job = job,
		.history = { job->out, job->start },
	};
	uint32_t at = job->start;

	reset(p);
	for (uint32_t i = piece_find(&p->map, at); at < job->end && !s.error; i++) {
		const struct map_piece *piece =
			i < p->map.piece_count ? &p->map.pieces[i] : NULL;
		uint32_t from = piece && piece->at < job->end ? piece->at : job->end, end;

		if (from > at) {
			code_gap(&s, at, from);
			at = from;
		}
		if (s.error || at == job->end)
			break;
		end = piece->at + piece->bytes < job->end ? piece->at + piece->bytes : job->end;
		code_piece(&s, at, end, piece->diagonal);
		at = end;
	}
	return s.error;
}
