/* SPDX-License-Identifier: MIT
 *
 * Segments coded, and proven by the device's decoder.
 */
#include <stdlib.h>

#include "build.h"

#define HOPE_SHARE 5u  /* eighths of a size that was reached quickly: packing well does not come below it */
#define PROOFS     16u /* shares in which segments are proven */

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
				    build->effort, &segment->choice, &segment->chunk);
	diff_pieces_free(&own);
	return error;
}

static int segment_encode(void *context, size_t item)
{
	struct build *build = context;
	struct build_segment *segment = &build->segments[item];

	if (segment->changed_units == 0)
		return 0;
	if (build->attempt->coding == DFOTA_CODING_PLAIN)
		return segment_encode_plain(build, segment);
	return diff_predictor_encode(&build->predictor, segment->start, segment->end,
				     segment->without_symbols ? NULL : &build->symbols,
				     &segment->chunk);
}

void build_forget_chunks(struct build *build)
{
	for (uint32_t i = 0; i < build->count; i++) {
		free(build->segments[i].chunk.bytes);
		build->segments[i].chunk = (struct diff_chunk){ 0 };
	}
}

uint64_t build_coded_bytes(const struct build *build)
{
	uint64_t bytes = build->predictor.prelude_bytes;

	for (uint32_t i = 0; i < build->count; i++)
		bytes += build->segments[i].chunk.count;
	return bytes;
}

/* Coded quickly, is it so large that it will not come below what is to be beaten when it is coded well? */
static bool is_hopeless(const struct build *build)
{
	return build_coded_bytes(build) * HOPE_SHARE / 8 >= build->attempt->beat;
}

/* Packing well takes most of a builder's time: it is not begun where it cannot win. */
int build_encode_plain(struct build *build, bool *ret_hopeless)
{
	int error;

	build->effort = DIFF_QUICKLY;
	error = build_items(build, build->count, 500, segment_encode);
	*ret_hopeless = !error && is_hopeless(build);
	if (error || *ret_hopeless)
		return error;
	build_forget_chunks(build);
	build->effort = DIFF_WELL;
	return build_items(build, build->count, 850, segment_encode);
}

int build_encode_predict(struct build *build)
{
	int error = diff_predictor_make(&build->predictor, &build->images, &build->old_regions, &build->new_regions,
					&build->pieces, &build->symbols);

	return error ? error : build_items(build, build->count, 850, segment_encode);
}

int build_prove(struct build *build)
{
	for (uint32_t i = 0; i < build->count; i++)
		if (build->segments[i].changed_units)
			build->header.codings |= 1u << build->segments[i].chunk.coding;
	if (build->header.codings >> DFOTA_CODING_PREDICT & 1) {
		build->header.prelude_bytes = (uint32_t)build->predictor.prelude_bytes;
		build->header.map = build->predictor.room;
	}
	if (build->options.unproven)
		return 0;
	return build_items(build, build->count < PROOFS ? build->count : PROOFS, 990, share_prove);
}
