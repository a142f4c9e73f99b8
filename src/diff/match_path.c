/* SPDX-License-Identifier: MIT
 *
 * The cheapest path, cell by cell.
 *
 * A lane is a diagonal that is followed at the moment; not to follow any, literal bytes, is a lane
 * too. Before each cell a lane may be left for another one at a price. Lanes open around seeds and
 * close when they have become too dear. A lane knows where it was entered and from which record; a
 * record is made of a lane only when another is entered from it, so there are few.
 */
#include "match_path.h"

#include <stdlib.h>

#include "match_cost.h"

#define LANES	    96u		/* besides the literal one */
#define AROUND	    256u	/* bytes before and behind a seed */
#define OVERLAP	    (64u << 10) /* bytes beside the stretch, so that paths of neighbours meet */
#define NEVER	    0x7fffffffu
#define NO_RECORD   UINT32_MAX
#define NO_DIAGONAL INT32_MIN /* of the literal lane */
#define RECENT	    4u

#define COST_PIECE    280u /* to change the diagonal: length and flags, */
#define COST_RECENT   48u  /* one of the last ones, */
#define COST_JUMP     64u  /* or a new one, */
#define COST_JUMP_BIT 24u  /* by its distance's bits */
#define COST_GAP      128u

struct record {
	uint32_t previous, at;
	int32_t diagonal;
};

struct lane {
	int32_t diagonal;
	uint32_t cost;
	uint32_t previous, at; /* entered there from this record */
	uint32_t record;       /* made of it, or NO_RECORD */
	uint32_t until;
};

struct path {
	const struct view *view;
	struct lane lanes[LANES + 1]; /* the first one is literal */
	unsigned count, best;
	struct record *records;
	size_t record_count, record_room;
	int32_t recent[RECENT]; /* diagonals of the best lane's path, newest first */
	unsigned recent_count;
	uint32_t recent_previous, recent_at; /* where they were taken from */
	int error;
};

/* ---- records -----------------------------------------------------------------------------------
 */

static uint32_t record_make(struct path *path, struct lane *lane)
{
	if (lane->record != NO_RECORD)
		return lane->record;
	if (path->record_count == path->record_room) {
		size_t room = path->record_room ? path->record_room * 2 : 4096;
		struct record *records = realloc(path->records, room * sizeof(*records));

		if (!records) {
			path->error = DFOTA_E_MEMORY;
			return NO_RECORD;
		}
		path->records = records;
		path->record_room = room;
	}
	path->records[path->record_count] =
	    (struct record){ lane->previous, lane->at, lane->diagonal };
	lane->record = (uint32_t)path->record_count++;
	return lane->record;
}

static void recent_add(struct path *path, int32_t diagonal)
{
	for (unsigned i = 0; i < path->recent_count; i++)
		if (path->recent[i] == diagonal)
			return;
	if (diagonal != NO_DIAGONAL && path->recent_count < RECENT)
		path->recent[path->recent_count++] = diagonal;
}

/* Remembers the last diagonals of the best lane, if they are not those that are known. */
static void recent_update(struct path *path)
{
	const struct lane *best = &path->lanes[path->best];
	uint32_t record = best->previous;

	if (path->recent_count > 0 && path->recent_previous == best->previous &&
	    path->recent_at == best->at && path->recent[0] == best->diagonal)
		return;
	path->recent_count = 0;
	path->recent_previous = best->previous;
	path->recent_at = best->at;
	recent_add(path, best->diagonal);
	for (unsigned i = 0; i < 2 * RECENT && record != NO_RECORD; i++) {
		recent_add(path, path->records[record].diagonal);
		record = path->records[record].previous;
	}
}

static uint32_t entry_cost(const struct path *path, int32_t diagonal)
{
	int64_t last = path->recent_count ? path->recent[0] : 0, distance = diagonal - last;
	uint64_t size = (uint64_t)(distance < 0 ? -distance : distance);

	for (unsigned i = 0; i < path->recent_count; i++)
		if (path->recent[i] == diagonal)
			return COST_PIECE + COST_RECENT;
	if (size % 4 == 0)
		size /= 4;
	return COST_PIECE + COST_JUMP + COST_JUMP_BIT * (64u - (uint32_t)__builtin_clzll(size | 1));
}

/* ---- lanes -------------------------------------------------------------------------------------
 */

static void lane_open(struct path *path, const struct seed *seed)
{
	uint32_t until = seed->at + seed->bytes + AROUND;
	unsigned worst = 0;

	for (unsigned i = 1; i < path->count; i++) {
		struct lane *lane = &path->lanes[i];

		if (lane->diagonal == seed->diagonal) {
			if (lane->until < until)
				lane->until = until;
			return;
		}
		if (i != path->best && (worst == 0 || lane->cost > path->lanes[worst].cost))
			worst = i;
	}
	if (path->count <= LANES)
		worst = path->count++;
	path->lanes[worst] = (struct lane){ seed->diagonal, NEVER, NO_RECORD, 0, NO_RECORD, until };
}

static void lanes_close(struct path *path, uint32_t at)
{
	uint32_t limit = path->lanes[path->best].cost + COST_PIECE + COST_RECENT;

	for (unsigned i = 1; i < path->count;) {
		const struct lane *lane = &path->lanes[i];

		if (i == path->best || at < lane->until || lane->cost <= limit) {
			i++;
			continue;
		}
		path->count--;
		if (path->best == path->count)
			path->best = i;
		path->lanes[i] = path->lanes[path->count];
	}
}

static void lane_enter(struct path *path, struct lane *lane, uint32_t at, uint32_t cost)
{
	lane->previous = record_make(path, &path->lanes[path->best]);
	lane->at = at;
	lane->record = NO_RECORD;
	lane->cost = cost;
}

static void lane_step(struct path *path, struct lane *lane, const struct cell *cell,
		      uint32_t best_cost)
{
	int64_t old = (int64_t)cell->at + lane->diagonal;
	uint32_t cost;

	if (old < 0 || old + CELL > path->view->old.bytes) {
		lane->cost = NEVER;
		return;
	}
	cost = cell_cost(cell, path->view, (uint32_t)old);
	if (lane->cost > best_cost + COST_PIECE) {
		uint32_t enter = best_cost + entry_cost(path, lane->diagonal);

		if (enter < lane->cost)
			lane_enter(path, lane, cell->at, enter);
	}
	if (lane->cost != NEVER)
		lane->cost += cost;
}

static int64_t distance_from(int64_t diagonal, int64_t other)
{
	return diagonal > other ? diagonal - other : other - diagonal;
}

/* Among equals the best stays; then the nearest to it, because near old bytes need less stash. */
static void best_choose(struct path *path)
{
	int32_t here = path->recent_count ? path->recent[0] : 0;
	unsigned best = path->best;

	for (unsigned i = 0; i < path->count; i++) {
		const struct lane *lane = &path->lanes[i], *rival = &path->lanes[best];

		if (lane->cost > rival->cost)
			continue;
		if (lane->cost < rival->cost ||
		    (best != path->best && i > 0 &&
		     distance_from(lane->diagonal, here) < distance_from(rival->diagonal, here)))
			best = i;
	}
	path->best = best;
}

static void path_step(struct path *path, const struct cell *cell)
{
	struct lane *literal = &path->lanes[0];
	uint32_t best_cost = path->lanes[path->best].cost;

	recent_update(path);
	for (unsigned i = 1; i < path->count; i++)
		lane_step(path, &path->lanes[i], cell, best_cost);
	if (literal->cost > best_cost + COST_GAP)
		lane_enter(path, literal, cell->at, best_cost + COST_GAP);
	literal->cost += cell->literal;
	best_choose(path);
}

/* ---- stretches ---------------------------------------------------------------------------------
 */

/* Seeds of a stretch and its neighbours in order. */
struct feed {
	const struct seeds *seeds;
	size_t stretch, last, item;
};

static const struct seed *feed_next(struct feed *feed)
{
	while (feed->stretch <= feed->last && feed->item == feed->seeds[feed->stretch].count) {
		feed->stretch++;
		feed->item = 0;
	}
	return feed->stretch <= feed->last ? &feed->seeds[feed->stretch].items[feed->item] : NULL;
}

static uint32_t seed_from(const struct seed *seed)
{
	return seed->at > AROUND ? seed->at - AROUND : 0;
}

/* Bytes for which nothing changes: one lane, raw bytes equal, no seed. At least one cell is left to
 * do. The literal lane must be so dear that it would be entered anew after each of them, as it is after
 * the last one: it is not looked at before. */
static uint32_t quiet_bytes(const struct path *path, uint32_t at, uint32_t end)
{
	const struct lane *lane = &path->lanes[1];
	int64_t old = (int64_t)at + lane->diagonal;
	uint32_t i = 0;

	if (path->count != 2 || path->best != 1 || old < 0 || path->lanes[0].cost <= lane->cost + COST_GAP)
		return 0;
	while (end - at - i > 2 * CELL && old + i + CELL <= path->view->old.bytes &&
	       memcmp(path->view->new.raw + at + i, path->view->old.raw + old + i, CELL) == 0)
		i += CELL;
	return i;
}

static void path_walk(struct path *path, struct feed *feed, uint32_t from, uint32_t to)
{
	const struct region *region = NULL;
	uint32_t region_end = from;
	const struct seed *seed = feed_next(feed);
	struct cell cell;

	for (uint32_t at = from; at + CELL <= to && !path->error; at += CELL) {
		uint32_t quiet;

		for (; seed && seed_from(seed) <= at; seed = feed_next(feed)) {
			if (seed->at + seed->bytes + AROUND > at)
				lane_open(path, seed);
			feed->item++;
		}
		quiet = seed && seed_from(seed) < to ? seed_from(seed) : to;
		at += quiet > at ? quiet_bytes(path, at, quiet) : 0;
		if (at >= region_end) {
			region_end = view_region(path->view, at, to, &region);
			at += view_to_cell(path->view, at); /* what is passed is the best lane's */
			if (at + CELL > to)
				break;
		}
		cell_load(&cell, path->view, region, at);
		path_step(path, &cell);
		lanes_close(path, at);
	}
}

static int add_clipped(struct diff_pieces *pieces, uint32_t from, uint32_t to, int32_t diagonal,
		       uint32_t start, uint32_t end)
{
	from = from > start ? from : start;
	to = to < end ? to : end;
	if (from >= to || diagonal == NO_DIAGONAL)
		return 0;
	return diff_pieces_add(pieces, from, to - from, diagonal);
}

/* Turns the chain of records that ends with `last` around. */
static uint32_t records_reverse(struct path *path, uint32_t last)
{
	uint32_t next = NO_RECORD;

	while (last != NO_RECORD) {
		uint32_t previous = path->records[last].previous;

		path->records[last].previous = next;
		next = last;
		last = previous;
	}
	return next;
}

static int path_take(struct path *path, uint32_t start, uint32_t end, struct diff_pieces *pieces)
{
	uint32_t i = records_reverse(path, record_make(path, &path->lanes[path->best]));
	int error = path->error;

	while (i != NO_RECORD && !error) {
		const struct record *record = &path->records[i];
		uint32_t next = record->previous;
		uint32_t to = next != NO_RECORD ? path->records[next].at : end;

		error = add_clipped(pieces, record->at, to, record->diagonal, start, end);
		i = next;
	}
	return error;
}

int path_find(const struct view *view, const struct seeds *seeds, size_t stretch,
	      struct diff_pieces *pieces)
{
	uint32_t whole = view->new.bytes - view->new.bytes % CELL;
	uint32_t start = (uint32_t)stretch * MATCH_STRETCH;
	uint32_t end = whole - start > MATCH_STRETCH ? start + MATCH_STRETCH : whole;
	uint32_t from = start > OVERLAP ? start - OVERLAP : 0;
	uint32_t to = whole - end > OVERLAP ? end + OVERLAP : whole;
	struct feed feed = { seeds, stretch > 0 ? stretch - 1 : 0, stretch, 0 };
	struct path *path = calloc(1, sizeof(*path));
	int error;

	if (!path)
		return DFOTA_E_MEMORY;
	if (to > end)
		feed.last = stretch + 1;
	path->view = view;
	path->count = 1;
	path->lanes[0] = (struct lane){ NO_DIAGONAL, 0, NO_RECORD, from, NO_RECORD, 0 };
	path_walk(path, &feed, from, to);
	error = path_take(path, start, end, pieces);
	free(path->records);
	free(path);
	return error;
}
