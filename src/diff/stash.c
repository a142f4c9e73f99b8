/* SPDX-License-Identifier: MIT
 *
 * Stash plan: which old bytes are copied before each step, where to, and until when.
 *
 * A segment's range is painted in grains with the position of the last step that still reads them; runs
 * of one colour become copies. Copies are sorted by the step they die with and packed into the lowest
 * free blocks, split where a block is taken, so the stash never fragments.
 */
#include <stdlib.h>

#include "plan.h"
#include "../codec/predict.h"

#define GRAIN       16u   /* bytes; reads are rounded to it, so that neighbours join */
#define GAP_GRAINS  4u    /* holes between equal colours that are copied along */
#define SHORT_RUN   32u   /* grains; a run not longer joins its neighbour that lives longer, and lives as long then */
#define COPIES_FINE 60000u /* copies of one step; above, everything that is near is joined */
#define GAP_COARSE  256u
#define GAP_WIDEST  512u  /* the same where it pays: a copy costs the package more than its bytes do the stash */
#define GAP_WIDE    8u
#define EDGE_GRAINS (PREDICT_MARGIN / GRAIN)
#define PAGE        4096u
#define DENIED_SHARE 48u  /* denied bytes, with margins and what is aligned by chance, that come to one byte of the package */

struct run {
	uint64_t start, end; /* old bytes */
	uint64_t read;       /* of them, bytes that are read later: not those between joined runs */
	uint32_t last;       /* position of the last reader */
};

struct planner {
	struct diff_plan *plan;
	const struct diff_graph *graph;
	uint32_t *position_of; /* per segment */
	uint32_t *paint;       /* per grain of a segment: position + 1 of the last reader */
	struct run *runs;
	size_t run_count;
	uint32_t *busy_until;  /* per block: position from which on it is free */
	uint32_t *ends;        /* per position: copies that die with it */
	uint32_t blocks;       /* of the limit */
	uint32_t live;
	uint32_t gap; /* grains that are copied along whatever is beside them; 0: as fine as can be */
	bool shorten; /* edges of segments live no longer than what is beside them */
};

static void paint_conflicts(struct planner *planner, uint32_t writer, uint32_t position)
{
	const struct diff_graph *graph = planner->graph;
	uint64_t base = (uint64_t)writer * graph->segment_bytes;

	memset(planner->paint, 0, graph->segment_bytes / GRAIN * sizeof(*planner->paint));
	for (size_t i = graph->first_conflict[writer]; i < graph->first_conflict[writer + 1];
	     i++) {
		const struct diff_conflict *c = &graph->conflicts[i];
		uint32_t reader = planner->position_of[c->reader];

		if (reader <= position)
			continue;
		for (uint64_t g = (c->start - base) / GRAIN; g <= (c->end - 1 - base) / GRAIN; g++)
			if (planner->paint[g] < reader + 1)
				planner->paint[g] = reader + 1;
	}
}

static bool joins(const struct run *last, const struct run *next, uint32_t wide)
{
	const struct run *shorter_lived = last->last < next->last ? last : next;
	uint64_t gap = next->start - last->end;

	if (wide > 0)
		return gap <= (uint64_t)wide * GRAIN;
	if (last->last == next->last)
		return gap <= GAP_GRAINS * GRAIN;
	return gap == 0 && shorter_lived->end - shorter_lived->start <= SHORT_RUN * GRAIN;
}

static void make_runs(struct planner *planner, uint32_t writer, uint32_t wide)
{
	const struct diff_graph *graph = planner->graph;
	uint64_t base = (uint64_t)writer * graph->segment_bytes;
	size_t grains = graph->segment_bytes / GRAIN, first = 0;

	planner->run_count = 0;
	while (first < grains) {
		size_t end = first + 1;
		struct run next, *last;

		while (end < grains && planner->paint[end] == planner->paint[first])
			end++;
		next = (struct run){ .start = base + first * GRAIN, .end = base + end * GRAIN };
		next.end = dfota_min64(next.end, graph->old_bytes);
		next.read = next.end - next.start;
		first = end;
		if (planner->paint[end - 1] == 0)
			continue;
		next.last = planner->paint[end - 1] - 1;
		last = planner->run_count ? &planner->runs[planner->run_count - 1] : NULL;
		if (last && joins(last, &next, wide)) {
			last->end = next.end;
			last->read += next.read;
			last->last = next.last > last->last ? next.last : last->last;
		} else {
			planner->runs[planner->run_count++] = next;
		}
	}
}

static int compare_runs(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	if (x->last != y->last)
		return x->last < y->last ? -1 : 1;
	return (x->start > y->start) - (x->start < y->start);
}

static int add_copy(struct planner *planner, uint32_t position, struct dfota_delta_copy copy)
{
	struct diff_plan *plan = planner->plan;
	struct dfota_delta_copy *last = plan->copy_count ? &plan->copies[plan->copy_count - 1]
							 : NULL;

	if (copy.stash_offset + copy.bytes > plan->stash_bytes)
		plan->stash_bytes = copy.stash_offset + copy.bytes;
	plan->stashed_bytes += copy.bytes;
	if (plan->copies_of[position] > 0 && last->last_reader == copy.last_reader &&
	    last->old_offset + last->bytes == copy.old_offset &&
	    last->stash_offset + last->bytes == copy.stash_offset) {
		last->bytes += copy.bytes;
		return 0;
	}
	if (plan->copy_count == plan->copy_room) {
		size_t room = plan->copy_room ? plan->copy_room * 2 : 256;
		struct dfota_delta_copy *copies = realloc(plan->copies, room * sizeof(*copies));

		if (!copies)
			return DFOTA_E_MEMORY;
		plan->copies = copies;
		plan->copy_room = room;
	}
	plan->copies[plan->copy_count++] = copy;
	plan->copies_of[position]++;
	planner->ends[copy.last_reader]++;
	planner->live++;
	return 0;
}

static int deny(struct diff_plan *plan, struct diff_denial denial)
{
	if (plan->denial_count == plan->denial_room) {
		size_t room = plan->denial_room ? plan->denial_room * 2 : 256;
		struct diff_denial *denials = realloc(plan->denials, room * sizeof(*denials));

		if (!denials)
			return DFOTA_E_MEMORY;
		plan->denials = denials;
		plan->denial_room = room;
	}
	plan->denials[plan->denial_count++] = denial;
	return 0;
}

/* Packs the runs of one step into free blocks, lowest first; what finds no room is denied. */
static int pack_runs(struct planner *planner, uint32_t writer, uint32_t position)
{
	uint64_t at = 0; /* next free byte of the stash; on a block's start the block is not ours yet */
	int error = 0;

	for (size_t i = 0; i < planner->run_count && !error; i++) {
		struct run run = planner->runs[i];

		while (run.start < run.end && !error) {
			uint64_t block = at / DFOTA_DELTA_STASH_BLOCK, room, bytes;

			if (at % DFOTA_DELTA_STASH_BLOCK == 0) {
				while (block < planner->blocks &&
				       planner->busy_until[block] > position)
					block++;
				at = block * DFOTA_DELTA_STASH_BLOCK;
			}
			if (block >= planner->blocks) {
				planner->plan->denied_bytes += dfota_min64(run.read, run.end - run.start);
				error = deny(planner->plan, (struct diff_denial){ position, writer,
										  run.start,
										  run.end });
				break;
			}
			planner->busy_until[block] = run.last + 1;
			room = DFOTA_DELTA_STASH_BLOCK - at % DFOTA_DELTA_STASH_BLOCK;
			bytes = dfota_min64(room, run.end - run.start);
			error = add_copy(planner, position,
					 (struct dfota_delta_copy){ run.start, (uint32_t)bytes,
								    (uint32_t)at, run.last });
			run.start += bytes;
			at += bytes;
		}
	}
	return error;
}

/* Grains [first, first + EDGE_GRAINS) get the colour of grain `beside`, if that lives shorter. Whoever is left reads an edge as the
 * margin of a piece, and can do without.
 */
static int shorten_edge(struct planner *planner, uint32_t writer, uint32_t position, size_t first, size_t beside)
{
	uint64_t start = (uint64_t)writer * planner->graph->segment_bytes + first * GRAIN;
	uint64_t end = dfota_min64(start + EDGE_GRAINS * GRAIN, planner->graph->old_bytes);
	uint32_t colour = planner->paint[beside];
	bool longer = false;

	for (size_t g = first; g < first + EDGE_GRAINS; g++) {
		longer |= planner->paint[g] > colour;
		planner->paint[g] = planner->paint[g] > colour ? colour : planner->paint[g];
	}
	if (!longer || start >= end)
		return 0;
	planner->plan->denied_bytes += 2 * (end - start); /* goes with as much of the piece */
	return deny(planner->plan, (struct diff_denial){ colour ? colour - 1 : position, writer, start, end });
}

static int shorten_edges(struct planner *planner, uint32_t writer, uint32_t position)
{
	size_t grains = planner->graph->segment_bytes / GRAIN;
	int error;

	if (grains < 4 * EDGE_GRAINS)
		return 0;
	error = shorten_edge(planner, writer, position, 0, EDGE_GRAINS);
	return error ? error
		     : shorten_edge(planner, writer, position, grains - EDGE_GRAINS, grains - EDGE_GRAINS - 1);
}

static int plan_step(struct planner *planner, uint32_t writer, uint32_t position)
{
	const struct diff_graph *graph = planner->graph;
	int error = 0;

	if (graph->first_conflict[writer] == graph->first_conflict[writer + 1])
		return 0;
	paint_conflicts(planner, writer, position);
	if (planner->shorten)
		error = shorten_edges(planner, writer, position);
	if (error)
		return error;
	make_runs(planner, writer, planner->gap);
	if (planner->run_count > COPIES_FINE)
		make_runs(planner, writer, GAP_COARSE);
	if (planner->run_count == 0)
		return 0;
	qsort(planner->runs, planner->run_count, sizeof(*planner->runs), compare_runs);
	error = pack_runs(planner, writer, position);
	if (planner->live > planner->plan->live_copies)
		planner->plan->live_copies = planner->live;
	return error;
}

static int open_planner(struct planner *planner, uint32_t count, uint64_t limit)
{
	const struct diff_graph *graph = planner->graph;
	size_t grains = graph->segment_bytes / GRAIN;

	planner->blocks = (uint32_t)(dfota_min64(limit, DFOTA_DELTA_STASH_MAX) /
				     DFOTA_DELTA_STASH_BLOCK);
	planner->position_of = calloc((size_t)graph->segments + 1, sizeof(uint32_t));
	planner->paint = calloc(grains, sizeof(uint32_t));
	planner->runs = calloc(grains, sizeof(*planner->runs));
	planner->busy_until = calloc((size_t)planner->blocks + 1, sizeof(uint32_t));
	planner->ends = calloc((size_t)count + 1, sizeof(uint32_t));
	planner->plan->copies_of = calloc((size_t)count + 1, sizeof(uint32_t));
	return planner->position_of && planner->paint && planner->runs && planner->busy_until &&
			       planner->ends && planner->plan->copies_of
		       ? 0
		       : DFOTA_E_MEMORY;
}

/* What the copies take in the index, a byte for each page that is written to the stash, and about what it takes to code
 * the bytes that found no room.
 */
static uint64_t plan_price(const struct diff_plan *plan, uint32_t count)
{
	const struct dfota_delta_copy *copy = plan->copies;
	uint64_t price = plan->stashed_bytes / PAGE + plan->denied_bytes / DENIED_SHARE;
	uint8_t bytes[DFOTA_VARINT_MAX];

	for (uint32_t i = 0; i < count; i++) {
		uint64_t old_end = 0, stash_end = 0;

		for (uint32_t j = 0; j < plan->copies_of[i]; j++, copy++) {
			price += dfota_varint_put(bytes, dfota_zigzag((int64_t)(copy->old_offset - old_end)));
			price += dfota_varint_put(bytes, copy->bytes);
			price += dfota_varint_put(bytes, copy->stash_offset - stash_end);
			price += dfota_varint_put(bytes, copy->last_reader - i - 1);
			old_end = copy->old_offset + copy->bytes;
			stash_end = (uint64_t)copy->stash_offset + copy->bytes;
		}
	}
	return price;
}

static int plan_make(struct diff_plan *plan, const struct diff_graph *graph, const uint32_t *sequence, uint32_t count,
		     uint64_t limit, uint32_t gap, bool shorten)
{
	struct planner planner = { .plan = plan, .graph = graph, .gap = gap, .shorten = shorten };
	int error;

	*plan = (struct diff_plan){ 0 };
	error = open_planner(&planner, count, limit);
	for (uint32_t i = 0; i < count && !error; i++)
		planner.position_of[sequence[i]] = i;
	for (uint32_t i = 0; i < count && !error; i++) {
		error = plan_step(&planner, sequence[i], i);
		planner.live -= planner.ends[i];
	}
	free(planner.position_of);
	free(planner.paint);
	free(planner.runs);
	free(planner.busy_until);
	free(planner.ends);
	plan->price = error ? 0 : plan_price(plan, count);
	if (error)
		diff_plan_free(plan);
	return error;
}

bool diff_plan_better(const struct diff_plan *a, const struct diff_plan *b, bool strict)
{
	if (strict && (a->denial_count > 0) != (b->denial_count > 0))
		return a->denial_count == 0;
	return a->price != b->price ? a->price < b->price : a->stash_bytes < b->stash_bytes;
}

/* Makes another plan and keeps the better one. */
static int plan_try(struct diff_plan *plan, const struct diff_graph *graph, const uint32_t *sequence, uint32_t count,
		    const struct diff_room *room, uint32_t gap, bool shorten)
{
	struct diff_plan other;
	int error = plan_make(&other, graph, sequence, count, room->limit, gap, shorten);

	if (error)
		return error;
	if (diff_plan_better(&other, plan, room->strict)) {
		struct diff_plan worse = *plan;

		*plan = other;
		other = worse;
	}
	diff_plan_free(&other);
	return 0;
}

/* Joins copies more or less, whichever is cheapest; and where there is no room for all, tries without the edges. */
int diff_plan_make(struct diff_plan *plan, const struct diff_graph *graph, const uint32_t *sequence, uint32_t count,
		   const struct diff_room *room)
{
	int error = plan_make(plan, graph, sequence, count, room->limit, 0, false);
	bool full = plan->denial_count > 0;

	for (uint32_t gap = GAP_WIDE; !error && plan->copy_count > 0 && gap <= GAP_WIDEST; gap *= 2)
		error = plan_try(plan, graph, sequence, count, room, gap, false);
	if (!error && full)
		error = plan_try(plan, graph, sequence, count, room, 0, true);
	if (error)
		diff_plan_free(plan);
	return error;
}

void diff_plan_free(struct diff_plan *plan)
{
	free(plan->copies);
	free(plan->copies_of);
	free(plan->denials);
	*plan = (struct diff_plan){ 0 };
}
