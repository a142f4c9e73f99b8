/* SPDX-License-Identifier: MIT
 *
 * From coded segments to steps: order, stash plan, and the delta in memory.
 *
 * All orders are tried and the one that costs least is kept. Old bytes for which the stash has no room
 * are taken away from the segments that would read them too late, until a plan needs nothing that is
 * not there.
 */
#include <stdlib.h>

#include "build.h"

#define CUT_ROUNDS 4 /* after so many, segments that still ask for too much get nothing */

struct placing {
	uint64_t *changed_units;
	struct diff_ranges *reads; /* borrowed from the segments */
	struct diff_graph graph;
	uint32_t *sequence; /* of the best order */
	uint32_t *trial;
	uint32_t written;
	struct diff_plan plan;
	bool planned;
};

static int placing_open(struct placing *placing, const struct build *build)
{
	size_t room = (size_t)build->count + 1;

	*placing = (struct placing){
		.changed_units = calloc(room, sizeof(uint64_t)),
		.reads = calloc(room, sizeof(struct diff_ranges)),
		.sequence = calloc(room, sizeof(uint32_t)),
		.trial = calloc(room, sizeof(uint32_t)),
	};
	if (!placing->changed_units || !placing->reads || !placing->sequence || !placing->trial)
		return DFOTA_E_MEMORY;
	return 0;
}

void placing_free(struct placing *placing)
{
	if (!placing)
		return;
	free(placing->changed_units);
	free(placing->reads);
	free(placing->sequence);
	free(placing->trial);
	diff_graph_free(&placing->graph);
	diff_plan_free(&placing->plan);
	free(placing);
}

static int try_order(struct placing *placing, const struct diff_room *room, enum diff_order order)
{
	struct diff_plan plan;
	uint32_t *swap, count;
	int error = diff_order_make(&placing->graph, order, placing->trial, &count);

	if (!error)
		error = diff_plan_make(&plan, &placing->graph, placing->trial, count, room);
	if (error)
		return error;
	if (placing->planned && !diff_plan_better(&plan, &placing->plan, room->strict)) {
		diff_plan_free(&plan);
		return 0;
	}
	diff_plan_free(&placing->plan);
	placing->plan = plan;
	placing->planned = true;
	placing->written = count;
	swap = placing->sequence;
	placing->sequence = placing->trial;
	placing->trial = swap;
	return 0;
}

/* The cheapest plan for the segments as they are coded now. */
static int plan_all(struct placing *placing, const struct build *build, bool strict)
{
	const struct diff_room room = { build->options.stash_limit, strict };
	int error;

	for (uint32_t i = 0; i < build->count; i++) {
		placing->changed_units[i] = build->segments[i].changed_units;
		placing->reads[i] = build->segments[i].reads;
	}
	diff_graph_free(&placing->graph);
	diff_plan_free(&placing->plan);
	placing->planned = false;
	error = diff_graph_make(&placing->graph, &build->header, placing->changed_units,
				placing->reads);
	for (enum diff_order order = 0; order < DIFF_ORDERS && !error; order++)
		error = try_order(placing, &room, order);
	return error;
}

/* Adds the part of a piece inside new bytes [from, to). */
static int add_part(struct diff_pieces *pieces, const struct diff_piece *piece, uint64_t from,
		    uint64_t to)
{
	if (from < piece->at)
		from = piece->at;
	to = dfota_min64(to, piece->at + piece->bytes);
	return from < to ? diff_pieces_add(pieces, from, to - from, piece->diagonal) : 0;
}

/* What is left of a piece inside the segment when old bytes [start, end) must not be read. */
static int add_cut(struct diff_pieces *pieces, const struct diff_piece *piece,
		   const struct build_segment *segment, uint64_t start, uint64_t end)
{
	uint64_t diagonal = (uint64_t)piece->diagonal, from, to;
	int error;

	from = start > diagonal || piece->diagonal < 0 ? start - diagonal : 0;
	to = end - diagonal;
	if (piece->diagonal > 0 && end < diagonal)
		to = 0; /* all of the piece is behind the range */
	error = add_part(pieces, piece, segment->start, dfota_min64(segment->end, from));
	if (!error)
		error = add_part(pieces, piece, to > segment->start ? to : segment->start,
				 segment->end);
	return error;
}

/* Takes old bytes [start, end) away from a segment. */
static int pieces_cut(struct build *build, const struct build_segment *segment, uint64_t start,
		      uint64_t end)
{
	struct diff_pieces kept = { 0 };
	int error = 0;

	for (size_t i = 0; i < build->pieces.count && !error; i++) {
		const struct diff_piece *piece = &build->pieces.items[i];

		error = add_part(&kept, piece, 0, segment->start);
		if (!error)
			error = add_cut(&kept, piece, segment, start, end);
		if (!error)
			error = add_part(&kept, piece, segment->end, UINT64_MAX);
	}
	if (error) {
		diff_pieces_free(&kept);
		return error;
	}
	diff_pieces_free(&build->pieces);
	build->pieces = kept;
	return 0;
}

static bool reads_any(const struct diff_ranges *reads, uint64_t start, uint64_t end)
{
	size_t i = diff_ranges_find(reads, start);

	return i < reads->count && reads->items[i].start < end;
}

/* Do the segment's tables of symbols read what is denied? */
static bool symbols_read_any(const struct build *build, const struct build_segment *segment,
			     const struct diff_denial *denial)
{
	struct diff_ranges reads = { 0 };
	bool any = true; /* if there is no memory to know it */

	if (diff_symbols_reads(&build->symbols, segment->start, segment->end, &reads) == 0) {
		diff_ranges_normalise(&reads);
		any = reads_any(&reads, denial->start, denial->end);
	}
	diff_ranges_free(&reads);
	return any;
}

/* Readers that come too late for a range that is not stashed must do without it, and without its surroundings that they
 * would read along; in the end without anything.
 */
static int denials_obey(struct placing *placing, struct build *build, bool all)
{
	const struct diff_plan *plan = &placing->plan;
	int error = 0;

	for (size_t i = 0; i < plan->denial_count && !error; i++) {
		const struct diff_denial *denial = &plan->denials[i];
		uint64_t start = denial->start > PREDICT_MARGIN ? denial->start - PREDICT_MARGIN : 0;
		uint64_t end = denial->end + PREDICT_MARGIN;

		for (uint32_t p = denial->position + 1; p < placing->written && !error; p++) {
			struct build_segment *segment = &build->segments[placing->sequence[p]];

			if (!reads_any(&segment->reads, denial->start, denial->end))
				continue;
			segment->without_symbols |= all || symbols_read_any(build, segment, denial);
			error = all ? pieces_cut(build, segment, 0, build->images.old_bytes)
				    : pieces_cut(build, segment, start, end);
		}
	}
	return error;
}

int build_place(struct build *build, struct placing **ret_placing)
{
	struct placing *placing = calloc(1, sizeof(*placing));
	int error = placing ? placing_open(placing, build) : DFOTA_E_MEMORY;

	if (!error)
		error = build_reads(build);
	if (!error)
		error = plan_all(placing, build, false);
	/* Ends: from CUT_ROUNDS on each round leaves at least one segment without reads. */
	for (int round = 0; !error && placing->plan.denial_count > 0; round++) {
		error = denials_obey(placing, build, round >= CUT_ROUNDS);
		if (!error)
			error = build_reads(build);
		if (!error)
			error = plan_all(placing, build, round + 1 >= CUT_ROUNDS);
	}
	if (error)
		placing_free(placing);
	else
		*ret_placing = placing;
	return error;
}

/* ---- steps ------------------------------------------------------------------------------------- */

/* Counts of runs of unchanged segments, and of the run of old segments past the new end. */
static uint32_t unchanged_runs(const struct build *build)
{
	uint32_t runs = 0;

	for (uint32_t i = 0; i < build->count; i++)
		runs += build->segments[i].changed_units == 0 &&
			(i == 0 || build->segments[i - 1].changed_units != 0);
	return runs;
}

static uint32_t tail_segments(const struct build *build)
{
	uint64_t old_segments =
		dfota_ceil_div64(build->images.old_bytes, build->options.segment_bytes);

	return old_segments > build->count ? (uint32_t)old_segments - build->count : 0;
}

static struct dfota_delta_step *put_unchanged(const struct build *build,
					      struct dfota_delta_step *step)
{
	for (uint32_t i = 0; i < build->count; i++) {
		uint32_t first = i;

		while (i < build->count && build->segments[i].changed_units == 0)
			i++;
		if (i > first)
			*step++ = (struct dfota_delta_step){ .segment = first,
							     .segments = i - first,
							     .kind = DFOTA_STEP_UNCHANGED };
	}
	return step;
}

static void count_segments(struct build *build)
{
	struct dfota_delta_header *header = &build->header;

	for (uint32_t i = 0; i < build->count; i++) {
		const struct build_segment *segment = &build->segments[i];

		if (segment->changed_units == 0) {
			header->moved_bytes += segment->end - segment->start;
			continue;
		}
		header->moved_bytes += segment->chunk.moved;
		header->changed_bytes += segment->chunk.changed;
		header->chunk_bytes += segment->chunk.count;
	}
	header->literal_bytes = header->new_bytes - header->moved_bytes - header->changed_bytes;
}

static uint64_t cost_bytes(uint64_t cost)
{
	return cost >> 19; /* of 1/65536 bit */
}

_Static_assert(GUESS_KINDS <= DFOTA_COUNTS_PREDICTORS_MAX && PRELUDE_PARTS <= 4 && PREDICT_COSTS == 4 &&
	       PLAIN_STREAMS == 3, "there is room for all that is counted");

/* For people: what chunks and prelude are spent on. */
static void sum_counts(const struct build *build, struct dfota_delta_counts *ret_counts)
{
	struct dfota_delta_counts counts = { 0 };
	uint64_t cost[PREDICT_COSTS] = { 0 };

	for (uint32_t i = 0; i < build->count; i++) {
		const struct diff_chunk *chunk = &build->segments[i].chunk; /* zero if nothing is coded */

		for (unsigned k = 0; k < PLAIN_STREAMS; k++)
			counts.plain[k] += chunk->streams[k];
		for (unsigned k = 0; k < PREDICT_COSTS; k++)
			cost[k] += chunk->counts.cost[k];
		for (unsigned k = 0; k < GUESS_KINDS; k++) {
			counts.clean[k] += (uint32_t)chunk->counts.clean[k];
			counts.flagged[k] += (uint32_t)chunk->counts.flagged[k];
		}
		counts.missed += (uint32_t)chunk->counts.misses;
		counts.literals += (uint32_t)chunk->counts.literals;
	}
	for (unsigned k = 0; k < PREDICT_COSTS; k++)
		counts.predict[k] = cost_bytes(cost[k]);
	for (unsigned k = 0; k < PRELUDE_PARTS && build->header.prelude_bytes > 0; k++)
		counts.prelude[k] = cost_bytes(build->predictor.prelude_cost[k]);
	*ret_counts = counts;
}

static void put_written(const struct build *build, const struct placing *placing,
			struct dfota_delta_image *delta, uint32_t first)
{
	uint8_t *chunks = delta->chunks;

	for (uint32_t i = 0; i < placing->written; i++) {
		uint32_t index = placing->sequence[i];
		const struct build_segment *segment = &build->segments[index];

		delta->steps[first + i] = (struct dfota_delta_step){
			.segment = index,
			.segments = 1,
			.changed_units = segment->changed_units,
			.kind = placing->graph.reads_itself[index] ? DFOTA_STEP_REDO
								   : DFOTA_STEP_DIRECT,
			.coding = segment->chunk.coding,
			.copies = (uint16_t)placing->plan.copies_of[i],
			.chunk_bytes = segment->chunk.count,
		};
		memcpy(chunks,
		       segment->chunk.bytes ? segment->chunk.bytes
					    : build->images.new_image + segment->start,
		       segment->chunk.count);
		chunks += segment->chunk.count;
	}
	for (size_t i = 0; i < placing->plan.copy_count; i++) {
		delta->copies[i] = placing->plan.copies[i];
		delta->copies[i].last_reader += first;
	}
}

/* Unchanged runs first, so that a segment which is not as it should be is found before anything is written. */
int build_steps(struct build *build, const struct placing *placing,
		struct dfota_delta_image *ret_delta)
{
	struct dfota_delta_image delta = { 0 };
	uint32_t runs = unchanged_runs(build), tail = tail_segments(build);
	struct dfota_delta_step *end;

	count_segments(build);
	build->header.step_count = runs + placing->written + (tail > 0);
	build->header.copy_count = (uint32_t)placing->plan.copy_count;
	build->header.stash_bytes = placing->plan.stash_bytes;
	build->header.live_copies = placing->plan.live_copies;
	delta.header = build->header;
	sum_counts(build, &delta.counts);
	delta.steps = calloc((size_t)build->header.step_count + 1, sizeof(*delta.steps));
	delta.copies = calloc(placing->plan.copy_count + 1, sizeof(*delta.copies));
	delta.chunks = malloc((size_t)build->header.chunk_bytes + 1);
	if (build->header.prelude_bytes)
		delta.prelude = malloc(build->header.prelude_bytes);
	if (!delta.steps || !delta.copies || !delta.chunks ||
	    (build->header.prelude_bytes && !delta.prelude)) {
		dfota_delta_image_free(&delta);
		return DFOTA_E_MEMORY;
	}
	if (delta.prelude)
		memcpy(delta.prelude, build->predictor.prelude, build->header.prelude_bytes);
	end = put_unchanged(build, delta.steps);
	put_written(build, placing, &delta, (uint32_t)(end - delta.steps));
	end += placing->written;
	if (tail > 0)
		*end = (struct dfota_delta_step){ .segment = build->count,
						  .segments = tail,
						  .kind = DFOTA_STEP_TAIL };
	*ret_delta = delta;
	return 0;
}
