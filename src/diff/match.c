/* SPDX-License-Identifier: MIT
 *
 * The passes of the matcher.
 */
#include "match.h"

#include <stdlib.h>

#include "btf_types.h"
#include "match_cost.h"
#include "match_path.h"
#include "parallel.h"

#define MATCH_PASSES 3u
#define SHAPE_PASSES 2u /* afterwards hardly a shape changes, and a suffix array takes longer than anything else */
#define REFINE 3 /* bytes by which the end of a piece may move: less than a cell */

struct matcher {
	const struct diff_match_input *input;
	struct view view;
	struct seeds *seeds;	   /* by stretch */
	struct diff_pieces *parts; /* pieces by stretch */
	size_t stretches;
	struct diff_pieces pieces;
	unsigned done; /* permille */
};

static void tell(struct matcher *matcher, unsigned permille)
{
	const struct diff_match_input *input = matcher->input;

	matcher->done = permille;
	if (input->progress)
		input->progress(input->progress_context, permille);
}

/* ---- one pass ----------------------------------------------------------------------------------
 */

static int sort_stretch(void *context, size_t item)
{
	struct matcher *matcher = context;

	seeds_sort(&matcher->seeds[item]);
	return 0;
}

static int walk_stretch(void *context, size_t item)
{
	struct matcher *matcher = context;

	return path_find(&matcher->view, matcher->seeds, item, &matcher->parts[item]);
}

/* The pieces of all stretches become those of the image. */
static int gather(struct matcher *matcher)
{
	int error = 0;

	matcher->pieces.count = 0;
	for (size_t i = 0; i < matcher->stretches; i++) {
		struct diff_pieces *part = &matcher->parts[i];

		for (size_t k = 0; k < part->count && !error; k++)
			error = diff_pieces_add(&matcher->pieces, part->items[k].at,
						part->items[k].bytes, part->items[k].diagonal);
		diff_pieces_free(part);
	}
	return error;
}

static void forget_seeds(struct matcher *matcher)
{
	for (size_t i = 0; i < matcher->stretches; i++)
		seeds_free(&matcher->seeds[i]);
}

static int walk_all(struct matcher *matcher)
{
	unsigned threads = matcher->input->threads;
	int error = diff_parallel(threads, matcher->stretches, sort_stretch, matcher, NULL);

	if (!error)
		error = diff_parallel(threads, matcher->stretches, walk_stretch, matcher, NULL);
	return error ? error : gather(matcher);
}

/* ---- predictions -------------------------------------------------------------------------------
 */

/* A map of the pieces that stand. */
struct draft {
	struct map map;
	struct map_piece *pieces;
	struct map_entry *entries;
	struct map_types *types;
	uint32_t *scratch;
};

static void draft_free(struct draft *draft)
{
	free(draft->map.old_regions.by_address);
	free(draft->map.new_regions.by_address);
	free(draft->pieces);
	free(draft->entries);
	free(draft->types);
	free(draft->scratch);
}

static int sorted_regions(struct regions *regions, const struct regions *from)
{
	*regions = *from;
	regions->by_address = malloc(((size_t)from->count + 1) * sizeof(uint32_t));
	if (!regions->by_address)
		return DFOTA_E_MEMORY;
	regions_sort(regions);
	return 0;
}

static int draft_entries(struct draft *draft, const struct diff_pieces *pieces)
{
	size_t count = pieces->count;

	draft->pieces = malloc((count + 1) * sizeof(*draft->pieces));
	draft->entries = malloc((count + 1) * sizeof(*draft->entries));
	draft->scratch = malloc((count + 1) * 2 * sizeof(*draft->scratch));
	if (!draft->pieces || !draft->entries || !draft->scratch)
		return DFOTA_E_MEMORY;
	for (size_t i = 0; i < count; i++)
		draft->pieces[i] = (struct map_piece){ (uint32_t)pieces->items[i].at,
						       (uint32_t)pieces->items[i].bytes,
						       (int32_t)pieces->items[i].diagonal };
	draft->map.pieces = draft->pieces;
	draft->map.piece_count = (uint32_t)count;
	map_make_entries(&draft->map, draft->entries, draft->scratch);
	return 0;
}

static int draft_make(struct draft *draft, const struct matcher *matcher)
{
	const struct diff_match_input *input = matcher->input;
	int error;

	*draft = (struct draft){ .map = { .old_bytes = matcher->view.old.bytes,
					  .new_bytes = matcher->view.new.bytes } };
	error = sorted_regions(&draft->map.old_regions, input->old_regions);
	if (!error)
		error = sorted_regions(&draft->map.new_regions, input->new_regions);
	if (!error)
		error = draft_entries(draft, &matcher->pieces);
	if (!error)
		error = diff_btf_types(&draft->map, input->images, &draft->types,
				       &draft->map.type_run_count);
	draft->map.types = draft->types;
	return error;
}

static int predict(struct matcher *matcher)
{
	struct draft draft;
	int error = draft_make(&draft, matcher);

	if (!error)
		error = view_predict(&matcher->view, &draft.map, matcher->input->threads);
	draft_free(&draft);
	return error;
}

static int run_pass(struct matcher *matcher, unsigned pass)
{
	unsigned threads = matcher->input->threads, span = 1000 / MATCH_PASSES;
	int error = 0;

	if (pass > 0)
		error = predict(matcher);
	if (pass < SHAPE_PASSES) {
		forget_seeds(matcher);
		if (!error)
			error = seeds_from_shapes(&matcher->view, threads, matcher->seeds);
	}
	tell(matcher, span * pass + span / 2);
	if (!error && pass > 0)
		error = seeds_from_pieces(&matcher->pieces, matcher->seeds);
	if (!error && pass > 0)
		error =
		    seeds_from_targets(&matcher->view, &matcher->pieces, threads, matcher->seeds);
	if (!error)
		error = walk_all(matcher);
	tell(matcher, span * (pass + 1));
	return error;
}

/* ---- ends of pieces ----------------------------------------------------------------------------
 */

/* Is the new byte explained on the diagonal, by itself or with its cell? */
static bool byte_explained(const struct view *view, int64_t at, int64_t diagonal)
{
	int64_t old = at + diagonal;
	const struct region *region;
	uint32_t start;
	struct cell cell;

	if (old < 0 || old >= view->old.bytes || at < 0 || at >= view->new.bytes)
		return false;
	if (view->new.raw[at] == view->old.raw[old])
		return true;
	region = region_at(view->new.regions, (uint32_t)at);
	start = (uint32_t)at - ((uint32_t)at + regions_phase(view->new.regions, (uint32_t)at)) % CELL;
	old = start + diagonal;
	if (old < 0 || old + CELL > view->old.bytes || start + CELL > view->new.bytes || start > (uint32_t)at)
		return false;
	cell_load(&cell, view, region, start);
	return cell_cost(&cell, view, (uint32_t)old) < COST_EXPLAINED;
}

static bool inside_old(const struct view *view, int64_t at, int64_t diagonal)
{
	return at + diagonal >= 0 && at + diagonal < view->old.bytes;
}

/* Two pieces meet: where most bytes are explained. */
static void refine_seam(const struct view *view, struct diff_piece *before,
			struct diff_piece *behind)
{
	int score = 0, best = 0, move = 0;

	for (int i = 0; i < REFINE && behind->bytes > (uint64_t)i + 1; i++) {
		int64_t at = (int64_t)behind->at + i;

		if (!inside_old(view, at, before->diagonal))
			break;
		score += byte_explained(view, at, before->diagonal);
		score -= byte_explained(view, at, behind->diagonal);
		if (score > best) {
			best = score;
			move = i + 1;
		}
	}
	score = 0;
	for (int i = 0; i < REFINE && before->bytes > (uint64_t)i + 1; i++) {
		int64_t at = (int64_t)behind->at - 1 - i;

		if (!inside_old(view, at, behind->diagonal))
			break;
		score -= byte_explained(view, at, before->diagonal);
		score += byte_explained(view, at, behind->diagonal);
		if (score > best) {
			best = score;
			move = -(i + 1);
		}
	}
	before->bytes += (uint64_t)(int64_t)move;
	behind->at += (uint64_t)(int64_t)move;
	behind->bytes -= (uint64_t)(int64_t)move;
}

/* A piece grows into literal bytes as long as they are equal. */
static void refine_gap(const struct view *view, struct diff_piece *piece, uint64_t from,
		       uint64_t to)
{
	for (int i = 0; i < REFINE && piece->at + piece->bytes < to; i++) {
		int64_t at = (int64_t)(piece->at + piece->bytes);

		if (!inside_old(view, at, piece->diagonal) ||
		    view->new.raw[at] != view->old.raw[at + piece->diagonal])
			break;
		piece->bytes++;
	}
	for (int i = 0; i < REFINE && piece->at > from; i++) {
		int64_t at = (int64_t)piece->at - 1;

		if (!inside_old(view, at, piece->diagonal) ||
		    view->new.raw[at] != view->old.raw[at + piece->diagonal])
			break;
		piece->at--;
		piece->bytes++;
	}
}

static void refine_all(struct matcher *matcher)
{
	struct diff_piece *pieces = matcher->pieces.items;
	size_t count = matcher->pieces.count;

	for (size_t i = 0; i < count; i++) {
		uint64_t from = i > 0 ? pieces[i - 1].at + pieces[i - 1].bytes : 0;
		uint64_t to = i + 1 < count ? pieces[i + 1].at : matcher->view.new.bytes;

		if (i > 0 && from == pieces[i].at)
			refine_seam(&matcher->view, &pieces[i - 1], &pieces[i]);
		from = i > 0 ? pieces[i - 1].at + pieces[i - 1].bytes : 0;
		refine_gap(&matcher->view, &pieces[i], from, to);
	}
}

/* ---- the whole ---------------------------------------------------------------------------------
 */

/* Number of pieces that are shorter than `bytes`. */
static size_t shorter_than(const struct diff_pieces *pieces, uint64_t bytes)
{
	size_t count = 0;

	for (size_t i = 0; i < pieces->count; i++)
		count += pieces->items[i].bytes < bytes;
	return count;
}

/* Too many pieces for a map: the shortest go. */
static void drop_short(struct diff_pieces *pieces)
{
	size_t kept = 0, surplus;
	uint64_t bytes = CELL;

	if (pieces->count <= MAP_PIECES_MAX)
		return;
	surplus = pieces->count - MAP_PIECES_MAX;
	while (shorter_than(pieces, bytes) < surplus)
		bytes *= 2;
	for (size_t i = 0; i < pieces->count; i++) {
		if (surplus > 0 && pieces->items[i].bytes < bytes)
			surplus--;
		else
			pieces->items[kept++] = pieces->items[i];
	}
	pieces->count = kept;
}

static int matcher_open(struct matcher *matcher)
{
	int error = view_open(&matcher->view, matcher->input);

	if (error)
		return error;
	matcher->stretches = match_stretches(&matcher->view);
	matcher->seeds = calloc(matcher->stretches + 1, sizeof(*matcher->seeds));
	matcher->parts = calloc(matcher->stretches + 1, sizeof(*matcher->parts));
	return matcher->seeds && matcher->parts ? 0 : DFOTA_E_MEMORY;
}

static void matcher_close(struct matcher *matcher)
{
	for (size_t i = 0; i < matcher->stretches; i++) {
		if (matcher->seeds)
			seeds_free(&matcher->seeds[i]);
		if (matcher->parts)
			diff_pieces_free(&matcher->parts[i]);
	}
	free(matcher->seeds);
	free(matcher->parts);
	view_close(&matcher->view);
	diff_pieces_free(&matcher->pieces);
}

int diff_match(const struct diff_match_input *input, struct diff_pieces *ret_pieces)
{
	struct matcher matcher = { .input = input };
	unsigned passes = MATCH_PASSES;
	int error;

	if (input->images->old_bytes > REGION_IMAGE_MAX ||
	    input->images->new_bytes > REGION_IMAGE_MAX)
		return DFOTA_E_ARGUMENT;
	error = matcher_open(&matcher);
	if (matcher.stretches == 0 || input->old_regions->count == 0 ||
	    input->new_regions->count == 0)
		passes = matcher.stretches > 0; /* nothing will be predicted */
	for (unsigned pass = 0; pass < passes && !error; pass++)
		error = run_pass(&matcher, pass);
	if (!error) {
		refine_all(&matcher);
		drop_short(&matcher.pieces);
		tell(&matcher, 1000);
		*ret_pieces = matcher.pieces;
		matcher.pieces = (struct diff_pieces){ 0 };
	}
	matcher_close(&matcher);
	return error;
}
