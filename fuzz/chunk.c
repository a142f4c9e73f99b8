/* SPDX-License-Identifier: MIT
 *
 * The decoder under hostile preludes, chunks, image sizes and sources: whatever comes, it reads
 * only inside the old image, does bounded work, tells the right error, and can be used again.
 */
#include <string.h>

#include "pair.h"

#define HOSTILE_BYTES 600u /* of a prelude or chunk that is nothing but input */

/* A block of its exact size, so that a sanitizer sees its end. */
struct block {
	uint8_t *bytes;
	uint32_t count;
};

struct attack {
	struct pair *pair;
	struct dfota_codec_image image;
	struct block prelude, chunk;
	struct block
	    honest; /* the segment's chunk as the encoder made it; empty if there is none */
	uint32_t segment;
	uint8_t coding;
	bool prelude_is_honest;
};

/* Bytes that count what is asked of them, and may fail. */
struct watched {
	const uint8_t *bytes;
	uint64_t size, reads, read_bytes;
	uint64_t fail_at; /* number of the read that fails; 0 = none does */
	bool failed;
};

static int watched_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct watched *watched = context;

	REQUIRE(dfota_inside(offset, bytes, watched->size));
	watched->reads++;
	watched->read_bytes += bytes;
	if (watched->reads == watched->fail_at) {
		watched->failed = true;
		return DFOTA_E_READ;
	}
	if (bytes > 0)
		memcpy(buffer, watched->bytes + offset, bytes);
	return 0;
}

static struct block block_make(uint32_t count)
{
	struct block block = { malloc(count ? count : 1), count };

	REQUIRE(block.bytes);
	return block;
}

static struct block block_copy(const uint8_t *bytes, size_t count)
{
	struct block block = block_make((uint32_t)count);

	if (count > 0)
		memcpy(block.bytes, bytes, count);
	return block;
}

static struct block block_choose(struct choices *choices, uint32_t most)
{
	struct block block = block_make(choose(choices, most + 1));

	for (uint32_t i = 0; i < block.count; i++)
		block.bytes[i] = choose_byte(choices);
	return block;
}

/* Flips, replaces, cuts and lengthens. */
static void block_mutate(struct choices *choices, struct block *block)
{
	struct block mutated;
	uint32_t count = block->count;

	switch (choose(choices, 4)) {
	case 0:
		count = choose(choices, count + 1);
		break;
	case 1:
		count += choose(choices, 12);
		break;
	default:
		break;
	}
	mutated = block_make(count);
	for (uint32_t i = 0; i < count; i++)
		mutated.bytes[i] = i < block->count ? block->bytes[i] : choose_byte(choices);
	for (uint32_t edits = choose(choices, 4); edits > 0 && count > 0; edits--) {
		uint8_t *at = &mutated.bytes[choose(choices, count)];

		if (choose(choices, 2))
			*at ^= (uint8_t)(1u << choose(choices, 8));
		else
			*at = choose_byte(choices);
	}
	free(block->bytes);
	*block = mutated;
}

/* ---- honest packages ---------------------------------------------------------------------------
 */

static uint32_t segment_start(const struct attack *attack)
{
	return attack->segment * attack->image.segment_bytes;
}

static uint32_t segment_size(const struct attack *attack)
{
	return (uint32_t)dfota_min64(attack->image.segment_bytes,
				     attack->image.new_bytes - segment_start(attack));
}

static void take_chunk(struct attack *attack, struct diff_chunk *chunk)
{
	const uint8_t *bytes = chunk->bytes;

	if (!bytes)
		bytes = attack->pair->images.new_image + segment_start(attack);
	attack->coding = chunk->coding;
	attack->honest = block_copy(bytes, chunk->count);
	attack->chunk = block_copy(bytes, chunk->count);
	free(chunk->bytes);
}

static void make_predict(struct attack *attack)
{
	const struct pair *pair = attack->pair;
	struct diff_predictor predictor;
	struct diff_chunk chunk;
	uint32_t start = segment_start(attack);

	REQUIRE(diff_predictor_make(&predictor, &pair->images, &pair->old_regions,
				    &pair->new_regions, &pair->pieces, NULL) == 0);
	REQUIRE(diff_predictor_encode(&predictor, start, start + segment_size(attack), NULL, &chunk) ==
		0);
	take_chunk(attack, &chunk);
	attack->prelude = block_copy(predictor.prelude, predictor.prelude_bytes);
	attack->prelude_is_honest = true;
	attack->image.map = predictor.room;
	attack->image.codings = 1u << DFOTA_CODING_RAW | 1u << DFOTA_CODING_PREDICT;
	diff_predictor_free(&predictor);
}

/* Pieces of one segment, as that coding wants them. */
static void make_plain(struct attack *attack)
{
	const struct pair *pair = attack->pair;
	struct diff_pieces own = { 0 };
	struct diff_choice choice;
	struct diff_chunk chunk;
	uint64_t start = segment_start(attack), end = start + segment_size(attack);

	for (size_t i = 0; i < pair->pieces.count; i++) {
		const struct diff_piece *piece = &pair->piece_items[i];
		uint64_t from = piece->at > start ? piece->at : start;
		uint64_t to = dfota_min64(piece->at + piece->bytes, end);

		if (from < to)
			REQUIRE(diff_pieces_add(&own, from, to - from, piece->diagonal) == 0);
	}
	REQUIRE(diff_encode(&pair->images, start, end, attack->image.segment_bytes, own.items,
			    own.count, DIFF_QUICKLY, &choice, &chunk) == 0);
	take_chunk(attack, &chunk);
	attack->prelude = block_make(0);
	attack->prelude_is_honest = true;
	attack->image.codings = 1u << DFOTA_CODING_RAW | 1u << DFOTA_CODING_PLAIN;
	diff_pieces_free(&own);
}

/* ---- preludes ----------------------------------------------------------------------------------
 */

/* Reads the prelude as the coding does; when it is accepted, all of it must be within bounds. */
static void check_prelude(const struct attack *attack)
{
	size_t bytes = predict_workspace_bytes(&attack->image.map);
	uint8_t *memory = malloc(bytes);
	struct codec_arena arena = { memory, bytes };
	struct dfota_memory block = { attack->prelude.bytes, attack->prelude.count };
	struct dfota_source source = dfota_memory_source(&block);
	struct predict *predict;

	REQUIRE(memory && predict_open(&predict, &attack->image, &arena) == 0);
	coder_start_decoding(&predict->coder, &source, block.bytes);
	prelude_start(&predict->model, &predict->prelude_mixer, &predict->map);
	if (prelude_code(&predict->model, &predict->prelude_mixer, &predict->prelude) == 0) {
		int error = predict_ready(predict);

		REQUIRE(error == 0 || error == DFOTA_E_CORRUPT);
		pair_check_map(&predict->map);
	}
	free(memory);
}

/* ---- decoding ----------------------------------------------------------------------------------
 */

/* Old bytes are looked at once for each new one, with a margin around each piece; control streams
 * may ask for nothing a number of times. Chunks are read from front to back, once.
 */
static void check_work(const struct watched *old, const struct watched *chunk, size_t out_bytes)
{
	REQUIRE(old->reads <= 2 * out_bytes + 128);
	REQUIRE(old->read_bytes <= (2 * PREDICT_MARGIN + 2) * out_bytes + 4096);
	REQUIRE(chunk->read_bytes <= 2 * chunk->size + 64);
}

static int decode(const struct attack *attack, struct dfota_codec *codec, const struct block *block,
		  struct watched *old, struct watched *chunk, uint8_t *out)
{
	struct dfota_codec_job job = {
		.segment = attack->segment,
		.coding = attack->coding,
		.chunk_bytes = block->count,
		.chunk = { watched_read, chunk },
		.old = { watched_read, old },
	};
	size_t bytes = segment_size(attack);
	int error;

	chunk->bytes = block->bytes;
	chunk->size = block->count;
	old->bytes = attack->pair->images.old_image;
	old->size = attack->image.old_bytes;
	error = dfota_codec_decode(codec, &job, out, bytes);
	check_work(old, chunk, bytes);
	return error;
}

static void decode_hostile(const struct attack *attack, struct dfota_codec *codec,
			   struct choices *choices)
{
	struct watched old = { .fail_at = choose(choices, 4) ? 0 : 1 + choose(choices, 4) };
	struct watched chunk = { .fail_at = choose(choices, 8) ? 0 : 1 + choose(choices, 2) };
	uint8_t *out = malloc(segment_size(attack));
	int error;

	REQUIRE(out);
	error = decode(attack, codec, &attack->chunk, &old, &chunk, out);
	if (old.failed || chunk.failed)
		REQUIRE(error == DFOTA_E_READ);
	else
		REQUIRE(error == 0 || error == DFOTA_E_CORRUPT);
	free(out);
}

/* The same codec, after all that. */
static void decode_honest(const struct attack *attack, struct dfota_codec *codec)
{
	struct watched old = { 0 }, chunk = { 0 };
	uint8_t *out = malloc(segment_size(attack));

	REQUIRE(out);
	REQUIRE(decode(attack, codec, &attack->honest, &old, &chunk, out) == 0);
	REQUIRE(memcmp(out, attack->pair->images.new_image + segment_start(attack),
		       segment_size(attack)) == 0);
	free(out);
}

static int open_codec(const struct attack *attack, struct choices *choices, uint8_t **ret_memory,
		      struct dfota_codec **ret_codec)
{
	struct watched prelude = { .bytes = attack->prelude.bytes, .size = attack->prelude.count };
	struct dfota_source source = { watched_read, &prelude };
	size_t bytes = dfota_codec_workspace_bytes(&attack->image), skew = choose(choices, 16);
	uint8_t *memory = malloc(bytes + skew);
	int error;

	REQUIRE(memory);
	*ret_memory = memory;
	error = dfota_codec_init(ret_codec, &attack->image, &source, memory + skew, bytes);
	if (bytes == 0)
		REQUIRE(error == DFOTA_E_CORRUPT && prelude.reads == 0);
	else
		REQUIRE(error == 0 || error == DFOTA_E_CORRUPT);
	return error;
}

static void run_attack(struct attack *attack, struct choices *choices)
{
	struct dfota_codec *codec;
	uint8_t *memory;
	int error = open_codec(attack, choices, &memory, &codec);

	if (attack->prelude_is_honest)
		REQUIRE(error == 0);
	if (!error) {
		uint8_t coding = attack->coding;

		if (choose(choices, 8) == 0)
			attack->coding = choose_byte(choices);
		decode_hostile(attack, codec, choices);
		attack->coding = coding;
		if (attack->prelude_is_honest && attack->honest.count > 0)
			decode_honest(attack, codec);
	}
	free(memory);
}

/* ---- attacks -----------------------------------------------------------------------------------
 */

/* An honest package, then one part of it is not. */
static void run_package(struct choices *choices)
{
	static struct pair pair; /* large; made afresh each time */
	struct attack attack = { .pair = &pair };
	unsigned part = choose(choices, 4);

	pair_make(&pair, choices);
	attack.image = (struct dfota_codec_image){
		.old_bytes = pair.images.old_bytes,
		.new_bytes = pair.images.new_bytes,
		.segment_bytes = DFOTA_DELTA_UNIT_MIN << choose(choices, 4),
	};
	if (pair.images.new_bytes > 0) {
		attack.segment = choose(
		    choices,
		    (uint32_t)((pair.images.new_bytes - 1) / attack.image.segment_bytes) + 1);
		if (choose(choices, 4))
			make_predict(&attack);
		else
			make_plain(&attack);
		if (part == 0 && attack.prelude.count > 0) {
			block_mutate(choices, &attack.prelude);
			attack.prelude_is_honest = false;
			check_prelude(&attack);
		} else if (part == 1) {
			free(attack.chunk.bytes);
			attack.chunk = block_choose(choices, HOSTILE_BYTES);
		} else {
			block_mutate(choices, &attack.chunk);
		}
		attack.image.prelude_bytes = attack.prelude.count;
		run_attack(&attack, choices);
	}
	free(attack.prelude.bytes);
	free(attack.chunk.bytes);
	free(attack.honest.bytes);
	pair_free(&pair);
}

static uint64_t choose_wide(struct choices *choices)
{
	static const uint64_t wide[] = { 0,
					 1,
					 511,
					 512,
					 513,
					 4096,
					 REGION_IMAGE_MAX,
					 REGION_IMAGE_MAX + 1,
					 DFOTA_DELTA_IMAGE_MAX,
					 DFOTA_DELTA_IMAGE_MAX + 1,
					 UINT32_MAX,
					 UINT64_MAX };

	return choose(choices, 2) ? choose(choices, 1u << 24) : wide[choose(choices, 12)];
}

/* Nothing is honest: sizes may be out of bounds, and the prelude is whatever the input holds. */
static void run_fields(struct choices *choices)
{
	static struct pair pair;
	struct attack attack = {
		.image = { choose_wide(choices),
			   choose_wide(choices),
			   0,
			   0,
			   choose(choices, 20),
			   { choose(choices, 100), choose(choices, 1000), choose(choices, 1000) } },
		.prelude = block_choose(choices, HOSTILE_BYTES),
	};
	struct dfota_codec *codec;
	uint8_t *memory;

	attack.image.segment_bytes =
	    choose(choices, 2) ? 512u << choose(choices, 15) : (uint32_t)choose_wide(choices);
	attack.image.prelude_bytes = attack.prelude.count;
	attack.pair = &pair;
	if (attack.image.codings >> DFOTA_CODING_PREDICT == 1 &&
	    attack.image.old_bytes <= REGION_IMAGE_MAX &&
	    attack.image.new_bytes <= REGION_IMAGE_MAX)
		check_prelude(&attack);
	(void)open_codec(&attack, choices, &memory,
			 &codec); /* what it may answer is checked there */
	free(memory);
	free(attack.prelude.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices choices = { data, size };

	if (choose(&choices, 8) > 0)
		run_package(&choices);
	else
		run_fields(&choices);
	return 0;
}
