/* SPDX-License-Identifier: MIT
 *
 * Pairs of images through the builder and back through the device's decoder. The input steers
 * images, edits, regions, pieces and options; either coding PREDICT alone is used, with regions and
 * pieces that no matcher would find, or the whole builder.
 */
#include <stdio.h>

#include "dfota/diff.h"

#include "pair.h"
#include "replay.h"

#define SEGMENTS_MAX (PAIR_BYTES_MAX / DFOTA_DELTA_UNIT_MIN + 1)

/* ---- PREDICT alone -----------------------------------------------------------------------------
 */

struct old_bytes {
	const struct pair *pair;
	uint8_t planned[PAIR_BYTES_MAX]; /* 1 where the builder keeps the byte for the segment at
					    hand */
};

/* Of a segment's pieces and a margin around each; more may be gone from flash. */
static void plan_reads(struct old_bytes *old, uint64_t start, uint64_t end)
{
	uint64_t limit = old->pair->images.old_bytes;

	memset(old->planned, 0, sizeof(old->planned));
	for (size_t i = 0; i < old->pair->pieces.count; i++) {
		const struct diff_piece *piece = &old->pair->pieces.items[i];
		uint64_t from = piece->at > start ? piece->at : start;
		uint64_t to = dfota_min64(piece->at + piece->bytes, end);

		if (from >= to)
			continue;
		from += (uint64_t)piece->diagonal;
		to = dfota_min64(to + (uint64_t)piece->diagonal + PREDICT_MARGIN, limit);
		from = from > PREDICT_MARGIN ? from - PREDICT_MARGIN : 0;
		memset(old->planned + from, 1, (size_t)(to - from));
	}
}

static int old_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	const struct old_bytes *old = context;

	REQUIRE(dfota_inside(offset, bytes, old->pair->images.old_bytes));
	for (size_t i = 0; i < bytes; i++)
		REQUIRE(old->planned[offset + i]);
	memcpy(buffer, old->pair->images.old_image + offset, bytes);
	return 0;
}

struct coded {
	struct diff_chunk chunks[SEGMENTS_MAX];
	uint32_t count, segment_bytes;
};

static void encode_all(const struct pair *pair, const struct diff_predictor *predictor,
		       struct coded *coded)
{
	uint32_t end = (uint32_t)pair->images.new_bytes;

	for (uint32_t at = 0; at < end; at += coded->segment_bytes) {
		uint32_t bytes = (uint32_t)dfota_min64(coded->segment_bytes, end - at);
		struct diff_chunk *chunk = &coded->chunks[coded->count++];

		REQUIRE(diff_predictor_encode(predictor, at, at + bytes, NULL, chunk) == 0);
		REQUIRE(chunk->count >= 1 && chunk->count <= bytes);
		REQUIRE(chunk->coding == DFOTA_CODING_PREDICT ||
			(chunk->coding == DFOTA_CODING_RAW && !chunk->bytes));
		REQUIRE(chunk->moved + chunk->changed + chunk->literal == bytes);
	}
}

static void decode_one(const struct pair *pair, const struct coded *coded,
		       struct dfota_codec *codec, uint32_t segment)
{
	const struct diff_chunk *chunk = &coded->chunks[segment];
	uint32_t at = segment * coded->segment_bytes;
	size_t bytes = (size_t)dfota_min64(coded->segment_bytes, pair->images.new_bytes - at);
	static struct old_bytes old;
	struct dfota_memory memory = { chunk->bytes ? chunk->bytes : pair->images.new_image + at,
				       chunk->count };
	struct dfota_codec_job job = {
		.segment = segment,
		.coding = chunk->coding,
		.chunk_bytes = chunk->count,
		.chunk = dfota_memory_source(&memory),
		.old = { old_read, &old },
	};
	uint8_t *out = malloc(bytes);

	REQUIRE(out);
	old.pair = pair;
	plan_reads(&old, at, at + bytes);
	REQUIRE(dfota_codec_decode(codec, &job, out, bytes) == 0);
	REQUIRE(memcmp(out, pair->images.new_image + at, bytes) == 0);
	free(out);
}

/* All segments, each once, from any on: those before it come in the end, backwards. */
static void decode_all(const struct pair *pair, const struct diff_predictor *predictor,
		       const struct coded *coded, uint32_t first)
{
	struct dfota_codec_image image = { pair->images.old_bytes, pair->images.new_bytes,
					   coded->segment_bytes, (uint32_t)predictor->prelude_bytes,
					   1u << DFOTA_CODING_RAW | 1u << DFOTA_CODING_PREDICT,
					   predictor->room };
	struct dfota_memory memory = { predictor->prelude, predictor->prelude_bytes };
	struct dfota_source prelude = dfota_memory_source(&memory);
	size_t bytes = dfota_codec_workspace_bytes(&image);
	uint8_t *workspace = malloc(bytes);
	struct dfota_codec *codec;

	REQUIRE(workspace && bytes > 0);
	REQUIRE(dfota_codec_init(&codec, &image, &prelude, workspace, bytes) == 0);
	for (uint32_t i = first; i < coded->count; i++)
		decode_one(pair, coded, codec, i);
	for (uint32_t i = first; i-- > 0;)
		decode_one(pair, coded, codec, i);
	free(workspace);
}

static void run_predict(struct choices *choices)
{
	struct coded coded = {
		.segment_bytes = DFOTA_DELTA_UNIT_MIN << choose(choices, 4),
	};
	struct diff_predictor predictor;
	static struct pair pair; /* large; made afresh each time */
	uint32_t first = choose(choices, SEGMENTS_MAX);

	pair_make(&pair, choices);
	REQUIRE(diff_predictor_make(&predictor, &pair.images, &pair.old_regions, &pair.new_regions,
				    &pair.pieces, NULL) == 0);
	encode_all(&pair, &predictor, &coded);
	decode_all(&pair, &predictor, &coded, first < coded.count ? first : 0);
	for (uint32_t i = 0; i < coded.count; i++)
		free(coded.chunks[i].bytes);
	diff_predictor_free(&predictor);
	pair_free(&pair);
}

/* ---- the whole builder -------------------------------------------------------------------------
 */

static uint64_t choose_limit(struct choices *choices)
{
	switch (choose(choices, 4)) {
	case 0:
		return 0;
	case 1:
		return DFOTA_DELTA_STASH_BLOCK - 1;
	case 2:
		return DFOTA_DELTA_STASH_BLOCK;
	default:
		return choose(choices, 65536);
	}
}

static void run_build(struct choices *choices)
{
	uint32_t unit = DFOTA_DELTA_UNIT_MIN * (1 + choose(choices, 3));
	struct dfota_diff_options options = {
		.unit_bytes = unit,
		.segment_bytes = unit * (1 + choose(choices, 4)),
		.stash_limit = choose_limit(choices),
		.threads = 1,
	};
	struct dfota_delta_image delta;
	static struct pair pair;
	const char *wrong;

	pair_make(&pair, choices);
	REQUIRE(dfota_diff_build(pair.images.old_image, pair.images.old_bytes,
				 pair.images.new_image, pair.images.new_bytes, &options,
				 &delta) == 0);
	REQUIRE(delta.header.chunk_bytes <= pair.images.new_bytes);
	REQUIRE(delta.header.stash_bytes <= options.stash_limit);
	wrong = replay(&delta, pair.images.old_image, pair.images.old_bytes, pair.images.new_image,
		       pair.images.new_bytes, NULL);
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	REQUIRE(!wrong);
	dfota_delta_image_free(&delta);
	pair_free(&pair);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices choices = { data, size };

	if (choose(&choices, 4) > 0)
		run_predict(&choices);
	else
		run_build(&choices);
	return 0;
}
