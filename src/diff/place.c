/* SPDX-License-Identifier: MIT
 *
 * From coded segments to steps: order, stash plan, and the delta in memory.
 *
 * All orders are tried and the one that costs least is kept. Old bytes for which the stash has no room
 * are taken away from the segments that would have read them too late; these are coded again, until a plan
 * needs nothing that is not there.
 */
#include <stdlib.h>

#include "build.h"

#define CUT_ROUNDS 4 /* after so many, segments that still ask for too much become literal */

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

static void placing_close(struct placing *placing)
{
	free(placing->changed_units);
	free(placing->reads);
	free(placing->sequence);
	free(placing->trial);
	diff_graph_free(&placing->graph);
	diff_plan_free(&placing->plan);
}

/* Missing bytes make the package larger, stashing costs writes, a large stash costs space: in this order. */
static bool plan_better(const struct diff_plan *a, const struct diff_plan *b)
{
	if (a->denied_bytes != b->denied_bytes)
		return a->denied_bytes < b->denied_bytes;
	if (a->stashed_bytes != b->stashed_bytes)
		return a->stashed_bytes < b->stashed_bytes;
	return a->stash_bytes < b->stash_bytes;
}

static int try_order(struct placing *placing, const struct build *build, enum diff_order order)
{
	struct diff_plan plan;
	uint32_t *swap, count;
	int error = diff_order_make(&placing->graph, order, placing->trial, &count);

	if (!error)
		error = diff_plan_make(&plan, &placing->graph, placing->trial, count,
				       build->options.stash_limit);
	if (error)
		return error;
	if (placing->planned && !plan_better(&plan, &placing->plan)) {
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
static int plan_all(struct placing *placing, const struct build *build)
{
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
		error = try_order(placing, build, order);
	return error;
}

/* Takes old bytes [start, end) out of a segment's pieces; true when it had any of them. */
static int pieces_cut(struct build_segment *segment, uint64_t start, uint64_t end)
{
	struct diff_pieces kept = { 0 };
	int error = 0;

	for (size_t i = 0; i < segment->pieces.count && !error; i++) {
		struct diff_piece piece = segment->pieces.items[i];
		uint64_t old_at = piece.at + (uint64_t)piece.diagonal;
		uint64_t old_end = old_at + piece.bytes;

		if (old_end <= start || old_at >= end) {
			error = diff_pieces_add(&kept, piece.at, piece.bytes, piece.diagonal);
			continue;
		}
		segment->stale = true;
		if (old_at < start)
			error = diff_pieces_add(&kept, piece.at, start - old_at, piece.diagonal);
		if (!error && old_end > end)
			error = diff_pieces_add(&kept, end - (uint64_t)piece.diagonal,
						old_end - end, piece.diagonal);
	}
	diff_pieces_free(&segment->pieces);
	segment->pieces = kept;
	return error;
}

static bool reads_any(const struct build_segment *segment, uint64_t start, uint64_t end)
{
	size_t i = diff_ranges_find(&segment->reads, start);

	return i < segment->reads.count && segment->reads.items[i].start < end;
}

/* Readers that come too late for a range that is not stashed must do without it. */
static int denials_obey(struct placing *placing, struct build *build, bool literal)
{
	const struct diff_plan *plan = &placing->plan;

	for (size_t i = 0; i < plan->denial_count; i++) {
		const struct diff_denial *denial = &plan->denials[i];

		for (uint32_t p = denial->position + 1; p < placing->written; p++) {
			struct build_segment *segment = &build->segments[placing->sequence[p]];
			int error = 0;

			if (!reads_any(segment, denial->start, denial->end))
				continue;
			if (literal)
				segment->literal = segment->stale = true;
			else
				error = pieces_cut(segment, denial->start, denial->end);
			if (error)
				return error;
		}
	}
	return build_encode(build);
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
		header->codings |= 1u << segment->chunk.coding;
	}
	header->literal_bytes = header->new_bytes - header->moved_bytes - header->changed_bytes;
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
static int steps_make(struct build *build, const struct placing *placing,
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
	delta.steps = calloc((size_t)build->header.step_count + 1, sizeof(*delta.steps));
	delta.copies = calloc(placing->plan.copy_count + 1, sizeof(*delta.copies));
	delta.chunks = malloc((size_t)build->header.chunk_bytes + 1);
	if (!delta.steps || !delta.copies || !delta.chunks) {
		dfota_delta_image_free(&delta);
		return DFOTA_E_MEMORY;
	}
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

int build_place(struct build *build, struct dfota_delta_image *ret_delta)
{
	struct placing placing;
	int error = placing_open(&placing, build);

	build->header = (struct dfota_delta_header){
		.old_bytes = build->images.old_bytes,
		.new_bytes = build->images.new_bytes,
		.unit_bytes = build->options.unit_bytes,
		.segment_bytes = build->options.segment_bytes,
	};
	if (!error)
		error = plan_all(&placing, build);
	/* Ends: from CUT_ROUNDS on each round makes at least one segment literal. */
	for (int round = 0; !error && placing.plan.denial_count > 0; round++) {
		error = denials_obey(&placing, build, round >= CUT_ROUNDS);
		if (!error)
			error = plan_all(&placing, build);
	}
	if (!error)
		error = steps_make(build, &placing, ret_delta);
	placing_close(&placing);
	return error;
}
