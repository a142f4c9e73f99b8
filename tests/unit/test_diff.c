/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../fuzz/choices.h"
#include "../../fuzz/replay.h"
#include "dfota/diff.h"

#define UNIT	1024u
#define SEGMENT (4 * UNIT)
#define MOST	(256u << 10) /* bytes of an image */

static uint8_t old_image[MOST], new_image[MOST];

static void fill(uint8_t *bytes, size_t count, uint32_t seed)
{
	for (size_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)random_next(&seed);
}

static struct dfota_diff_options small_options(uint64_t stash_limit)
{
	return (struct dfota_diff_options){ .unit_bytes = UNIT,
					    .segment_bytes = SEGMENT,
					    .stash_limit = stash_limit,
					    .threads = 1 };
}

static uint64_t sum(const uint64_t *numbers, size_t count)
{
	uint64_t all = 0;

	while (count > 0)
		all += numbers[--count];
	return all;
}

/* What is told of the bytes is all of them, but for the ends of streams and what is rounded down.
 */
static void counts_add_up(const struct dfota_delta_image *delta)
{
	const struct dfota_delta_counts *counts = &delta->counts;
	uint64_t bytes[DFOTA_CODING_COUNT] = { 0 }, steps[DFOTA_CODING_COUNT] = { 0 };
	uint64_t prelude = sum(counts->prelude, 4), plain = sum(counts->plain, 3);
	uint64_t predict = sum(counts->predict, 4);

	for (uint32_t i = 0; i < delta->header.step_count; i++) {
		bytes[delta->steps[i].coding] += delta->steps[i].chunk_bytes;
		steps[delta->steps[i].coding] += delta->steps[i].chunk_bytes > 0;
	}
	assert_in_range(bytes[DFOTA_CODING_PREDICT], predict,
			predict + 5 * steps[DFOTA_CODING_PREDICT] + 4);
	assert_in_range(bytes[DFOTA_CODING_PLAIN], plain + 4 * steps[DFOTA_CODING_PLAIN],
			plain + 32 * steps[DFOTA_CODING_PLAIN]);
	assert_true(prelude <= delta->header.prelude_bytes);
	if (delta->header.prelude_bytes == 0)
		assert_int_equal(prelude, 0);
	if (bytes[DFOTA_CODING_PREDICT] == 0)
		assert_int_equal(predict + counts->missed + counts->literals, 0);
}

static struct dfota_delta_image build(uint64_t old_bytes, uint64_t new_bytes,
				      const struct dfota_diff_options *options)
{
	struct dfota_delta_image delta;

	assert_int_equal(
	    dfota_diff_build(old_image, old_bytes, new_image, new_bytes, options, &delta), 0);
	assert_true(delta.header.chunk_bytes <= new_bytes); /* raw at worst */
	assert_true(delta.header.stash_bytes <= options->stash_limit);
	assert_int_equal(delta.header.moved_bytes + delta.header.changed_bytes +
			     delta.header.literal_bytes,
			 new_bytes);
	counts_add_up(&delta);
	return delta;
}

/* Builds, applies in place and compares; returns what applying took. */
static struct replay_counts check(uint64_t old_bytes, uint64_t new_bytes,
				  const struct dfota_diff_options *options)
{
	struct dfota_delta_image delta = build(old_bytes, new_bytes, options);
	struct replay_counts counts = { 0 };
	const char *wrong = replay(&delta, old_image, old_bytes, new_image, new_bytes, &counts);

	if (wrong)
		fail_msg("%zu to %zu bytes: %s", (size_t)old_bytes, (size_t)new_bytes, wrong);
	dfota_delta_image_free(&delta);
	return counts;
}

static void test_images_of_any_size(void **state)
{
	static const uint32_t sizes[] = { 0,	       1,	    511,
					  512,	       UNIT - 1,    UNIT,
					  SEGMENT + 1, 2 * SEGMENT, 3 * SEGMENT + 77 };
	struct dfota_diff_options options = small_options(8192);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			fill(old_image, sizes[i], 1);
			fill(new_image, sizes[j], 1); /* grows or shrinks */
			check(sizes[i], sizes[j], &options);
			fill(new_image, sizes[j], 2); /* nothing in common */
			check(sizes[i], sizes[j], &options);
		}
}

static void test_equal_images_write_nothing(void **state)
{
	struct dfota_diff_options options = small_options(0);
	struct replay_counts counts;

	(void)state;
	fill(old_image, 5 * SEGMENT + 3, 3);
	memcpy(new_image, old_image, sizeof(new_image));
	counts = check(5 * SEGMENT + 3, 5 * SEGMENT + 3, &options);
	assert_int_equal(counts.written, 0);
	assert_int_equal(counts.codings, 0);
}

/* Each segment comes from the next, the last from the first: whatever the order, one is read too
 * late. */
static void make_cycle(uint32_t segments)
{
	fill(old_image, segments * SEGMENT, 4);
	for (uint32_t i = 0; i < segments; i++)
		memcpy(new_image + i * SEGMENT, old_image + (i + 1) % segments * SEGMENT, SEGMENT);
}

static void test_a_cycle_of_moves_with_any_stash(void **state)
{
	static const uint64_t limits[] = { 0, 1, 4095, 4096, 8192, 1u << 20 };
	uint64_t before = UINT64_MAX;

	(void)state;
	make_cycle(9);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct dfota_diff_options options = small_options(limits[i]);
		struct dfota_delta_image delta = build(9 * SEGMENT, 9 * SEGMENT, &options);
		uint64_t bytes = delta.header.chunk_bytes;

		if (limits[i] < DFOTA_DELTA_STASH_BLOCK)
			assert_int_equal(delta.header.copy_count, 0);
		assert_true(bytes <= before); /* more stash never makes it larger here */
		before = bytes;
		dfota_delta_image_free(&delta);
		check(9 * SEGMENT, 9 * SEGMENT, &options);
	}
	assert_true(before < 9 * SEGMENT / 8); /* with room nothing need be sent */
}

static void test_without_stash_a_cycle_costs_about_one_segment(void **state)
{
	struct dfota_diff_options options = small_options(0);
	struct dfota_delta_image delta;

	(void)state;
	make_cycle(9);
	delta = build(9 * SEGMENT, 9 * SEGMENT, &options);
	assert_in_range(delta.header.chunk_bytes, SEGMENT / 2, 3 * SEGMENT);
	dfota_delta_image_free(&delta);
}

/* A segment at a time changes places with its partner, and is out of the stash before the next. */
static void test_halves_swapped_need_a_stash_of_about_a_segment(void **state)
{
	struct dfota_diff_options options = small_options(2 * SEGMENT);
	const uint32_t half = 8 * SEGMENT;
	struct dfota_delta_image delta;

	(void)state;
	fill(old_image, 2 * half, 11);
	memcpy(new_image, old_image + half, half);
	memcpy(new_image + half, old_image, half);
	delta = build(2 * half, 2 * half, &options);
	assert_true(delta.header.chunk_bytes < SEGMENT / 2);
	dfota_delta_image_free(&delta);
	check(2 * half, 2 * half, &options);
}

static void test_swaps_and_edits_by_chance(void **state)
{
	uint32_t random = 5;

	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		uint32_t old_bytes = random_below(&random, 60000), at = 0;
		struct dfota_diff_options options = small_options(random_below(&random, 5) * 4096);

		fill(old_image, old_bytes, round);
		while (at < 50000 && old_bytes > 0) {
			uint32_t from = random_below(&random, old_bytes);
			uint32_t bytes = 1 + random_below(&random, 6000);

			bytes = bytes > old_bytes - from ? old_bytes - from : bytes;
			memcpy(new_image + at, old_image + from, bytes);
			new_image[at + random_below(&random, bytes)] ^= 1;
			at += bytes;
		}
		check(old_bytes, at, &options);
	}
}

static void assert_same_delta(const struct dfota_delta_image *one, const struct dfota_delta_image *more)
{
	assert_memory_equal(&one->header, &more->header, sizeof(one->header));
	assert_memory_equal(one->steps, more->steps, one->header.step_count * sizeof(one->steps[0]));
	assert_memory_equal(one->chunks, more->chunks, one->header.chunk_bytes);
	for (uint32_t i = 0; i < one->header.copy_count; i++) { /* not their padding */
		assert_int_equal(one->copies[i].old_offset, more->copies[i].old_offset);
		assert_int_equal(one->copies[i].bytes, more->copies[i].bytes);
		assert_int_equal(one->copies[i].stash_offset, more->copies[i].stash_offset);
		assert_int_equal(one->copies[i].last_reader, more->copies[i].last_reader);
	}
	if (one->header.prelude_bytes > 0)
		assert_memory_equal(one->prelude, more->prelude, one->header.prelude_bytes);
}

static void test_the_result_does_not_depend_on_threads(void **state)
{
	struct dfota_delta_image one, more;

	(void)state;
	make_cycle(20);
	fill(new_image + 3 * SEGMENT + 100, 900, 6);
	for (unsigned threads = 2; threads <= 3; threads++) {
		struct dfota_diff_options options = small_options(4096);

		one = build(20 * SEGMENT, 20 * SEGMENT, &options);
		options.threads = threads;
		more = build(20 * SEGMENT, 20 * SEGMENT, &options);
		assert_true(one.header.copy_count > 0);
		assert_same_delta(&one, &more);
		dfota_delta_image_free(&one);
		dfota_delta_image_free(&more);
	}
}

/* Coders come one for each MiB. */
static void test_nor_does_that_of_images_for_several_coders(void **state)
{
	enum { BYTES = 7 << 19 };
	uint8_t *old_bytes = calloc(2, BYTES), *new_bytes = old_bytes + BYTES;
	struct dfota_diff_options options = { .unit_bytes = 64u << 10, .segment_bytes = 128u << 10, .threads = 1 };
	struct dfota_delta_image one, more;
	uint32_t seed = 12;

	(void)state;
	assert_non_null(old_bytes);
	for (uint32_t i = 0; i < BYTES; i += 4)
		dfota_put32(old_bytes + i, random_next(&seed) % 1000 * 0x10204u);
	memcpy(new_bytes, old_bytes, BYTES);
	for (uint32_t i = 0; i < BYTES; i += 40000)
		fill(new_bytes + i, 60, i);
	assert_int_equal(dfota_diff_build(old_bytes, BYTES, new_bytes, BYTES, &options, &one), 0);
	for (options.threads = 2; options.threads <= 3; options.threads++) {
		assert_int_equal(dfota_diff_build(old_bytes, BYTES, new_bytes, BYTES, &options, &more), 0);
		assert_same_delta(&one, &more);
		dfota_delta_image_free(&more);
	}
	dfota_delta_image_free(&one);
	free(old_bytes);
}

static void test_what_has_nothing_in_common_is_sent_raw(void **state)
{
	struct dfota_diff_options options = small_options(0);
	struct dfota_delta_image delta;

	(void)state;
	fill(old_image, 6 * SEGMENT, 7);
	fill(new_image, 6 * SEGMENT, 8);
	delta = build(6 * SEGMENT, 6 * SEGMENT, &options);
	assert_int_equal(delta.header.codings, 1u << DFOTA_CODING_RAW);
	assert_int_equal(delta.header.chunk_bytes, 6 * SEGMENT);
	assert_int_equal(delta.header.prelude_bytes, 0);
	dfota_delta_image_free(&delta);
}

static void test_options_out_of_bounds_are_refused(void **state)
{
	static const struct {
		uint32_t unit, segment;
		int error;
	} rows[] = {
		{ 512, 512, 0 },
		{ 512, 64 * 512, 0 },
		{ 512, 65 * 512, DFOTA_E_ARGUMENT },
		{ 511, 511, DFOTA_E_ARGUMENT },
		{ 513, 513, DFOTA_E_ARGUMENT },
		{ 256, 512, DFOTA_E_ARGUMENT },
		{ 1024, 512, DFOTA_E_ARGUMENT },
		{ 1024, 1536, DFOTA_E_ARGUMENT },
		{ 4u << 20, 4u << 20, 0 },
		{ 8u << 20, 8u << 20, DFOTA_E_ARGUMENT },
		{ 4u << 20, 8u << 20, DFOTA_E_ARGUMENT },
		{ UINT32_MAX, UINT32_MAX, DFOTA_E_ARGUMENT },
		{ 0, 0, 0 },
		{ 512, 0, 0 },
		{ 4u << 20, 0, 0 },
	};

	(void)state;
	fill(old_image, 700, 9);
	fill(new_image, 700, 10);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dfota_diff_options options = { .unit_bytes = rows[i].unit,
						      .segment_bytes = rows[i].segment,
						      .threads = 1 };
		struct dfota_delta_image delta = { 0 };

		assert_int_equal(dfota_diff_build(old_image, 700, new_image, 700, &options, &delta),
				 rows[i].error);
		if (rows[i].error)
			assert_null(delta.steps); /* untouched */
		dfota_delta_image_free(&delta);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images_of_any_size),
		cmocka_unit_test(test_equal_images_write_nothing),
		cmocka_unit_test(test_a_cycle_of_moves_with_any_stash),
		cmocka_unit_test(test_without_stash_a_cycle_costs_about_one_segment),
		cmocka_unit_test(test_halves_swapped_need_a_stash_of_about_a_segment),
		cmocka_unit_test(test_swaps_and_edits_by_chance),
		cmocka_unit_test(test_the_result_does_not_depend_on_threads),
		cmocka_unit_test(test_nor_does_that_of_images_for_several_coders),
		cmocka_unit_test(test_what_has_nothing_in_common_is_sent_raw),
		cmocka_unit_test(test_options_out_of_bounds_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
