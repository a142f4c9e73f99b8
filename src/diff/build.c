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

#define UNIT_DEFAULT    (128u << 10)
#define SEGMENT_DEFAULT (1u << 20)
#define PLAIN_ALWAYS    (4u << 20) /* bytes of images that are built with both codings */
#define PROOFS          16u        /* shares in which segments are proven */

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

static int for_items(struct build *build, size_t count, unsigned to,
		     int (*work)(void *context, size_t item))
{
	int error = 0;

	build->permille_from = build->permille_to;
	build->permille_to = to;
	build->work = count;
	if (count > 0)
		error = diff_parallel(build->options.threads, count, work, build, on_done);
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
	return diff_align(&build->index, build->images.new_image, segment->start, segment->end,
			  &segment->found);
}

/* Pieces of all segments, found in each by itself. */
static int align_plain(struct build *build)
{
	int error = diff_index_make(&build->index, build->images.old_image,
				    (size_t)build->images.old_bytes);

	build->permille_to = 200;
	tell(build, 200);
	if (!error)
		error = for_items(build, build->count, 400, segment_align);
	diff_index_free(&build->index);
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
	uint64_t margin = build->coding == DFOTA_CODING_PREDICT ? PREDICT_MARGIN : 0;
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

/* ---- coding ------------------------------------------------------------------------------------ */

struct planned {
	const struct diff_images *images;
	const struct diff_ranges *reads;
};

/* Old bytes, as far as the plan keeps them for this segment. */
static int planned_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	const struct planned *planned = context;
	size_t i = diff_ranges_find(planned->reads, offset);

	if (bytes == 0)
		return 0;
	if (i == planned->reads->count || planned->reads->items[i].start > offset ||
	    planned->reads->items[i].end < offset + bytes)
		return DFOTA_E_INTERNAL;
	memcpy(buffer, planned->images->old_image + offset, bytes);
	return 0;
}

/* Decodes the segment's chunk into `out` and compares. */
static int segment_prove(const struct build *build, const struct build_segment *segment,
			 struct dfota_codec *codec, uint8_t *out)
{
	const struct diff_chunk *chunk = &segment->chunk;
	const uint8_t *new_bytes = build->images.new_image + segment->start;
	struct planned planned = { &build->images, &segment->reads };
	struct dfota_memory bytes = { chunk->bytes ? chunk->bytes : new_bytes, chunk->count };
	struct dfota_codec_job job = {
		.segment = (uint32_t)(segment->start / build->options.segment_bytes),
		.coding = chunk->coding,
		.chunk_bytes = chunk->count,
		.chunk = dfota_memory_source(&bytes),
		.old = { planned_read, &planned },
	};
	size_t count = (size_t)(segment->end - segment->start);
	int error = dfota_codec_decode(codec, &job, out, count);

	if (error == DFOTA_E_CORRUPT || (!error && memcmp(out, new_bytes, count) != 0))
		error = DFOTA_E_INTERNAL;
	return error;
}

/* A share of the segments, because setting up a decoder takes long: number `item` and every PROOFS-th after it. */
static int share_prove(void *context, size_t item)
{
	const struct build *build = context;
	struct dfota_codec_image image = {
		.old_bytes = build->images.old_bytes,
		.new_bytes = build->images.new_bytes,
		.segment_bytes = build->options.segment_bytes,
		.prelude_bytes = build->header.prelude_bytes,
		.codings = build->header.codings,
		.map = build->header.map,
	};
	size_t workspace_bytes = dfota_codec_workspace_bytes(&image);
	struct dfota_memory prelude = { build->predictor.prelude, image.prelude_bytes };
	struct dfota_source source = dfota_memory_source(&prelude);
	uint8_t *memory = malloc(build->options.segment_bytes + workspace_bytes);
	struct dfota_codec *codec;
	int error;

	if (!memory)
		return DFOTA_E_MEMORY;
	error = dfota_codec_init(&codec, &image, &source, memory + build->options.segment_bytes,
				 workspace_bytes);
	for (size_t i = item; i < build->count && !error; i += PROOFS)
		if (build->segments[i].changed_units)
			error = segment_prove(build, &build->segments[i], codec, memory);
	free(memory);
	return error == DFOTA_E_CORRUPT ? DFOTA_E_INTERNAL : error;
}

/* Pieces of the segment for the coding that wants them by themselves. */
static int segment_encode_plain(const struct build *build, struct build_segment *segment)
{
	struct diff_pieces own = { 0 };
	int error = 0;

	for (size_t i = 0; i < build->pieces.count && !error; i++) {
		const struct diff_piece *piece = &build->pieces.items[i];
		uint64_t from = piece->at > segment->start ? piece->at : segment->start;
		uint64_t to = dfota_min64(piece->at + piece->bytes, segment->end);

		if (from < to)
			error = diff_pieces_add(&own, from, to - from, piece->diagonal);
	}
	if (!error)
		error = diff_encode(&build->images, segment->start, segment->end,
				    build->options.segment_bytes, own.items, own.count,
				    &segment->chunk);
	diff_pieces_free(&own);
	return error;
}

static int segment_encode(void *context, size_t item)
{
	struct build *build = context;
	struct build_segment *segment = &build->segments[item];

	if (segment->changed_units == 0)
		return 0;
	if (build->coding == DFOTA_CODING_PLAIN)
		return segment_encode_plain(build, segment);
	return diff_predictor_encode(&build->predictor, segment->start, segment->end,
				     segment->without_symbols ? NULL : &build->symbols,
				     &segment->chunk);
}

static int encode_all(struct build *build)
{
	int error = 0;

	if (build->coding == DFOTA_CODING_PREDICT)
		error = diff_predictor_make(&build->predictor, &build->images, &build->old_regions,
					    &build->new_regions, &build->pieces, &build->symbols);
	if (!error)
		error = for_items(build, build->count, 850, segment_encode);
	for (uint32_t i = 0; i < build->count && !error; i++)
		if (build->segments[i].changed_units)
			build->header.codings |= 1u << build->segments[i].chunk.coding;
	if (build->header.codings >> DFOTA_CODING_PREDICT & 1) {
		build->header.prelude_bytes = (uint32_t)build->predictor.prelude_bytes;
		build->header.map = build->predictor.room;
	}
	if (error || build->options.unproven)
		return error;
	return for_items(build, build->count < PROOFS ? build->count : PROOFS, 990, share_prove);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int options_resolve(struct dfota_diff_options *options)
{
	if (options->unit_bytes == 0)
		options->unit_bytes = UNIT_DEFAULT;
	if (options->segment_bytes == 0) {
		uint32_t units = SEGMENT_DEFAULT / options->unit_bytes;

		units = units < 1 ? 1 : units;
		units = units > DFOTA_DELTA_UNITS_MAX ? DFOTA_DELTA_UNITS_MAX : units;
		options->segment_bytes = units * options->unit_bytes;
	}
	if (options->unit_bytes < DFOTA_DELTA_UNIT_MIN ||
	    options->unit_bytes > DFOTA_DELTA_UNIT_MAX ||
	    options->unit_bytes % DFOTA_DELTA_UNIT_MIN != 0 ||
	    options->segment_bytes > DFOTA_DELTA_SEGMENT_MAX ||
	    options->segment_bytes < options->unit_bytes ||
	    options->segment_bytes % options->unit_bytes != 0 ||
	    options->segment_bytes / options->unit_bytes > DFOTA_DELTA_UNITS_MAX)
		return DFOTA_E_ARGUMENT;
	return 0;
}

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
	diff_index_free(&build->index);
	for (uint32_t i = 0; build->segments && i < build->count; i++) {
		diff_pieces_free(&build->segments[i].found);
		diff_ranges_free(&build->segments[i].reads);
		free(build->segments[i].chunk.bytes);
	}
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

/* The delta with one coding. */
static int build_with(const struct diff_images *images, const struct dfota_diff_options *options,
		      enum dfota_coding coding, struct dfota_delta_image *ret_delta)
{
	struct build build = { .images = *images, .options = *options, .coding = coding };
	struct placing *placing = NULL;
	int error = build_open(&build);

	if (!error && anything_changed(images))
		error = coding == DFOTA_CODING_PLAIN ? align_plain(&build) : align_predict(&build);
	if (!error)
		error = build_place(&build, &placing);
	if (!error)
		error = encode_all(&build);
	if (!error)
		error = build_steps(&build, placing, ret_delta);
	placing_free(placing);
	build_close(&build);
	return error;
}

static uint64_t delta_cost(const struct dfota_delta_image *delta)
{
	return dfota_delta_index_bytes(&delta->header) + delta->header.chunk_bytes;
}

/* Where prediction has found little, plain matching may do better, and small images are quickly tried. */
static bool plain_may_win(const struct dfota_delta_image *delta)
{
	uint64_t cost = delta_cost(delta);

	return delta->header.new_bytes <= PLAIN_ALWAYS || cost > delta->header.new_bytes / 8;
}

int dfota_diff_build(const uint8_t *old_image, uint64_t old_bytes, const uint8_t *new_image,
		     uint64_t new_bytes, const struct dfota_diff_options *options,
		     struct dfota_delta_image *ret_delta)
{
	struct diff_images images = { old_image, new_image, old_bytes, new_bytes };
	struct dfota_diff_options resolved = *options;
	struct dfota_delta_image delta = { 0 }, plain = { 0 };
	int error = options_resolve(&resolved);

	if (!error)
		error = build_with(&images, &resolved, DFOTA_CODING_PREDICT, &delta);
	if (!error && plain_may_win(&delta)) {
		resolved.progress = NULL;
		error = build_with(&images, &resolved, DFOTA_CODING_PLAIN, &plain);
	}
	if (!error && plain.steps && delta_cost(&plain) < delta_cost(&delta)) {
		struct dfota_delta_image swap = delta;

		delta = plain;
		plain = swap;
	}
	dfota_delta_image_free(&plain);
	if (error) {
		dfota_delta_image_free(&delta);
		return error;
	}
	if (options->progress)
		options->progress(options->progress_context, 1000);
	*ret_delta = delta;
	return 0;
}
