/* SPDX-License-Identifier: MIT
 *
 * The delta of one partition: align, plan, code, prove.
 *
 * Segments are independent, so they are worked on by several threads; nothing depends on which is done
 * first. The proof runs the device's own decoder on every chunk and gives it no old byte but those that
 * the plan keeps.
 */
#include "build.h"

#include <stdlib.h>

#include "content.h"
#include "match.h"
#include "parallel.h"

#define CODER_BYTES (1u << 20) /* of an image for each coder at work: it takes a multiple of that */

static void tell(const struct build *build, unsigned permille)
{
	if (build->options.progress)
		build->options.progress(build->options.progress_context, permille);
}

static void on_done(void *context, size_t finished)
{
	const struct build *build = context;
	size_t span = build->permille_to - build->permille_from;

	tell(build, build->permille_from + (unsigned)(span * finished / build->work));
}

int build_items(struct build *build, size_t count, unsigned to,
		     int (*work)(void *context, size_t item))
{
	uint64_t bytes = build->images.old_bytes > build->images.new_bytes ? build->images.old_bytes
									   : build->images.new_bytes;
	unsigned threads = diff_threads(build->options.threads, (size_t)(bytes / CODER_BYTES) + (bytes < CODER_BYTES));
	int error = 0;

	build->permille_from = build->permille_to;
	build->permille_to = to;
	build->work = count;
	if (count > 0)
		error = diff_parallel(threads, count, work, build, on_done);
	tell(build, to);
	return error;
}

/* ---- one segment ----------------------------------------------------------------------------- */

/* Bit per unit whose new bytes are not the old ones at the same place. */
static uint64_t changed_units(const struct build *build, const struct build_segment *segment)
{
	const struct diff_images *images = &build->images;
	uint64_t changed = 0, at = segment->start;

	for (unsigned u = 0; at < segment->end; u++) {
		uint64_t bytes = dfota_min64(build->options.unit_bytes, segment->end - at);

		if (!dfota_inside(at, bytes, images->old_bytes) ||
		    memcmp(images->new_image + at, images->old_image + at, (size_t)bytes) != 0)
			changed |= 1ull << u;
		at += bytes;
	}
	return changed;
}

static int segment_align(void *context, size_t item)
{
	struct build *build = context;
	struct build_segment *segment = &build->segments[item];

	if (segment->changed_units == 0)
		return diff_pieces_add(&segment->found, segment->start,
				       segment->end - segment->start, 0);
	return diff_align(build->index, build->images.new_image, segment->start, segment->end,
			  &segment->found);
}

static void index_drop(struct build *build)
{
	if (build->index)
		diff_index_free(build->index);
	free(build->index);
	build->index = NULL;
}

/* Pieces of all segments, found in each by itself. */
static int align_plain(struct build *build)
{
	int error;

	build->index = malloc(sizeof(*build->index)); /* large */
	if (!build->index)
		return DFOTA_E_MEMORY;
	error = diff_index_make(build->index, build->images.old_image, (size_t)build->images.old_bytes);
	build->permille_to = 200;
	tell(build, 200);
	if (!error)
		error = build_items(build, build->count, 400, segment_align);
	index_drop(build);
	for (uint32_t i = 0; i < build->count && !error; i++) {
		struct diff_pieces *found = &build->segments[i].found;

		for (size_t j = 0; j < found->count && !error; j++)
			error = diff_pieces_add(&build->pieces, found->items[j].at,
						found->items[j].bytes, found->items[j].diagonal);
		diff_pieces_free(found);
	}
	return error;
}

static void on_match(void *context, unsigned permille)
{
	tell(context, permille * 4 / 10);
}

static int align_predict(struct build *build)
{
	struct diff_match_input input = {
		.images = &build->images,
		.old_regions = &build->old_regions,
		.new_regions = &build->new_regions,
		.literals_cheap = build->attempt->literals_cheap,
		.threads = build->options.threads,
		.progress = on_match,
		.progress_context = build,
	};
	int error = diff_content_find(&build->images, &build->old_regions, &build->new_regions);

	if (!error)
		error = diff_symbols_make(&build->symbols, &build->images, &build->old_regions,
					  &build->new_regions);
	if (!error)
		error = diff_match(&input, &build->pieces);
	if (!error)
		error = diff_symbols_pieces(&build->symbols, &build->pieces);
	build->permille_to = 400;
	tell(build, 400);
	return error;
}

/* ---- reads ------------------------------------------------------------------------------------- */

/* `next`: the first piece that ends behind the segment's start, found from where it was last. */
static int piece_reads(const struct build *build, struct build_segment *segment, size_t *next)
{
	uint64_t margin = build->attempt->coding == DFOTA_CODING_PREDICT ? PREDICT_MARGIN : 0;
	uint64_t limit = build->images.old_bytes;

	while (*next < build->pieces.count &&
	       build->pieces.items[*next].at + build->pieces.items[*next].bytes <= segment->start)
		(*next)++;
	for (size_t j = *next; j < build->pieces.count; j++) {
		const struct diff_piece *piece = &build->pieces.items[j];
		uint64_t from = piece->at > segment->start ? piece->at : segment->start;
		uint64_t to = dfota_min64(piece->at + piece->bytes, segment->end);
		int error;

		if (from >= segment->end)
			break;
		from += (uint64_t)piece->diagonal;
		to += (uint64_t)piece->diagonal;
		error = diff_ranges_add(&segment->reads, from > margin ? from - margin : 0,
					dfota_min64(to + margin, limit));
		if (error)
			return error;
	}
	return 0;
}

int build_reads(struct build *build)
{
	size_t next = 0;
	int error = 0;

	for (uint32_t i = 0; i < build->count && !error; i++) {
		struct build_segment *segment = &build->segments[i];

		segment->reads.count = 0;
		if (segment->changed_units == 0)
			continue;
		error = piece_reads(build, segment, &next);
		if (!error && !segment->without_symbols)
			error = diff_symbols_reads(&build->symbols, segment->start, segment->end,
						   &segment->reads);
		diff_ranges_normalise(&segment->reads);
	}
	return error;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int build_open(struct build *build)
{
	uint64_t segments =
		dfota_ceil_div64(build->images.new_bytes, build->options.segment_bytes);

	build->header = (struct dfota_delta_header){
		.old_bytes = build->images.old_bytes,
		.new_bytes = build->images.new_bytes,
		.unit_bytes = build->options.unit_bytes,
		.segment_bytes = build->options.segment_bytes,
	};
	if (build->images.old_bytes > DIFF_OLD_MAX ||
	    build->images.new_bytes > DFOTA_DELTA_IMAGE_MAX || segments > DFOTA_DELTA_STEPS_MAX)
		return DFOTA_E_ARGUMENT;
	build->count = (uint32_t)segments;
	build->segments = calloc((size_t)segments + 1, sizeof(*build->segments));
	if (!build->segments)
		return DFOTA_E_MEMORY;
	for (uint32_t i = 0; i < build->count; i++) {
		struct build_segment *segment = &build->segments[i];

		segment->start = (uint64_t)i * build->options.segment_bytes;
		segment->end = dfota_min64(segment->start + build->options.segment_bytes,
					   build->images.new_bytes);
		segment->changed_units = changed_units(build, segment);
	}
	return 0;
}

static void build_close(struct build *build)
{
	index_drop(build);
	for (uint32_t i = 0; build->segments && i < build->count; i++) {
		diff_pieces_free(&build->segments[i].found);
		diff_ranges_free(&build->segments[i].reads);
	}
	if (build->segments)
		build_forget_chunks(build);
	free(build->segments);
	free(build->old_regions.items);
	free(build->new_regions.items);
	diff_symbols_free(&build->symbols);
	diff_pieces_free(&build->pieces);
	diff_predictor_free(&build->predictor);
}

static bool anything_changed(const struct diff_images *images)
{
	return images->old_bytes != images->new_bytes ||
	       (images->new_bytes > 0 &&
		memcmp(images->old_image, images->new_image, (size_t)images->new_bytes) != 0);
}

int build_delta(const struct diff_images *images, const struct dfota_diff_options *options,
		const struct build_attempt *attempt, struct dfota_delta_image *ret_delta)
{
	bool plain = attempt->coding == DFOTA_CODING_PLAIN, hopeless = false;
	struct build build = { .images = *images, .options = *options, .attempt = attempt };
	struct placing *placing = NULL;
	int error = build_open(&build);

	if (!error && anything_changed(images))
		error = plain ? align_plain(&build) : align_predict(&build);
	if (!error && !plain)
		hopeless = build_is_noise(&build);
	if (!error && !hopeless)
		error = build_place(&build, &placing);
	if (!error && !hopeless)
		error = plain ? build_encode_plain(&build, &hopeless) : build_encode_predict(&build);
	if (!error && !hopeless)
		hopeless = build_coded_bytes(&build) >= attempt->beat;
	if (!error && !hopeless)
		error = build_prove(&build);
	if (!error && !hopeless)
		error = build_steps(&build, placing, ret_delta);
	placing_free(placing);
	build_close(&build);
	return error;
}
