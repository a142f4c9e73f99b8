/* SPDX-License-Identifier: MIT
 *
 * Seeds from tokens that lead to the same place.
 *
 * Tables that were sorted anew, and functions that nothing but their callees tells apart, have no
 * long match to find them by. But once most of the map is right, an old token predicts where it
 * will lead: old tokens are chained by that, and a new one that is not explained looks up its own.
 */
#include <stdlib.h>

#include "match_cost.h"
#include "match_seed.h"
#include "parallel.h"

#define CHAIN_MAX   48 /* tokens looked at */
#define REACH	    8  /* cells before and behind that are compared */
#define SCORE_MOVED 4  /* of a cell that is predicted but not equal, */
#define SCORE_EQUAL 3
#define SCORE_BLANK 1 /* of one that is equal, but to 0 or ~0, */
#define SCORE_MIN   14
#define END	    UINT32_MAX

/* Node 2n is the key of old word n, 2n + 1 its distance. */
struct chains {
	uint32_t *heads, *next;
	unsigned bits;
};

struct target_search {
	const struct view *view;
	const struct diff_pieces *pieces;
	struct chains chains;
	struct seeds *stretches;
};

/* ---- chains ------------------------------------------------------------------------------------
 */

static uint32_t *chain_head(const struct chains *chains, uint32_t key, unsigned is_distance)
{
	return &chains->heads[((key ^ (is_distance ? 0x5bd1e995u : 0)) * 0x9e3779b1u) >>
			      (32 - chains->bits)];
}

static void chain_add(struct chains *chains, uint32_t word, unsigned is_distance, uint32_t key)
{
	uint32_t node = 2 * word + is_distance, *head = chain_head(chains, key, is_distance);

	chains->next[node] = *head;
	*head = node;
}

static void chains_fill(struct chains *chains, const struct view *view)
{
	const struct view_side *old = &view->old;

	for (uint32_t i = old->regions->count; i-- > 0;) {
		const struct region *region = &old->regions->items[i];
		uint32_t end = region->start + region->bytes;
		uint32_t at = end - (end + region_phase(region)) % CELL;
		uint32_t salt = view_has_data(region) ? view_salt(region) : 0;

		while (at >= region->start + CELL) {
			uint32_t raw, key;

			at -= CELL;
			raw = dfota_get32(old->raw + at);
			key = dfota_get32(old->keyed + at);
			if (view->distances[at / CELL] != NO_DISTANCE)
				chain_add(chains, at / CELL, 1, view->distances[at / CELL]);
			if (key != raw && key != (raw ^ salt))
				chain_add(chains, at / CELL, 0, key);
		}
	}
}

static int chains_make(struct chains *chains, const struct view *view)
{
	size_t words = (size_t)view->old.bytes / CELL + 1;

	chains->bits = 10;
	while (chains->bits < 28 && (size_t)1 << chains->bits < words)
		chains->bits++;
	chains->heads = malloc(((size_t)1 << chains->bits) * sizeof(uint32_t));
	chains->next = malloc(2 * words * sizeof(uint32_t));
	if (!chains->heads || !chains->next)
		return DFOTA_E_MEMORY;
	memset(chains->heads, 0xff, ((size_t)1 << chains->bits) * sizeof(uint32_t));
	chains_fill(chains, view);
	return 0;
}

static void chains_free(struct chains *chains)
{
	free(chains->heads);
	free(chains->next);
}

/* ---- search ------------------------------------------------------------------------------------
 */

/* A place in the new image, and how what is around it does on a diagonal. */
struct spot {
	const struct target_search *search;
	const struct region *region;
	struct cell cell;
	uint32_t best_old;
	unsigned best_score;
};

static unsigned score_cell(const struct spot *spot, uint32_t at, uint32_t old)
{
	const struct view *view = spot->search->view;
	struct cell cell;

	cell_load(&cell, view, spot->region, at);
	if (cell_cost(&cell, view, old) >= COST_EXPLAINED)
		return 0;
	if (cell.raw != dfota_get32(view->old.raw + old))
		return SCORE_MOVED;
	return cell.raw + 1 > 1 ? SCORE_EQUAL : SCORE_BLANK;
}

static unsigned score_around(const struct spot *spot, uint32_t old)
{
	const struct region *region = spot->region;
	uint32_t at = spot->cell.at, end = region->start + region->bytes;
	unsigned score = 0;

	for (int i = -REACH; i <= REACH; i++) {
		int64_t new_at = (int64_t)at + i * (int)CELL, old_at = (int64_t)old + i * (int)CELL;

		if (new_at >= region->start && new_at + CELL <= end && old_at >= 0 &&
		    old_at + CELL <= spot->search->view->old.bytes)
			score += score_cell(spot, (uint32_t)new_at, (uint32_t)old_at);
	}
	return score;
}

/* Position of a word of `distances`: the last byte of its four surely belongs to it. */
static uint32_t word_at(const struct view *view, uint32_t word)
{
	uint32_t last = word * CELL + CELL - 1;

	return last - (last + view_old_phase(view, last)) % CELL;
}

static void try_chain(struct spot *spot, uint32_t key, unsigned is_distance)
{
	const struct target_search *search = spot->search;
	const struct view *view = search->view;
	uint32_t node = *chain_head(&search->chains, key, is_distance);

	for (int i = 0; i < CHAIN_MAX && node != END; node = search->chains.next[node]) {
		uint32_t word = node / 2, old = word_at(view, word);
		unsigned score;

		if ((node & 1) != is_distance ||
		    (is_distance ? view->distances[word] : dfota_get32(view->old.keyed + old)) !=
			key)
			continue;
		i++;
		score = score_around(spot, old);
		if (score > spot->best_score) {
			spot->best_score = score;
			spot->best_old = old;
		}
	}
}

/* The last piece that starts at or before `at` moves on from `*piece`. */
static bool explained(const struct target_search *search, const struct cell *cell, size_t *piece)
{
	const struct diff_pieces *pieces = search->pieces;
	const struct diff_piece *here;

	while (*piece < pieces->count &&
	       pieces->items[*piece].at + pieces->items[*piece].bytes <= cell->at)
		(*piece)++;
	if (*piece == pieces->count)
		return false;
	here = &pieces->items[*piece];
	return here->at <= cell->at && here->at + here->bytes - cell->at >= CELL &&
	       cell_cost(cell, search->view, cell->at + (uint32_t)here->diagonal) < COST_EXPLAINED;
}

/* Was this cell foreseen when the last seed was found? Then that grows. */
static bool extends_seed(const struct target_search *search, struct seeds *seeds,
			 const struct cell *cell)
{
	struct seed *last = seeds->count ? &seeds->items[seeds->count - 1] : NULL;
	int64_t old;

	if (!last || cell->at - last->at >= last->bytes + REACH * CELL)
		return false;
	old = (int64_t)cell->at + last->diagonal;
	if (old < 0 || old + CELL > search->view->old.bytes ||
	    cell_cost(cell, search->view, (uint32_t)old) >= COST_EXPLAINED)
		return false;
	last->bytes = cell->at + CELL - last->at;
	return true;
}

static size_t piece_find(const struct diff_pieces *pieces, uint32_t at)
{
	size_t low = 0, high = pieces->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pieces->items[middle].at + pieces->items[middle].bytes <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int search_region(const struct target_search *search, const struct region *region,
			 uint32_t from, uint32_t to, struct seeds *found)
{
	struct spot spot = { .search = search, .region = region };
	const struct view *view = search->view;
	size_t piece = piece_find(search->pieces, from);
	int error = 0;

	for (uint32_t at = from; at + CELL <= to && !error; at += CELL) {
		cell_load(&spot.cell, view, region, at);
		if (spot.cell.raw == 0 || explained(search, &spot.cell, &piece) ||
		    extends_seed(search, found, &spot.cell))
			continue;
		spot.best_score = 0;
		if (spot.cell.keyed != spot.cell.raw)
			try_chain(&spot, spot.cell.keyed, 0);
		if (spot.cell.has_data)
			try_chain(&spot, spot.cell.distance, 1);
		if (spot.best_score >= SCORE_MIN)
			error = seeds_add(found, at, CELL, (int64_t)spot.best_old - at);
	}
	return error;
}

static int append(struct seeds *seeds, const struct seeds *more)
{
	int error = 0;

	for (size_t i = 0; i < more->count && !error; i++)
		error = seeds_add(seeds, more->items[i].at, more->items[i].bytes,
				  more->items[i].diagonal);
	return error;
}

static int search_stretch(void *context, size_t item)
{
	const struct target_search *search = context;
	const struct view *view = search->view;
	uint32_t at = (uint32_t)item * MATCH_STRETCH;
	uint32_t end = view->new.bytes - at > MATCH_STRETCH ? at + MATCH_STRETCH : view->new.bytes;
	struct seeds found = { 0 };
	int error = 0;

	while (at < end && !error) {
		const struct region *region;
		uint32_t to = view_region(view, at, end, &region);

		at += view_to_cell(view, at);
		if (region && at < to)
			error = search_region(search, region, at, to, &found);
		at = to;
	}
	if (!error)
		error = append(&search->stretches[item], &found);
	seeds_free(&found);
	return error;
}

int seeds_from_targets(const struct view *view, const struct diff_pieces *pieces, unsigned threads,
		       struct seeds *stretches)
{
	struct target_search search = { .view = view, .pieces = pieces, .stretches = stretches };
	int error = 0;

	if (view->old.regions->count == 0 || match_stretches(view) == 0)
		return 0;
	error = chains_make(&search.chains, view);
	if (!error)
		error =
		    diff_parallel(threads, match_stretches(view), search_stretch, &search, NULL);
	chains_free(&search.chains);
	return error;
}
