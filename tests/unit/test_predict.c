/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../fuzz/pair.h"

#define SEGMENT	 (16u << 10)
#define IMAGE	 (100u << 10) /* bytes, both; not a multiple of the segment */
#define SEGMENTS ((IMAGE + SEGMENT - 1) / SEGMENT)

/* Code whose calls go everywhere, then a table of pointers to it; the new image has a hole and a
 * patch in it. */
static uint8_t old_image[IMAGE], new_image[IMAGE];
static struct region old_items[2], new_items[2];
static struct diff_piece piece_items[8];
static const struct diff_images images = { old_image, new_image, IMAGE, IMAGE };
static struct regions old_regions = { old_items, 2, NULL }, new_regions = { new_items, 2, NULL };
static struct diff_pieces pieces = { piece_items, 0, 0 };

#define CODE   (64u << 10)
#define VA     0xffff800008000000ull
#define HOLE   4096u /* where new code was put in */
#define INSERT 1028u

static uint32_t moved(uint32_t at)
{
	return at < HOLE ? at : at + INSERT;
}

static void put_call(uint8_t *image, uint32_t at, uint32_t target)
{
	dfota_put32(image + at, 0x94000000 | ((target - at) / 4 & 0x3ffffff));
}

static int make_images(void **state)
{
	uint32_t random = 1, at;

	(void)state;
	for (at = 0; at < IMAGE; at += 4) {
		dfota_put32(old_image + at, 0x8b000000 | random_below(&random, 1u << 21));
		dfota_put32(new_image + at, random_next(&random));
	}
	for (at = CODE; at < IMAGE; at += 8)
		dfota_put64(old_image + at, VA + random_below(&random, CODE / 4) * 4);
	memcpy(new_image, old_image, HOLE);
	memcpy(new_image + HOLE + INSERT, old_image + HOLE, IMAGE - HOLE - INSERT);
	for (at = 0; at < CODE; at += 4 + 4 * random_below(&random, 6)) {
		uint32_t target = random_below(&random, CODE / 4) * 4;

		put_call(old_image, at, target);
		put_call(new_image, moved(at), moved(target));
	}
	for (at = CODE; at + INSERT + 8 <= IMAGE; at += 8) {
		uint32_t target = (uint32_t)(dfota_get64(old_image + at) - VA);

		dfota_put64(new_image + moved(at), VA + moved(target));
	}
	old_items[0] = (struct region){ 0, CODE, VA, CODE, 0, REGION_A64 };
	old_items[1] = (struct region){ CODE, IMAGE - CODE, VA + CODE, IMAGE, 0, REGION_DATA64 };
	new_items[0] = (struct region){ 0, CODE + INSERT, VA, CODE + INSERT, 0, REGION_A64 };
	new_items[1] =
	    (struct region){ CODE + INSERT, IMAGE - CODE - INSERT, VA + CODE + INSERT, IMAGE, 0,
			     REGION_DATA64 };
	piece_items[0] = (struct diff_piece){ 0, HOLE, 0 };
	piece_items[1] =
	    (struct diff_piece){ HOLE + INSERT, IMAGE - HOLE - INSERT, -(int64_t)INSERT };
	pieces.count = 2;
	return 0;
}

/* ---- an encoder's work -------------------------------------------------------------------------
 */

struct coded {
	struct diff_predictor predictor;
	struct diff_chunk chunks[SEGMENTS];
	void *workspace;
	struct dfota_codec_image image;
	struct dfota_codec *codec;
};

static struct coded coded;

static int encode_all(void **state)
{
	struct dfota_memory memory;
	struct dfota_source prelude;
	size_t bytes;

	(void)state;
	assert_int_equal(
	    diff_predictor_make(&coded.predictor, &images, &old_regions, &new_regions, &pieces, NULL), 0);
	for (uint32_t i = 0; i < SEGMENTS; i++)
		assert_int_equal(diff_predictor_encode(&coded.predictor, i * SEGMENT,
						       dfota_min64((i + 1) * SEGMENT, IMAGE),
						       NULL, &coded.chunks[i]),
				 0);
	memory = (struct dfota_memory){ coded.predictor.prelude, coded.predictor.prelude_bytes };
	prelude = dfota_memory_source(&memory);
	coded.image = (struct dfota_codec_image){ IMAGE, IMAGE, SEGMENT, (uint32_t)memory.bytes,
						  1u << DFOTA_CODING_PREDICT,
						  coded.predictor.room };
	bytes = dfota_codec_workspace_bytes(&coded.image);
	coded.workspace = malloc(bytes);
	assert_true(bytes > 0 && coded.workspace);
	return dfota_codec_init(&coded.codec, &coded.image, &prelude, coded.workspace, bytes);
}

static int free_all(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SEGMENTS; i++)
		free(coded.chunks[i].bytes);
	diff_predictor_free(&coded.predictor);
	free(coded.workspace);
	return 0;
}

/* ---- decoding ----------------------------------------------------------------------------------
 */

/* Old bytes as a source that counts; poisoned ones are never asked for, or the test fails. */
struct old_bytes {
	const uint8_t *bytes;
	uint64_t size;
	const uint8_t *allowed; /* 1 per byte; NULL = all */
	uint64_t reads, read_bytes, fail_at;
};

static int old_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct old_bytes *old = context;

	assert_true(dfota_inside(offset, bytes, old->size));
	for (size_t i = 0; old->allowed && i < bytes; i++)
		if (!old->allowed[offset + i])
			fail_msg("old byte %zu is read", (size_t)offset + i);
	old->reads++;
	old->read_bytes += bytes;
	if (old->reads == old->fail_at)
		return DFOTA_E_READ;
	memcpy(buffer, old->bytes + offset, bytes);
	return 0;
}

static int decode(uint32_t segment, struct old_bytes *old, uint8_t *out)
{
	struct dfota_memory memory = { coded.chunks[segment].bytes, coded.chunks[segment].count };
	struct dfota_codec_job job = {
		.segment = segment,
		.coding = DFOTA_CODING_PREDICT,
		.chunk_bytes = coded.chunks[segment].count,
		.chunk = dfota_memory_source(&memory),
		.old = { old_read, old },
	};

	return dfota_codec_decode(coded.codec, &job, out,
				  (size_t)dfota_min64(SEGMENT, IMAGE - segment * SEGMENT));
}

static void decode_and_compare(uint32_t segment)
{
	static uint8_t allowed[IMAGE], out[SEGMENT];
	struct old_bytes old = { old_image, IMAGE, allowed, 0, 0, 0 };
	uint64_t start = segment * SEGMENT, end = dfota_min64(start + SEGMENT, IMAGE);

	memset(allowed, 0, sizeof(allowed));
	memset(out, 0xaa, sizeof(out));
	for (size_t i = 0; i < pieces.count; i++) {
		const struct diff_piece *piece = &pieces.items[i];
		int64_t from = (int64_t)(piece->at > start ? piece->at : start);
		int64_t to = (int64_t)dfota_min64(piece->at + piece->bytes, end);

		for (int64_t at = from - PREDICT_MARGIN; from < to && at < to + PREDICT_MARGIN;
		     at++)
			if (at + piece->diagonal >= 0 && at + piece->diagonal < IMAGE)
				allowed[at + piece->diagonal] = 1;
	}
	assert_int_equal(decode(segment, &old, out), 0);
	assert_memory_equal(out, new_image + start, end - start);
}

static void test_moved_code_and_pointers_cost_next_to_nothing(void **state)
{
	uint64_t bytes = coded.predictor.prelude_bytes;

	(void)state;
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		assert_int_equal(coded.chunks[i].coding, DFOTA_CODING_PREDICT);
		bytes += coded.chunks[i].count;
	}
	assert_in_range(bytes, 1, 3 * INSERT); /* what was put in, and little more */
}

static uint64_t unchanged_words(void)
{
	uint64_t words = 0;

	for (size_t i = 0; i < pieces.count; i++)
		for (uint64_t at = pieces.items[i].at;
		     at < pieces.items[i].at + pieces.items[i].bytes; at += 4)
			words += dfota_get32(new_image + at) ==
				 dfota_get32(old_image + (at + (uint64_t)pieces.items[i].diagonal));
	return words;
}

/* Categories are all that a chunk has but for its end, and every word is caught by one predictor or
 * missed. */
static void test_what_an_encoder_counts_adds_up(void **state)
{
	const uint64_t *prelude = coded.predictor.prelude_cost;
	uint64_t all = 0, words = 0, literals = 0, by[GUESS_KINDS] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		const struct predict_counts *counts = &coded.chunks[i].counts;
		uint64_t cost = 0;

		for (unsigned k = 0; k < PREDICT_COSTS; k++)
			cost += counts->cost[k];
		assert_in_range(coded.chunks[i].count, cost >> 19, (cost >> 19) + 5);
		for (unsigned k = 0; k < GUESS_KINDS; k++)
			by[k] += counts->clean[k] + counts->flagged[k];
		words += counts->misses;
		literals += counts->literals;
		all += counts->cost[PREDICT_LITERALS];
	}
	for (unsigned k = 0; k < GUESS_KINDS; k++)
		words += by[k];
	assert_int_equal(literals, INSERT);
	assert_int_equal(words, (IMAGE - INSERT) / 4);
	assert_in_range(all >> 19, INSERT - 64, INSERT + 64); /* random bytes */
	assert_int_equal(by[GUESS_SAME], unchanged_words());
	assert_true(by[GUESS_PC] > 400); /* about 4700 calls; one in eight goes over the hole */
	assert_true(by[GUESS_ABS] > (IMAGE - CODE) / 8 / 2); /* pointers behind the hole */
	all = prelude[PRELUDE_REGIONS] + prelude[PRELUDE_PIECES] + prelude[PRELUDE_TYPES];
	assert_true(prelude[PRELUDE_REGIONS] > 0 && prelude[PRELUDE_PIECES] > 0);
	assert_true(all >> 19 < coded.predictor.prelude_bytes);
}

static void test_predictors_have_names(void **state)
{
	(void)state;
	for (unsigned k = 0; k < GUESS_KINDS; k++) {
		const char *name = dfota_predictor_name(k);

		assert_true(name && strlen(name) > 1);
		for (unsigned j = 0; j < k; j++)
			assert_string_not_equal(name, dfota_predictor_name(j));
	}
	assert_string_equal(dfota_predictor_name(GUESS_KINDS), "?");
}

static void test_a_segment_decodes_alone(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SEGMENTS; i++) { /* each by a decoder that has seen nothing */
		static uint8_t out[SEGMENT];
		struct old_bytes old = { old_image, IMAGE, NULL, 0, 0, 0 };
		struct dfota_memory memory = { coded.predictor.prelude,
					       coded.predictor.prelude_bytes };
		struct dfota_source prelude = dfota_memory_source(&memory);
		size_t bytes = dfota_codec_workspace_bytes(&coded.image);

		memset(coded.workspace, 0x5a, bytes);
		assert_int_equal(
		    dfota_codec_init(&coded.codec, &coded.image, &prelude, coded.workspace, bytes),
		    0);
		assert_int_equal(decode(i, &old, out), 0);
		assert_memory_equal(out, new_image + i * SEGMENT,
				    dfota_min64(SEGMENT, IMAGE - i * SEGMENT));
	}
}

static void test_segments_decode_in_any_order_from_what_is_planned(void **state)
{
	uint32_t random = 2;

	(void)state;
	for (uint32_t i = 0; i < SEGMENTS; i++)
		decode_and_compare(SEGMENTS - 1 - i);
	for (uint32_t i = 0; i < 2 * SEGMENTS; i++)
		decode_and_compare(random_below(&random, SEGMENTS));
}

static void test_errors_of_old_bytes_come_through_and_leave_the_codec_whole(void **state)
{
	static uint8_t out[SEGMENT];

	(void)state;
	for (uint64_t fail_at = 1; fail_at < 100; fail_at++) {
		struct old_bytes old = { old_image, IMAGE, NULL, 0, 0, fail_at };
		int error = decode(1, &old, out);

		if (old.reads < fail_at) {
			assert_true(fail_at > 1);
			assert_int_equal(error, 0);
			decode_and_compare(1);
			return;
		}
		assert_int_equal(error, DFOTA_E_READ);
	}
	fail_msg("one segment needs 100 reads");
}

static void test_wrong_jobs_are_refused(void **state)
{
	static uint8_t out[SEGMENT];
	struct dfota_memory memory = { coded.chunks[0].bytes, coded.chunks[0].count };
	struct old_bytes old = { old_image, IMAGE, NULL, 0, 0, 0 };
	struct dfota_codec_job good = { 0,
					DFOTA_CODING_PREDICT,
					coded.chunks[0].count,
					dfota_memory_source(&memory),
					{ old_read, &old } },
			       job;

	(void)state;
	assert_int_equal(dfota_codec_decode(coded.codec, &good, out, SEGMENT), 0);
	assert_int_equal(dfota_codec_decode(coded.codec, &good, out, SEGMENT - 1),
			 DFOTA_E_ARGUMENT);
	job = good;
	job.segment = SEGMENTS;
	assert_int_equal(dfota_codec_decode(coded.codec, &job, out, SEGMENT), DFOTA_E_ARGUMENT);
	job.segment = UINT32_MAX;
	assert_int_equal(dfota_codec_decode(coded.codec, &job, out, SEGMENT), DFOTA_E_ARGUMENT);
	for (unsigned coding = 0; coding < 256; coding++) {
		job = good;
		job.coding = (uint8_t)coding;
		if (coding != DFOTA_CODING_PREDICT)
			assert_int_equal(dfota_codec_decode(coded.codec, &job, out, SEGMENT),
					 DFOTA_E_CORRUPT);
	}
	job = good;
	job.chunk_bytes = 0;
	assert_int_equal(dfota_codec_decode(coded.codec, &job, out, SEGMENT), DFOTA_E_CORRUPT);
	job.chunk_bytes = SEGMENT + 1;
	assert_int_equal(dfota_codec_decode(coded.codec, &job, out, SEGMENT), DFOTA_E_CORRUPT);
	job.chunk_bytes = good.chunk_bytes - 5;
	assert_int_equal(dfota_codec_decode(coded.codec, &job, out, SEGMENT), DFOTA_E_CORRUPT);
	job.chunk_bytes = good.chunk_bytes + 1; /* more than the source has */
	assert_true(dfota_codec_decode(coded.codec, &job, out, SEGMENT) < 0);
}

static void test_a_workspace_must_be_large_enough(void **state)
{
	struct dfota_memory memory = { coded.predictor.prelude, coded.predictor.prelude_bytes };
	struct dfota_source prelude = dfota_memory_source(&memory);
	struct dfota_codec_image image = coded.image;
	size_t bytes = dfota_codec_workspace_bytes(&image);
	struct dfota_codec *codec;
	uint8_t *memory_of_it = malloc(bytes);

	(void)state;
	assert_non_null(memory_of_it);
	for (size_t skew = 0; skew < 16; skew++)
		assert_int_equal(dfota_codec_init(&codec, &image, &prelude, memory_of_it + skew,
						  bytes - 1 - skew),
				 DFOTA_E_MEMORY);
	assert_int_equal(dfota_codec_init(&codec, &image, &prelude, memory_of_it, bytes), 0);
	image.old_bytes = REGION_IMAGE_MAX + 1;
	assert_int_equal(dfota_codec_init(&codec, &image, &prelude, memory_of_it, bytes),
			 DFOTA_E_CORRUPT);
	free(memory_of_it);
}

/* ---- the worst map -----------------------------------------------------------------------------
 */

#define WORST (1u << 20)

/* A megabyte of pieces of two bytes each from anywhere, and a chunk of zeros, which goes on as long
 * as it can. */
static void test_a_map_of_many_pieces_is_bounded_work(void **state)
{
	uint8_t *bytes = calloc(4, WORST), *chunk = calloc(1, WORST);
	struct diff_images many = { bytes, bytes + WORST, WORST, WORST };
	struct diff_pieces small = { calloc(WORST / 2, sizeof(struct diff_piece)), 0, 0 };
	struct regions none = { NULL, 0, NULL };
	struct diff_predictor predictor;
	struct dfota_codec_image image = { WORST, WORST, WORST, 0, 1u << DFOTA_CODING_PREDICT };
	struct dfota_codec *codec;
	struct dfota_memory memory, chunk_memory = { chunk, WORST };
	struct dfota_source prelude;
	struct old_bytes old = { bytes, WORST, NULL, 0, 0, 0 };
	struct dfota_codec_job job = {
		0, DFOTA_CODING_PREDICT, 0, dfota_memory_source(&chunk_memory), { old_read, &old }
	};
	uint32_t random = 3;
	size_t workspace_bytes;
	void *workspace;

	(void)state;
	assert_true(bytes && chunk && small.items);
	for (uint32_t at = 0; at < WORST; at += 2)
		small.items[small.count++] =
		    (struct diff_piece){ at, 2, (int64_t)random_below(&random, WORST - 1) - at };
	assert_int_equal(diff_predictor_make(&predictor, &many, &none, &none, &small, NULL), 0);
	memory = (struct dfota_memory){ predictor.prelude, predictor.prelude_bytes };
	prelude = dfota_memory_source(&memory);
	image.prelude_bytes = (uint32_t)memory.bytes;
	image.map = predictor.room;
	workspace_bytes = dfota_codec_workspace_bytes(&image);
	workspace = malloc(workspace_bytes);
	assert_non_null(workspace);
	assert_int_equal(dfota_codec_init(&codec, &image, &prelude, workspace, workspace_bytes), 0);
	for (uint32_t count = 1u << 10; count <= WORST; count <<= 10) {
		int error;

		job.chunk_bytes = count;
		old.reads = old.read_bytes = 0;
		error = dfota_codec_decode(codec, &job, bytes + 2 * WORST, WORST);
		assert_true(error == 0 || error == DFOTA_E_CORRUPT);
		assert_true(old.reads <= small.count + 2);
		assert_true(old.read_bytes <=
			    (2 + 2 * PREDICT_MARGIN) * (uint64_t)small.count + 4096);
	}
	free(workspace);
	diff_predictor_free(&predictor);
	free(small.items);
	free(chunk);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moved_code_and_pointers_cost_next_to_nothing),
		cmocka_unit_test(test_what_an_encoder_counts_adds_up),
		cmocka_unit_test(test_predictors_have_names),
		cmocka_unit_test(test_a_segment_decodes_alone),
		cmocka_unit_test(test_segments_decode_in_any_order_from_what_is_planned),
		cmocka_unit_test(test_errors_of_old_bytes_come_through_and_leave_the_codec_whole),
		cmocka_unit_test(test_wrong_jobs_are_refused),
		cmocka_unit_test(test_a_workspace_must_be_large_enough),
		cmocka_unit_test(test_a_map_of_many_pieces_is_bounded_work),
	};
	int failed = make_images(NULL);

	return failed ? failed : cmocka_run_group_tests(tests, encode_all, free_all);
}
