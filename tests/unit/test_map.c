/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../fuzz/pair.h"

#define IMAGE  700u /* bytes, both */
#define PIECES 80u

/* ---- entries -----------------------------------------------------------------------------------
 */

struct sample {
	struct map map;
	struct map_piece pieces[PIECES];
	struct map_entry entries[PIECES];
	uint32_t scratch[2 * PIECES];
};

static void make_pieces(struct sample *s, uint32_t *random)
{
	uint32_t at = 0, most = 1 + random_below(random, 60);

	*s = (struct sample){ .map = { .old_bytes = IMAGE, .new_bytes = IMAGE } };
	while (at < IMAGE && s->map.piece_count < PIECES) {
		uint32_t bytes = 1 + random_below(random, most), old = random_below(random, IMAGE);

		at += random_below(random, 3) ? 0 : random_below(random, 20);
		if (at + bytes > IMAGE)
			break;
		if (bytes > IMAGE - old)
			bytes = IMAGE - old;
		s->pieces[s->map.piece_count++] =
		    (struct map_piece){ at, bytes, (int32_t)old - (int32_t)at };
		at += bytes;
	}
	s->map.pieces = s->pieces;
	map_make_entries(&s->map, s->entries, s->scratch);
}

/* The piece to which an old byte belongs, told by looking at all; NULL if to none. */
static const struct map_piece *owner_of(const struct sample *s, uint32_t old)
{
	const struct map_piece *best = NULL;

	for (uint32_t i = 0; i < s->map.piece_count; i++) {
		const struct map_piece *piece = &s->pieces[i];
		uint32_t start = piece->at + (uint32_t)piece->diagonal;

		if (piece->bytes >= MAP_ENTRY_MIN && old >= start && old - start < piece->bytes &&
		    (!best || piece->bytes > best->bytes))
			best = piece;
	}
	return best;
}

static const struct map_entry *entry_of(const struct sample *s, uint32_t old)
{
	for (uint32_t i = 0; i < s->map.entry_count; i++)
		if (old >= s->entries[i].old && old - s->entries[i].old < s->entries[i].bytes)
			return &s->entries[i];
	return NULL;
}

static void test_old_bytes_belong_to_the_longest_piece(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (unsigned round = 0; round < 500; round++) {
		struct sample s;

		make_pieces(&s, &random);
		pair_check_map(&s.map);
		for (uint32_t old = 0; old < IMAGE; old++) {
			const struct map_piece *owner = owner_of(&s, old);
			const struct map_entry *entry = entry_of(&s, old);

			assert_int_equal(owner != NULL, entry != NULL);
			if (owner)
				assert_int_equal(owner->diagonal, entry->diagonal);
		}
		for (uint32_t i = 1; i < s.map.entry_count; i++) /* what can be one entry is one */
			assert_true(s.entries[i - 1].diagonal != s.entries[i].diagonal ||
				    s.entries[i - 1].old + s.entries[i - 1].bytes <
					s.entries[i].old);
	}
}

/* Distance of an entry's nearest byte. */
static uint32_t distance_to(const struct map_entry *entry, uint32_t old)
{
	return old < entry->old ? entry->old - old : old - (entry->old + entry->bytes - 1);
}

/* Is it where one of the nearest entries would put it? In a gap of even length two are near alike.
 */
static bool is_near(const struct sample *s, uint32_t old, uint32_t position)
{
	uint32_t nearest = UINT32_MAX;

	for (uint32_t i = 0; i < s->map.entry_count; i++)
		if (distance_to(&s->entries[i], old) < nearest)
			nearest = distance_to(&s->entries[i], old);
	for (uint32_t i = 0; i < s->map.entry_count; i++)
		if (distance_to(&s->entries[i], old) <= nearest + 1 &&
		    position == old - (uint32_t)s->entries[i].diagonal)
			return true;
	return false;
}

static void test_positions_move_with_their_entry_or_the_nearest(void **state)
{
	uint32_t random = 2, near = 0, none = 0;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		struct sample s;

		make_pieces(&s, &random);
		for (uint32_t old = 0; old <= IMAGE; old++) {
			const struct map_entry *entry = entry_of(&s, old);
			uint32_t position = 0;
			enum map_answer answer = map_position(&s.map, old, &position);

			assert_int_equal(answer == MAP_EXACT, entry != NULL);
			if (entry)
				assert_int_equal(position, old - (uint32_t)entry->diagonal);
			if (answer == MAP_NEAR)
				assert_true(position <= IMAGE && is_near(&s, old, position));
			near += answer == MAP_NEAR;
			none += answer == MAP_NONE;
		}
	}
	assert_true(near > 1000 && none > 1000);
}

static void test_a_map_without_entries_knows_nothing(void **state)
{
	struct map map = { .old_bytes = 10, .new_bytes = 10 };
	struct map_piece small = { 0, MAP_ENTRY_MIN - 1, 0 };
	struct map_entry entry;
	uint32_t scratch[2], position;
	uint64_t address;

	(void)state;
	map_make_entries(&map, &entry, scratch);
	assert_int_equal(map.entry_count, 0);
	assert_int_equal(map_position(&map, 0, &position), MAP_NONE);
	map.pieces = &small;
	map.piece_count = 1;
	map_make_entries(&map, &entry, scratch);
	assert_int_equal(map.entry_count, 0);
	assert_int_equal(map_address(&map, 0, 0, &address), MAP_NONE);
}

/* ---- addresses ---------------------------------------------------------------------------------
 */

/* Two programs, 1 with code and data, 2 at the same addresses; all bytes have moved by 16. */
static struct region old_items[] = {
	{ 0, 100, 0x1000, 100, 1, REGION_A64 },
	{ 100, 100, 0x2000, 400, 1, REGION_DATA64 },
	{ 200, 100, 0x1000, 100, 2, REGION_A64 },
	{ 300, 50, UINT64_MAX - 60, 60, 3, REGION_DATA64 },
};
static struct region new_items[] = {
	{ 16, 100, 0x1800, 100, 1, REGION_A64 },
	{ 116, 100, 0x2800, 500, 1, REGION_DATA64 },
	{ 216, 100, 0x9000, 100, 2, REGION_A64 },
	{ 316, 50, UINT64_MAX - 50, 50, 3, REGION_DATA64 },
};
static uint32_t old_order[4], new_order[4];
static struct map_entry moved[] = { { 0, 350, -16 } };

static struct map two_programs(void)
{
	struct map map = {
		.old_bytes = 400,
		.new_bytes = 416,
		.old_regions = { old_items, 4, old_order },
		.new_regions = { new_items, 4, new_order },
		.entries = moved,
		.entry_count = 1,
	};

	regions_sort(&map.old_regions);
	regions_sort(&map.new_regions);
	map_make_pages(&map);
	return map;
}

static void test_addresses_are_followed_inside_their_program(void **state)
{
	static const struct {
		uint16_t group;
		enum map_answer answer;
		uint64_t from, to;
	} rows[] = {
		{ 1, MAP_EXACT, 0x1000, 0x1800 },
		{ 1, MAP_EXACT, 0x1063, 0x1863 },
		{ 1, MAP_EXACT, 0x2010, 0x2810 },
		{ 2, MAP_EXACT, 0x1063, 0x9063 },
		{ 1, MAP_NONE, 0xfff, 0 },	 /* before all regions */
		{ 1, MAP_NONE, 0x1065, 0 },	 /* behind a region and its memory */
		{ 1, MAP_NEAR, 0x2065, 0x2865 }, /* zero-filled: as far from the bytes' end */
		{ 1, MAP_NEAR, 0x2190, 0x2990 },
		{ 1, MAP_NONE, 0x2191, 0 },
		{ 2, MAP_NONE, 0x2010, 0 }, /* of another program */
		{ 7, MAP_NONE, 0x1000, 0 },
		{ 0, MAP_NONE, 0x1000, 0 },
		{ 3, MAP_EXACT, UINT64_MAX - 60, UINT64_MAX - 50 },
		{ 3, MAP_EXACT, UINT64_MAX - 11, UINT64_MAX - 1 },
		{ 3, MAP_NONE, 0, 0 },
		{ 65535, MAP_NONE, UINT64_MAX, 0 },
	};
	struct map map = two_programs();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t to = 0;

		assert_int_equal(map_address(&map, rows[i].group, rows[i].from, &to),
				 rows[i].answer);
		if (rows[i].answer != MAP_NONE)
			assert_int_equal(to, rows[i].to);
	}
}

/* The end of a region is a position of the next, and still an address of this one. */
static void test_the_end_of_a_region_is_an_address_of_it(void **state)
{
	struct map map = two_programs();
	uint64_t to;

	(void)state;
	assert_int_equal(map_address(&map, 2, 0x1064, &to), MAP_NONE); /* follows into group 3 */
	map.new_regions.count = 3;
	regions_sort(&map.new_regions);
	assert_int_equal(map_address(&map, 2, 0x1064, &to), MAP_EXACT);
	assert_int_equal(to, 0x9064);
}

static void test_what_left_its_program_has_no_address(void **state)
{
	struct map map = two_programs();
	uint64_t to;

	(void)state;
	map.new_regions.count = 0;
	assert_int_equal(map_address(&map, 1, 0x1000, &to), MAP_NONE);
	assert_int_equal(map_address(&map, 1, 0x2100, &to), MAP_NONE); /* zero-filled */
	map = two_programs();
	map.old_regions.count = 0;
	assert_int_equal(map_address(&map, 1, 0x1000, &to), MAP_NONE);
}

static void test_types_move_with_their_run(void **state)
{
	static const struct map_types runs[] = { { 5, 3, 2 }, { 8, 1, -6 }, { 100, 10, 1000 } };
	struct map map = { .types = runs, .type_run_count = 3 };
	uint32_t to;

	(void)state;
	assert_int_equal(map_type(&map, 4, &to), MAP_NEAR);
	assert_int_equal(to, 4);
	assert_int_equal(map_type(&map, 5, &to), MAP_EXACT);
	assert_int_equal(to, 7);
	assert_int_equal(map_type(&map, 7, &to), MAP_EXACT);
	assert_int_equal(to, 9);
	assert_int_equal(map_type(&map, 8, &to), MAP_EXACT);
	assert_int_equal(to, 2);
	assert_int_equal(map_type(&map, 50, &to), MAP_NEAR);
	assert_int_equal(to, 44);
	assert_int_equal(map_type(&map, 109, &to), MAP_EXACT);
	assert_int_equal(to, 1109);
	assert_int_equal(map_type(&map, UINT32_MAX, &to), MAP_NEAR);
	map.type_run_count = 0;
	assert_int_equal(map_type(&map, 8, &to), MAP_NEAR);
	assert_int_equal(to, 8);
}

/* ---- regions -----------------------------------------------------------------------------------
 */

static void test_regions_are_sorted_by_group_and_address(void **state)
{
	struct region items[70];
	uint32_t order[70], random = 4;

	(void)state;
	for (uint32_t count = 0; count <= 70; count++) {
		struct regions regions = { items, count, order };
		bool seen[70] = { false };

		for (uint32_t i = 0; i < count; i++)
			items[i] = (struct region){ .va = (uint64_t)random_below(&random, 40) << 32,
						    .group = (uint16_t)random_below(&random, 3) };
		regions_sort(&regions);
		for (uint32_t i = 0; i < count; i++) {
			assert_true(order[i] < count && !seen[order[i]]);
			seen[order[i]] = true;
			if (i > 0) {
				const struct region *a = &items[order[i - 1]],
						    *b = &items[order[i]];

				assert_true(a->group < b->group ||
					    (a->group == b->group && a->va <= b->va));
			}
		}
	}
}

static void test_a_position_is_in_its_region_or_none(void **state)
{
	struct regions regions = { new_items, 4, NULL };

	(void)state;
	assert_null(region_at(&regions, 15));
	assert_ptr_equal(region_at(&regions, 16), &new_items[0]);
	assert_ptr_equal(region_at(&regions, 115), &new_items[0]);
	assert_ptr_equal(region_at(&regions, 116), &new_items[1]);
	assert_ptr_equal(region_at(&regions, 365), &new_items[3]);
	assert_null(region_at(&regions, 366));
	assert_null(region_at(&regions, UINT32_MAX));
	regions.count = 0;
	assert_null(region_at(&regions, 16));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_bytes_belong_to_the_longest_piece),
		cmocka_unit_test(test_positions_move_with_their_entry_or_the_nearest),
		cmocka_unit_test(test_a_map_without_entries_knows_nothing),
		cmocka_unit_test(test_addresses_are_followed_inside_their_program),
		cmocka_unit_test(test_the_end_of_a_region_is_an_address_of_it),
		cmocka_unit_test(test_what_left_its_program_has_no_address),
		cmocka_unit_test(test_types_move_with_their_run),
		cmocka_unit_test(test_regions_are_sorted_by_group_and_address),
		cmocka_unit_test(test_a_position_is_in_its_region_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
