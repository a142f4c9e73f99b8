/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/diff/match.h"

#define BL    0x94000000u
#define OTHER 0x8b000000u /* ADD of registers */

struct pair {
	uint8_t *old, *new;
	size_t old_bytes, new_bytes;
	struct region old_region, new_region;
	struct regions old_regions, new_regions;
};

static uint32_t random_next(uint32_t *state)
{
	uint32_t x = *state += 0x9e3779b9u;

	x = (x ^ (x >> 16)) * 0x21f0aaadu;
	x = (x ^ (x >> 15)) * 0x735a2d97u;
	return x ^ (x >> 15);
}

static void random_fill(uint8_t *bytes, size_t count, uint32_t *state)
{
	for (size_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)random_next(state);
}

static void pair_make(struct pair *pair, size_t old_bytes, size_t new_bytes)
{
	*pair = (struct pair){ .old_bytes = old_bytes, .new_bytes = new_bytes };
	pair->old = calloc(1, old_bytes + 1);
	pair->new = calloc(1, new_bytes + 1);
	assert_non_null(pair->old);
	assert_non_null(pair->new);
}

static void pair_free(struct pair *pair)
{
	free(pair->old);
	free(pair->new);
}

static void check_progress(void *context, unsigned permille)
{
	unsigned *last = context;

	assert_in_range(permille, *last, 1000);
	*last = permille;
}

/* Matches, and checks what every result must be. */
static struct diff_pieces match(const struct pair *pair, unsigned threads)
{
	struct diff_images images = { pair->old, pair->new, pair->old_bytes, pair->new_bytes };
	struct diff_pieces pieces = { 0 };
	uint64_t end = 0;
	unsigned last = 0;
	struct diff_match_input input = {
		.images = &images,
		.old_regions = &pair->old_regions,
		.new_regions = &pair->new_regions,
		.threads = threads,
		.progress = check_progress,
		.progress_context = &last,
	};

	assert_int_equal(diff_match(&input, &pieces), 0);
	assert_int_equal(last, 1000);
	for (size_t i = 0; i < pieces.count; i++) {
		const struct diff_piece *piece = &pieces.items[i];

		assert_true(piece->at >= end && piece->bytes > 0);
		end = piece->at + piece->bytes;
		assert_true((int64_t)piece->at + piece->diagonal >= 0);
		assert_true((int64_t)end + piece->diagonal <= (int64_t)pair->old_bytes);
	}
	assert_true(end <= pair->new_bytes);
	return pieces;
}

static size_t equal_bytes(const struct pair *pair, const struct diff_pieces *pieces)
{
	size_t count = 0;

	for (size_t i = 0; i < pieces->count; i++)
		for (uint64_t at = pieces->items[i].at;
		     at < pieces->items[i].at + pieces->items[i].bytes; at++)
			count +=
			    pair->new[at] == pair->old[at + (uint64_t)pieces->items[i].diagonal];
	return count;
}

static size_t covered_bytes(const struct diff_pieces *pieces)
{
	size_t count = 0;

	for (size_t i = 0; i < pieces->count; i++)
		count += (size_t)pieces->items[i].bytes;
	return count;
}

static void assert_same(const struct diff_pieces *a, const struct diff_pieces *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		assert_int_equal(a->items[i].at, b->items[i].at);
		assert_int_equal(a->items[i].bytes, b->items[i].bytes);
		assert_int_equal(a->items[i].diagonal, b->items[i].diagonal);
	}
}

/* New is blocks of old in any order and at any place, some bytes edited, some inserted. Returns the
 * number of new bytes that are old ones.
 */
static size_t shuffle(struct pair *pair, uint32_t seed)
{
	uint32_t state = seed;
	size_t at = 0, kept = 0;

	random_fill(pair->old, pair->old_bytes, &state);
	while (at < pair->new_bytes) {
		size_t bytes = 300 + random_next(&state) % 5000, from;

		if (bytes > pair->new_bytes - at)
			bytes = pair->new_bytes - at;
		if (random_next(&state) % 4 == 0) {
			random_fill(pair->new + at, bytes, &state);
			at += bytes;
			continue;
		}
		from = random_next(&state) % (pair->old_bytes - bytes);
		memcpy(pair->new + at, pair->old + from, bytes);
		kept += bytes;
		if (bytes > 1000) {
			pair->new[at + bytes / 2] ^= 0x55;
			kept--;
		}
		at += bytes;
	}
	return kept;
}

static void test_blocks_in_any_order_are_found_and_the_rest_is_literal(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 4; seed++) {
		struct pair pair;
		struct diff_pieces pieces;
		size_t kept;

		pair_make(&pair, 200003, 300001);
		kept = shuffle(&pair, seed);
		pieces = match(&pair, 1);
		assert_true(equal_bytes(&pair, &pieces) > kept - kept / 200);
		assert_true(covered_bytes(&pieces) < kept + kept / 50);
		diff_pieces_free(&pieces);
		pair_free(&pair);
	}
}

static void test_result_does_not_depend_on_threads(void **state)
{
	struct pair pair;
	struct diff_pieces one, more;

	(void)state;
	pair_make(&pair, 300007, 9500000); /* three stretches */
	shuffle(&pair, 99);
	one = match(&pair, 1);
	for (unsigned threads = 2; threads <= 5; threads += 3) {
		more = match(&pair, threads);
		assert_same(&one, &more);
		diff_pieces_free(&more);
	}
	diff_pieces_free(&one);
	pair_free(&pair);
}

static void test_tiny_and_empty_images(void **state)
{
	(void)state;
	for (size_t old_bytes = 0; old_bytes < 20; old_bytes += 1 + old_bytes / 4)
		for (size_t new_bytes = 0; new_bytes < 20; new_bytes++) {
			struct pair pair;
			struct diff_pieces pieces;

			pair_make(&pair, old_bytes, new_bytes);
			memset(pair.old, 'x', old_bytes);
			memset(pair.new, 'x', new_bytes);
			pieces = match(&pair, 0);
			if (old_bytes == 0)
				assert_int_equal(pieces.count, 0);
			diff_pieces_free(&pieces);
			pair_free(&pair);
		}
}

static void test_equal_images_are_one_piece(void **state)
{
	struct pair pair;
	struct diff_pieces pieces;
	uint32_t seed = 7;

	(void)state;
	pair_make(&pair, 4300003, 4300003);
	random_fill(pair.old, 4300003, &seed);
	memcpy(pair.new, pair.old, 4300003);
	pieces = match(&pair, 2);
	assert_int_equal(pieces.count, 1);
	assert_int_equal(pieces.items[0].bytes, 4300003);
	assert_int_equal(pieces.items[0].diagonal, 0);
	diff_pieces_free(&pieces);
	pair_free(&pair);
}

/* The suite's time limit is the deadline. */
static void test_long_runs_of_zeros_are_fast(void **state)
{
	struct pair pair;
	struct diff_pieces pieces;
	uint32_t seed = 5;

	(void)state;
	pair_make(&pair, 6000000, 6500000);
	for (size_t at = 0; at + 100 < pair.old_bytes; at += 700001)
		random_fill(pair.old + at, 100, &seed);
	memcpy(pair.new + 499998, pair.old, pair.old_bytes);
	pieces = match(&pair, 1);
	assert_true(equal_bytes(&pair, &pieces) > pair.new_bytes - 100);
	assert_true(pieces.count < 12);
	diff_pieces_free(&pieces);
	pair_free(&pair);
}

/* ---- code --------------------------------------------------------------------------------------
 */

#define FUNCTION 64u /* instructions */

/* Functions without a trait but what they call: functions far away, by number. */
static void write_code(uint8_t *image, size_t start, const uint32_t *order, uint32_t functions,
		       uint32_t total)
{
	uint32_t *place = calloc(total, sizeof(*place));

	assert_non_null(place);
	for (uint32_t i = 0; i < functions; i++)
		place[order[i]] = i;
	for (uint32_t i = 0; i < functions; i++)
		for (uint32_t k = 0; k < FUNCTION; k++) {
			uint32_t state = order[i] * 977u + k * 31u, word;
			uint32_t here = i * FUNCTION + k;

			(void)random_next(&state);
			word = OTHER | random_next(&state) % 7;
			if (k % 4 == 0) /* never a function that was inserted */
				word =
				    BL |
				    ((place[random_next(&state) % (total - 1)] * FUNCTION - here) &
				     0x03ffffff);
			dfota_put32(image + start + 4 * (size_t)here, word);
		}
	free(place);
}

static void add_regions(struct pair *pair, size_t start)
{
	pair->old_region = (struct region){ (uint32_t)start,
					    (uint32_t)(pair->old_bytes - start),
					    0x400000 + start,
					    (uint32_t)(pair->old_bytes - start),
					    3,
					    REGION_A64 };
	pair->new_region = pair->old_region;
	pair->new_region.bytes = pair->new_region.mem_bytes = (uint32_t)(pair->new_bytes - start);
	pair->old_regions = (struct regions){ &pair->old_region, 1, NULL };
	pair->new_regions = (struct regions){ &pair->new_region, 1, NULL };
}

/* One function is inserted in the middle, so half of all calls change. */
static void make_moved_code(struct pair *pair, size_t start)
{
	enum { FUNCTIONS = 600 };
	uint32_t order[FUNCTIONS], old_order[FUNCTIONS];
	uint32_t old_count = 0;

	for (uint32_t i = 0; i < FUNCTIONS; i++)
		order[i] = i * 7 % (FUNCTIONS - 1);
	order[FUNCTIONS - 1] = order[FUNCTIONS / 2];
	order[FUNCTIONS / 2] = FUNCTIONS - 1;
	for (uint32_t i = 0; i < FUNCTIONS; i++)
		if (order[i] != FUNCTIONS - 1)
			old_order[old_count++] = order[i];
	pair_make(pair, start + 4 * FUNCTION * (size_t)old_count,
		  start + 4 * FUNCTION * (size_t)FUNCTIONS);
	write_code(pair->old, start, old_order, old_count, FUNCTIONS);
	write_code(pair->new, start, order, FUNCTIONS, FUNCTIONS);
	add_regions(pair, start);
}

static void test_code_that_moved_stays_whole_though_its_calls_change(void **state)
{
	struct pair pair;
	struct diff_pieces pieces, again;

	(void)state;
	for (size_t start = 0; start < 24; start += 4) {
		make_moved_code(&pair, start);
		pieces = match(&pair, 1);
		/* Before and behind the new function; what resembles it may be taken for it. */
		assert_in_range(pieces.count, 2, 12);
		assert_true(pieces.items[0].bytes > 70000);
		assert_int_equal(pieces.items[pieces.count - 1].diagonal, -4 * (int)FUNCTION);
		assert_true(pieces.items[pieces.count - 1].bytes > 70000);
		again = match(&pair, 2);
		assert_same(&pieces, &again);
		diff_pieces_free(&again);
		diff_pieces_free(&pieces);
		pair_free(&pair);
	}
}

static void test_regions_that_start_anywhere_are_harmless(void **state)
{
	struct pair pair;
	struct diff_pieces pieces;

	(void)state;
	for (size_t start = 1; start < 8; start += 2) {
		make_moved_code(&pair, 16);
		add_regions(&pair, start);
		pair.old_region.bytes -= 3;
		pair.new_region.bytes -= 2;
		pieces = match(&pair, 2);
		assert_true(covered_bytes(&pieces) > pair.new_bytes - 4 * FUNCTION - 64);
		diff_pieces_free(&pieces);
		pair_free(&pair);
	}
}

/* Rows of pointers in a new order, all of them changed: nothing but where they lead tells which is
 * which. */
static void test_pointers_are_followed_to_where_their_targets_went(void **state)
{
	enum { CODE = 16384, EDIT = 2000, ROWS = 128, ROW = 64, TABLE = CODE + 512 };
	const uint64_t va = 0xffff800008000000ull;
	struct region region = { 0, TABLE + ROWS * ROW, va, TABLE + ROWS * ROW, 0, REGION_DATA64 };
	struct pair pair;
	struct diff_pieces pieces;
	uint32_t seed = 11;
	size_t right = 0;

	(void)state;
	pair_make(&pair, region.bytes, region.bytes);
	random_fill(pair.old, CODE, &seed);
	memcpy(pair.new, pair.old, EDIT);
	random_fill(pair.new + EDIT, 256, &seed);
	memcpy(pair.new + EDIT + 256, pair.old + EDIT, CODE - EDIT);
	for (uint32_t i = 0; i < ROWS * ROW; i += 8) {
		uint64_t target = va + EDIT + random_next(&seed) % ((CODE - EDIT) / 4) * 4;
		uint32_t new_row = i / ROW * 37 % ROWS;

		dfota_put64(pair.old + TABLE + i, target);
		dfota_put64(pair.new + TABLE + new_row *ROW + i % ROW, target + 256);
	}
	pair.old_region = pair.new_region = region;
	pair.old_regions = (struct regions){ &pair.old_region, 1, NULL };
	pair.new_regions = (struct regions){ &pair.new_region, 1, NULL };
	pieces = match(&pair, 1);
	for (size_t i = 0; i < pieces.count; i++)
		for (uint64_t at = pieces.items[i].at;
		     at < pieces.items[i].at + pieces.items[i].bytes; at++) {
			uint64_t old = at + (uint64_t)pieces.items[i].diagonal;

			right += at >= TABLE && old >= TABLE &&
				 (old - TABLE) / ROW * 37 % ROWS == (at - TABLE) / ROW;
		}
	/* All but high halves at the seams, which are equal everywhere. */
	assert_true(right > ROWS * (ROW - 5));
	diff_pieces_free(&pieces);
	pair_free(&pair);
}

/* Words out of three hundred: whatever is said anew, each word of it has been said before. */
static void write_text(uint8_t *text, size_t bytes, uint32_t *seed)
{
	size_t at = 0;

	while (at < bytes) {
		uint32_t word = random_next(seed) % 300, letters = word;

		for (uint32_t left = 3 + word % 6; left > 0 && at < bytes; left--)
			text[at++] = (uint8_t)('a' + random_next(&letters) % 26);
		if (at < bytes)
			text[at++] = word % 16 ? ' ' : '\n';
	}
}

static void test_new_text_is_literal_and_not_cut_into_copies_of_words(void **state)
{
	enum { BYTES = 1 << 16, FRESH = 1 << 12 };
	uint32_t seed = 77;
	struct diff_pieces pieces;
	struct pair pair;

	(void)state;
	pair_make(&pair, BYTES, BYTES + FRESH);
	write_text(pair.old, BYTES, &seed);
	memcpy(pair.new, pair.old, BYTES / 2);
	write_text(pair.new + BYTES / 2, FRESH, &seed);
	memcpy(pair.new + BYTES / 2 + FRESH, pair.old + BYTES / 2, BYTES / 2);
	pieces = match(&pair, 1);
	assert_in_range(pieces.count, 2, FRESH / 128);
	diff_pieces_free(&pieces);
	pair_free(&pair);
}

/* The price of the stretch before is no reason to leave what is equal. */
static void test_what_is_equal_is_found_amid_what_is_cheap(void **state)
{
	enum { OLD = 1 << 16, FROM = 10000, EQUAL = 20000, FRESH = 2000 };
	uint32_t seed = 5;

	(void)state;
	for (uint32_t shift = 0; shift < 8; shift++) {
		uint32_t from = FROM + shift, equal = EQUAL + 3 * shift;
		struct diff_pieces pieces;
		uint64_t covered = 0;
		struct pair pair;

		pair_make(&pair, OLD, 2 * FRESH + equal);
		for (uint32_t i = 0; i < OLD; i++)
			pair.old[i] = (uint8_t)('a' + random_next(&seed) % 26);
		for (uint32_t i = 0; i < pair.new_bytes; i++)
			pair.new[i] = (uint8_t)('A' + random_next(&seed) % 26);
		memcpy(pair.new + FRESH, pair.old + from, equal);
		pieces = match(&pair, 1);
		for (size_t i = 0; i < pieces.count; i++)
			covered += pieces.items[i].bytes;
		assert_in_range(covered, equal - 8, equal + 8);
		diff_pieces_free(&pieces);
		pair_free(&pair);
	}
}

/* The last byte alone stands between the suffixes that start with less and those that start with it: it is no pair. */
static void test_the_last_byte_alone_is_no_match(void **state)
{
	static const uint8_t old[] = { 0x40, 0xff, 0x41 }, text[] = { 0x40, 0xff, 0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct diff_index *index = malloc(sizeof(*index));
	uint32_t at = 77;

	(void)state;
	assert_non_null(index);
	assert_int_equal(diff_index_make(index, old, sizeof(old)), 0);
	assert_int_equal(diff_index_find(index, text, sizeof(text), 0, &at), 3);
	assert_int_equal(at, 0);
	assert_int_equal(diff_index_find(index, text + 2, sizeof(text) - 2, 0, &at), 0);
	diff_index_free(index);
	free(index);
}

static void test_images_that_are_too_large_are_refused(void **state)
{
	uint8_t byte = 0;
	struct regions none = { 0 };
	struct diff_images images = { &byte, &byte, REGION_IMAGE_MAX + 1, 1 };
	struct diff_match_input input = { .images = &images, .old_regions = &none, .new_regions = &none, .threads = 1 };
	struct diff_pieces pieces = { 0 };

	(void)state;
	assert_int_equal(diff_match(&input, &pieces), DFOTA_E_ARGUMENT);
	images.old_bytes = 1;
	images.new_bytes = REGION_IMAGE_MAX + 1;
	assert_int_equal(diff_match(&input, &pieces), DFOTA_E_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_in_any_order_are_found_and_the_rest_is_literal),
		cmocka_unit_test(test_result_does_not_depend_on_threads),
		cmocka_unit_test(test_tiny_and_empty_images),
		cmocka_unit_test(test_equal_images_are_one_piece),
		cmocka_unit_test(test_long_runs_of_zeros_are_fast),
		cmocka_unit_test(test_code_that_moved_stays_whole_though_its_calls_change),
		cmocka_unit_test(test_regions_that_start_anywhere_are_harmless),
		cmocka_unit_test(test_pointers_are_followed_to_where_their_targets_went),
		cmocka_unit_test(test_new_text_is_literal_and_not_cut_into_copies_of_words),
		cmocka_unit_test(test_what_is_equal_is_found_amid_what_is_cheap),
		cmocka_unit_test(test_the_last_byte_alone_is_no_match),
		cmocka_unit_test(test_images_that_are_too_large_are_refused),
	};

	return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
