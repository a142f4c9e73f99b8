/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/diff/build.h"

#define SEGMENT	 (16u << 10)
#define SEGMENTS 4u
#define BYTES	 (SEGMENT * SEGMENTS)

struct fixture {
	uint8_t image[BYTES];
	struct diff_piece pieces[2];
	struct build_segment segments[SEGMENTS];
	struct build build;
};

/* Every segment changes, nothing has a counterpart; bytes below `values`, by chance. */
static void start(struct fixture *f, unsigned values)
{
	uint32_t seed = 1;

	for (uint32_t i = 0; i < BYTES; i++) {
		seed = seed * 1664525u + 1013904223u;
		f->image[i] = (uint8_t)((uint64_t)(seed >> 8) * values >> 24);
	}
	f->build = (struct build){
		.images = { NULL, f->image, 0, BYTES },
		.options = { .segment_bytes = SEGMENT },
		.segments = f->segments,
		.count = SEGMENTS,
	};
	f->build.pieces.items = f->pieces;
	for (uint32_t i = 0; i < SEGMENTS; i++)
		f->segments[i] = (struct build_segment){ .start = (uint64_t)i * SEGMENT,
							 .end = (uint64_t)(i + 1) * SEGMENT,
							 .changed_units = 1 };
}

static void add_piece(struct fixture *f, uint64_t at, uint64_t bytes)
{
	f->pieces[f->build.pieces.count++] = (struct diff_piece){ .at = at, .bytes = bytes };
}

static void test_random_bytes_are_noise(void **state)
{
	static struct fixture f;

	(void)state;
	start(&f, 256);
	assert_true(build_is_noise(&f.build));
}

static void test_what_has_structure_is_none(void **state)
{
	static struct fixture f;

	(void)state;
	start(&f, 240); /* a sixteenth of all values is missing */
	assert_false(build_is_noise(&f.build));
}

static void test_a_counterpart_for_a_sixteenth_is_enough_to_try(void **state)
{
	static struct fixture f;

	(void)state;
	start(&f, 256);
	add_piece(&f, SEGMENT - 100, BYTES / 16 - 1);
	assert_true(build_is_noise(&f.build));
	add_piece(&f, 2 * SEGMENT, 1);
	assert_false(build_is_noise(&f.build));
}

/* They are not coded, so it does not matter what is in them, and they are no part of what changes. */
static void test_segments_that_stay_are_not_looked_at(void **state)
{
	static struct fixture f;

	(void)state;
	start(&f, 256);
	for (uint32_t i = 0; i < 2 * SEGMENT; i++)
		f.image[i] = 'a';
	assert_false(build_is_noise(&f.build));
	f.segments[0].changed_units = f.segments[1].changed_units = 0;
	assert_true(build_is_noise(&f.build));
	add_piece(&f, 0, 2 * SEGMENT + SEGMENT / 8);
	assert_false(build_is_noise(&f.build));
}

static void test_nothing_changed_is_no_noise(void **state)
{
	static struct fixture f;

	(void)state;
	start(&f, 256);
	for (uint32_t i = 0; i < SEGMENTS; i++)
		f.segments[i].changed_units = 0;
	assert_false(build_is_noise(&f.build));
}

/* ---- the smallest is kept ---------------------------------------------------------------------- */

#define OLD_BYTES (96u << 10)

static uint64_t cost_of(struct dfota_delta_image *delta)
{
	uint8_t *index;
	size_t bytes;

	assert_int_equal(dfota_delta_write_index(delta, &index, &bytes), 0);
	free(index);
	return bytes + delta->header.chunk_bytes;
}

/* Words out of `values`, every `edited`-th is another one in the new image, and a stretch in its middle is fresh. */
static void make_pair(uint8_t *old_image, uint8_t *new_image, uint32_t values, uint32_t edited, uint32_t fresh)
{
	uint32_t seed = values + edited;

	for (uint32_t i = 0; i < OLD_BYTES; i += 4) {
		seed = seed * 1664525u + 1013904223u;
		dfota_put32(old_image + i, (seed >> 8) % values * 0x01010107u);
	}
	memcpy(new_image, old_image, OLD_BYTES);
	for (uint32_t i = 0; i < OLD_BYTES; i += 4) {
		bool is_fresh = i >= OLD_BYTES / 2 && i < OLD_BYTES / 2 + fresh;

		seed = seed * 1664525u + 1013904223u;
		if (is_fresh || (seed >> 8) % edited == 0)
			dfota_put32(new_image + i, (seed >> 16) % values * 0x0107u);
	}
}

static void check_choice(uint32_t values, uint32_t edited, uint32_t fresh)
{
	static const struct build_attempt attempts[] = {
		{ DFOTA_CODING_PREDICT, false, UINT64_MAX },
		{ DFOTA_CODING_PREDICT, true, UINT64_MAX },
		{ DFOTA_CODING_PLAIN, false, UINT64_MAX },
	};
	static uint8_t old_image[OLD_BYTES], new_image[OLD_BYTES];
	struct diff_images images = { old_image, new_image, OLD_BYTES, OLD_BYTES };
	struct dfota_diff_options options = { .unit_bytes = 4096, .segment_bytes = 32768, .stash_limit = OLD_BYTES };
	struct dfota_delta_image delta = { 0 };
	uint64_t least = UINT64_MAX;

	make_pair(old_image, new_image, values, edited, fresh);
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		assert_int_equal(build_delta(&images, &options, &attempts[i], &delta), 0);
		least = dfota_min64(least, cost_of(&delta));
		dfota_delta_image_free(&delta);
	}
	assert_int_equal(dfota_diff_build(old_image, OLD_BYTES, new_image, OLD_BYTES, &options, &delta), 0);
	assert_int_equal(cost_of(&delta), least);
	dfota_delta_image_free(&delta);
}

static void test_the_smallest_is_kept(void **state)
{
	(void)state;
	check_choice(1 << 20, 5, 0);
	check_choice(4000, 50, 8000);
	check_choice(300, 20, 30000);
	check_choice(50, 1000, OLD_BYTES / 2);
}

/* Nothing that would not be smaller is proven or handed out. */
static void test_what_is_not_smaller_is_given_up(void **state)
{
	static uint8_t old_image[OLD_BYTES], new_image[OLD_BYTES];
	struct diff_images images = { old_image, new_image, OLD_BYTES, OLD_BYTES };
	struct dfota_diff_options options = { .unit_bytes = 4096, .segment_bytes = 32768, .stash_limit = OLD_BYTES };
	struct dfota_delta_image delta = { 0 };
	enum dfota_coding codings[] = { DFOTA_CODING_PREDICT, DFOTA_CODING_PLAIN };

	(void)state;
	make_pair(old_image, new_image, 4000, 50, 8000);
	for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
		struct build_attempt attempt = { codings[i], false, 100 };

		assert_int_equal(build_delta(&images, &options, &attempt, &delta), 0);
		assert_null(delta.steps);
	}
}

static void check_progress(void *context, unsigned permille)
{
	unsigned *last = context;

	assert_in_range(permille, *last, 1000);
	*last = permille;
}

/* The model is given up after it has told of its share. */
static void test_progress_of_noise_never_goes_back(void **state)
{
	static struct fixture old, new;
	unsigned last = 0;
	struct dfota_diff_options options = { .unit_bytes = 4096, .segment_bytes = SEGMENT, .progress = check_progress, .progress_context = &last };
	struct dfota_delta_image delta;

	(void)state;
	start(&old, 256);
	start(&new, 256);
	for (uint32_t i = 0; i < BYTES; i++)
		new.image[i] ^= (uint8_t)(old.image[BYTES - 1 - i] * 7u);
	assert_int_equal(dfota_diff_build(old.image, BYTES, new.image, BYTES, &options, &delta), 0);
	assert_int_equal(last, 1000);
	assert_int_equal(delta.header.codings & 1u << DFOTA_CODING_PREDICT, 0);
	dfota_delta_image_free(&delta);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_bytes_are_noise),
		cmocka_unit_test(test_what_has_structure_is_none),
		cmocka_unit_test(test_a_counterpart_for_a_sixteenth_is_enough_to_try),
		cmocka_unit_test(test_segments_that_stay_are_not_looked_at),
		cmocka_unit_test(test_nothing_changed_is_no_noise),
		cmocka_unit_test(test_the_smallest_is_kept),
		cmocka_unit_test(test_what_is_not_smaller_is_given_up),
		cmocka_unit_test(test_progress_of_noise_never_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
