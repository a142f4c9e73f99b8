/* SPDX-License-Identifier: MIT
 *
 * Coding PREDICT: one segment from old bytes, map and chunk.
 */
#include "predict_segment.h"

/* ---- old bytes --------------------------------------------------------------------------------- */

int segment_view(struct segment *s, uint32_t from, uint32_t to, uint32_t most)
{
	struct predict_view *view = &s->p->view;

	if (view->start <= from && view->end >= to)
		return 0;
	to = most - from > PREDICT_VIEW ? from + PREDICT_VIEW : most;
	view->start = from;
	view->end = to;
	return dfota_source_read(s->job->old, from, view->bytes, to - from);
}

/* Old bytes around [old, old + 15) come to hand; more are read ahead, up to `piece_end` and the margin behind it. */
static inline int view_around(struct segment *s, uint32_t old, uint32_t piece_end)
{
	const struct predict_view *view = &s->p->view;
	uint32_t limit = s->p->map.old_bytes, from, to, most;

	if (view->start + PREDICT_MARGIN <= old && old + PREDICT_MARGIN <= view->end)
		return 0;
	from = old > PREDICT_MARGIN ? old - PREDICT_MARGIN : 0;
	to = limit - old > PREDICT_MARGIN ? old + PREDICT_MARGIN : limit;
	most = limit - piece_end > PREDICT_MARGIN ? piece_end + PREDICT_MARGIN : limit;
	return segment_view(s, from, to < most ? to : most, most);
}

/* ---- runs: stretches of a piece inside one region on both sides -------------------------------------- */

static uint32_t run_limit(const struct regions *regions, uint32_t position, uint32_t end,
			  const struct region **ret_region, uint32_t *ret_phase)
{
	const struct region *region = region_before(regions, position);
	const struct region *next = region ? region + 1 : regions->items;
	uint32_t limit = end;

	*ret_region = NULL;
	*ret_phase = region ? region_phase(region) : 0;
	if (next < regions->items + regions->count && next->start < limit)
		limit = next->start;
	if (region && position - region->start < region->bytes) {
		*ret_region = region;
		if (region->start + region->bytes < limit)
			limit = region->start + region->bytes;
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
		place->text = segment_old(s, place->old);
		place->token = tokens[i];
		segment_token(s, end);
		if (isa->use)
			pool_pass(&s->p->pool, isa, &place->token, place->word, place->old,
				  (uint32_t)region_address(place->old_region, place->old),
				  (uint32_t)region_address(place->new_region, place->at));
		place->at += tokens[i].bytes;
		place->old += tokens[i].bytes;
	}
}

/* A word that a load reached; false where there is none. */
static bool code_pool_word(struct segment *s, uint32_t end)
{
	struct fixed_place *place = &s->guess.place;
	const struct pool_word *word = pool_find(&s->p->pool, place->old);

	if (!word || end - place->at < 4 || (place->at + s->phase) % 4 != 0)
		return false;
	place->pool = *word;
	place->token = (struct isa_token){ 4, ISA_POOL, 0 };
	segment_token(s, end);
	place->at += 4;
	place->old += 4;
	return true;
}

static void code_run(struct segment *s, uint32_t end, uint32_t old_end)
{
	struct fixed_place *place = &s->guess.place;
	const struct region *old = place->old_region, *new = place->new_region;
	uint32_t kind = new ? new->kind + 1u : 0, phase = s->phase;
	uint32_t distance = place->at + phase - place->old - s->old_phase;
	const struct isa *isa = NULL;

	if (old && new && old->kind == new->kind)
		isa = isa_of(new->kind);
	if (isa && distance % isa->step != 0)
		isa = NULL;
	while (place->at < end && !s->error) {
		s->error = view_around(s, place->old, old_end);
		if (s->error)
			return;
		if (coder_exhausted(&s->p->coder)) {
			s->error = DFOTA_E_CORRUPT;
			return;
		}
		place->text = segment_old(s, place->old);
		if (isa && (place->at + phase) % isa->step == 0 && end - place->at >= isa->step) {
			if (!isa->use || !code_pool_word(s, end))
				code_instruction(s, isa, end);
		} else if (!isa && (place->at + phase) % 4 == 0 && end - place->at >= 4) {
			place->token = (struct isa_token){ 4, ISA_OTHER, 0 };
			place->role = new && new->kind == REGION_BTF_TYPES
					      ? segment_role(s, new, place->at)
					      : ROLE_NONE;
			segment_token(s, end);
			place->at += 4;
			place->old += 4;
		} else {
			segment_byte(s, place->at, place->text.at, kind);
			s->guess.unchanged = 0; /* not looked at */
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
	s->guess.unchanged = 0;
	place->at = at;
	place->old = at + (uint32_t)diagonal;
	while (place->at < end && !s->error) {
		uint32_t limit = run_limit(&s->p->map.new_regions, place->at, end,
					   &place->new_region, &s->phase);
		uint32_t left = run_limit(&s->p->map.old_regions, place->old, old_end,
					  &place->old_region, &s->old_phase) - place->old;

		if (limit - place->at > left)
			limit = place->at + left;
		s->long_end = s->block_end = 0;
		code_run(s, limit, old_end);
	}
}

static void code_bytes(struct segment *s, const struct region *region, uint32_t at, uint32_t end)
{
	for (; at < end && !s->error; at++) {
		segment_byte(s, at, NULL, region ? region->kind + 1u : 0);
		if (coder_exhausted(&s->p->coder))
			s->error = DFOTA_E_CORRUPT;
	}
}

/* Tables of symbols have their own way; other bytes are literal. */
static void code_gap(struct segment *s, uint32_t at, uint32_t end)
{
	while (at < end && !s->error) {
		const struct region *region;
		uint32_t phase, limit = run_limit(&s->p->map.new_regions, at, end, &region, &phase);

		if (region && region->kind == REGION_NAMES && s->job->mode != PREDICT_SCAN)
			segment_names(s, region, at, limit);
		else if (region && region->kind == REGION_SEQUENCES && s->job->mode != PREDICT_SCAN)
			segment_sequences(s, region, at, limit);
		else
			code_bytes(s, region, at, limit);
		at = limit;
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

static void reset(struct predict *p, uint32_t bytes)
{
	model_reset(&p->model, bytes);
	mixer_reset(&p->block_mixer, 3500, 1000);
	mixer_reset(&p->flag_mixer, 2950, 1000);
	mixer_reset(&p->literal_mixer, 2450, 750);
	guess_reset(p->guesses);
	literal_reset(p->literals);
	p->view.start = p->view.end = 0;
	p->pool = (struct pool){ 0 };
}

int predict_segment(struct predict *p, const struct predict_job *job)
{
	struct segment s = {
		.p = p,
		.job = job,
		.history = { job->out, job->start },
	};
	uint32_t at = job->start;

	reset(p, job->end - job->start);
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
