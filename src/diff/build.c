/* SPDX-License-Identifier: MIT
 *
 * The delta of one partition: align, code, prove.
 *
 * Segments are independent, so they are worked on by several threads; nothing depends on which is done
 * first. What a chunk reads is not derived from the encoder's intentions but recorded while the
 * device's own decoder runs.
 */
#include "build.h"

#include <stdlib.h>

#include "parallel.h"

#define UNIT_DEFAULT    (128u << 10)
#define SEGMENT_DEFAULT (1u << 20)

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

static int for_segments(struct build *build, unsigned to, int (*work)(void *context, size_t item))
{
	int error = 0;

	build->permille_from = build->permille_to;
	build->permille_to = to;
	build->work = build->count;
	if (build->count > 0)
		error = diff_parallel(build->options.threads, build->count, work, build, on_done);
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

	segment->changed_units = changed_units(build, segment);
	segment->stale = segment->changed_units != 0;
	if (!segment->stale)
		return 0;
	return diff_align(&build->index, build->images.new_image, segment->start, segment->end,
			  &segment->pieces);
}

struct recorder {
	const struct diff_images *images;
	struct diff_ranges *reads;
};

static int record_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	const struct recorder *recorder = context;

	if (!dfota_inside(offset, bytes, recorder->images->old_bytes))
		return DFOTA_E_INTERNAL;
	memcpy(buffer, recorder->images->old_image + offset, bytes);
	return diff_ranges_add(recorder->reads, offset, offset + bytes);
}

/* Decodes the segment's chunk into `out`, noting what it reads. */
static int chunk_decode(const struct build *build, struct build_segment *segment,
			struct dfota_codec *codec, uint8_t *out)
{
	const struct diff_chunk *chunk = &segment->chunk;
	struct recorder recorder = { &build->images, &segment->reads };
	struct dfota_memory bytes = {
		chunk->bytes ? chunk->bytes : build->images.new_image + segment->start, chunk->count
	};
	struct dfota_codec_job job = {
		.segment = (uint32_t)(segment->start / build->options.segment_bytes),
		.coding = chunk->coding,
		.chunk_bytes = chunk->count,
		.chunk = dfota_memory_source(&bytes),
		.old = { record_read, &recorder },
	};

	segment->reads.count = 0;
	return dfota_codec_decode(codec, &job, out, (size_t)(segment->end - segment->start));
}

static int segment_prove(const struct build *build, struct build_segment *segment)
{
	struct dfota_codec_image image = {
		.old_bytes = build->images.old_bytes,
		.new_bytes = build->images.new_bytes,
		.segment_bytes = build->options.segment_bytes,
		.codings = 1u << segment->chunk.coding,
	};
	size_t bytes = (size_t)(segment->end - segment->start);
	size_t workspace_bytes = dfota_codec_workspace_bytes(&image);
	uint8_t *memory = malloc(bytes + workspace_bytes);
	struct dfota_memory none = { 0 };
	struct dfota_source prelude = dfota_memory_source(&none);
	struct dfota_codec *codec;
	int error;

	if (!memory)
		return DFOTA_E_MEMORY;
	error = dfota_codec_init(&codec, &image, &prelude, memory + bytes, workspace_bytes);
	if (!error)
		error = chunk_decode(build, segment, codec, memory);
	if (error == DFOTA_E_CORRUPT ||
	    (!error && memcmp(memory, build->images.new_image + segment->start, bytes) != 0))
		error = DFOTA_E_INTERNAL;
	free(memory);
	diff_ranges_normalise(&segment->reads);
	return error;
}

static int segment_encode(void *context, size_t item)
{
	struct build *build = context;
	struct build_segment *segment = &build->segments[item];
	int error;

	if (!segment->stale)
		return 0;
	free(segment->chunk.bytes);
	segment->chunk = (struct diff_chunk){ 0 };
	error = diff_encode(&build->images, segment->start, segment->end,
			    build->options.segment_bytes, segment->pieces.items,
			    segment->literal ? 0 : segment->pieces.count, &segment->chunk);
	if (!error)
		error = segment_prove(build, segment);
	segment->stale = false;
	return error;
}

int build_encode(struct build *build)
{
	return for_segments(build, build->permille_to < 900 ? 900 : build->permille_to,
			    segment_encode);
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
	}
	return 0;
}

static void build_close(struct build *build)
{
	diff_index_free(&build->index);
	for (uint32_t i = 0; build->segments && i < build->count; i++) {
		diff_pieces_free(&build->segments[i].pieces);
		diff_ranges_free(&build->segments[i].reads);
		free(build->segments[i].chunk.bytes);
	}
	free(build->segments);
}

static bool anything_changed(const struct diff_images *images)
{
	return images->old_bytes != images->new_bytes ||
	       (images->new_bytes > 0 &&
		memcmp(images->old_image, images->new_image, (size_t)images->new_bytes) != 0);
}

int dfota_diff_build(const uint8_t *old_image, uint64_t old_bytes, const uint8_t *new_image,
		     uint64_t new_bytes, const struct dfota_diff_options *options,
		     struct dfota_delta_image *ret_delta)
{
	struct build build = {
		.images = { old_image, new_image, old_bytes, new_bytes },
		.options = *options,
	};
	int error = options_resolve(&build.options);

	if (!error)
		error = build_open(&build);
	if (!error && anything_changed(&build.images)) {
		error = diff_index_make(&build.index, old_image, (size_t)old_bytes);
		build.permille_to = 200;
		tell(&build, 200);
	}
	if (!error)
		error = for_segments(&build, 400, segment_align);
	if (!error)
		error = build_encode(&build);
	if (!error)
		error = build_place(&build, ret_delta);
	if (!error)
		tell(&build, 1000);
	build_close(&build);
	return error;
}
