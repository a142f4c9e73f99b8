/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../fuzz/pair.h"

#define OLD_BYTES 100000u
#define NEW_BYTES 120000u
#define MOST	  64u	 /* regions, pieces, runs */
#define ROOM	  16384u /* bytes of a prelude */

/* What a prelude says, in arrays that may hold anything. */
struct sample {
	struct region old_regions[MOST], new_regions[MOST];
	struct map_piece pieces[MOST];
	struct map_types types[MOST], symbols[MOST]; /* together at most MOST */
	struct symbol_pairs old_pairs, new_pairs;
	uint32_t old_order[MOST], new_order[MOST];
	struct map_entry entries[MOST];
	struct map map;
};

static struct predict *predict;

static int set_up(void **state)
{
	struct dfota_codec_image image = { OLD_BYTES, NEW_BYTES, 0, 0, 0 };
	size_t bytes = predict_workspace_bytes(&image.map);
	struct codec_arena arena = { malloc(bytes), bytes };

	*state = arena.at;
	return arena.at ? predict_open(&predict, &image, &arena) : -1;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static void sample_open(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	s->map = (struct map){
		.old_bytes = OLD_BYTES,
		.new_bytes = NEW_BYTES,
		.old_regions = { s->old_regions, 0, s->old_order },
		.new_regions = { s->new_regions, 0, s->new_order },
		.pieces = s->pieces,
		.entries = s->entries,
		.types = s->types,
		.symbols = s->symbols,
	};
}

/* Codes it with room for `room` of each kind; the same function in both directions. */
static int code(struct sample *s, uint32_t room)
{
	struct prelude prelude = {
		.map = &s->map,
		.pieces = s->pieces,
		.types = s->types,
		.symbol_runs = s->symbols,
		.old_pairs = &s->old_pairs,
		.new_pairs = &s->new_pairs,
		.room = { room, room, room },
	};

	prelude_start(&predict->model, &predict->prelude_mixer, &predict->map);
	return prelude_code(&predict->model, &predict->prelude_mixer, &prelude);
}

/* What the encoder writes even if it refuses it itself: a hostile one would not. */
static int write_prelude(struct sample *s, uint8_t *bytes, size_t *ret_count)
{
	int error;

	coder_start_encoding(&predict->coder, bytes, ROOM);
	error = code(s, MOST);
	assert_int_equal(coder_finish(&predict->coder), 0);
	*ret_count = predict->coder.output_bytes;
	return error;
}

static int read_prelude(struct sample *s, const uint8_t *bytes, size_t count, uint32_t room)
{
	struct dfota_memory memory = { bytes, count };
	struct dfota_source source = dfota_memory_source(&memory);

	sample_open(s);
	coder_start_decoding(&predict->coder, &source, count);
	return code(s, room);
}

/* ---- samples -----------------------------------------------------------------------------------
 */

static uint32_t wide(uint32_t *random)
{
	return random_next(random) >> random_below(random, 32);
}

static void random_regions(struct regions *regions, uint32_t image_bytes, uint32_t *random)
{
	uint32_t at = 0, count = random_below(random, MOST + 1);

	for (regions->count = 0; regions->count < count; regions->count++) {
		struct region *r = &regions->items[regions->count];

		r->start = at + (random_below(random, 2) ? 0 : random_below(random, 4000));
		r->bytes = 1 + random_below(random, 4000);
		if (r->start >= image_bytes || r->bytes > image_bytes - r->start)
			return;
		r->mem_bytes = r->bytes + (random_below(random, 3) ? 0 : wide(random) / 2);
		r->va = (uint64_t)random_next(random) << 32 | random_next(random);
		if (random_below(random, 4) == 0 || r->va > UINT64_MAX - r->mem_bytes)
			r->va = UINT64_MAX - r->mem_bytes; /* as high as it can be */
		r->group = (uint16_t)(random_below(random, 8) ? random_below(random, 4)
							      : random_next(random));
		r->kind = (uint8_t)random_below(random, REGION_KINDS);
		at = r->start + r->bytes;
	}
}

static void random_pieces(struct sample *s, uint32_t *random)
{
	uint32_t at = 0, count = random_below(random, MOST + 1);
	int32_t diagonal = 0;

	for (s->map.piece_count = 0; s->map.piece_count < count; s->map.piece_count++) {
		struct map_piece *piece = &s->pieces[s->map.piece_count];

		piece->at = at + (random_below(random, 3) ? 0 : random_below(random, 100));
		piece->bytes = 1 + random_below(random, 1u << random_below(random, 13));
		if (piece->at >= NEW_BYTES || piece->bytes > NEW_BYTES - piece->at)
			return;
		if (random_below(random, 2) || (int64_t)piece->at + diagonal < 0 ||
		    (int64_t)piece->at + piece->bytes + diagonal > OLD_BYTES)
			diagonal = (int32_t)random_below(random, OLD_BYTES - piece->bytes + 1) -
				   (int32_t)piece->at;
		piece->diagonal = diagonal;
		at = piece->at + piece->bytes;
	}
}

static void random_types(struct sample *s, uint32_t *random)
{
	uint32_t count = random_below(random, MOST + 1), from = 0;

	for (s->map.type_run_count = 0; s->map.type_run_count < count; s->map.type_run_count++) {
		s->types[s->map.type_run_count] = (struct map_types){
			from + random_below(random, 50),
			1 + random_below(random, 1000),
			random_below(random, 4) ? (int32_t)random_below(random, 9) - 4
						: (int32_t)random_next(random),
		};
		from = s->types[s->map.type_run_count].old + s->types[s->map.type_run_count].count;
	}
}

static void random_pairs(struct symbol_pairs *pairs, uint32_t *random)
{
	for (unsigned token = 0; token < SYMBOL_TOKENS; token++)
		if (random_below(random, 2))
			pairs->of[token] = (uint16_t)random_next(random);
}

static void random_symbols(struct sample *s, uint32_t *random)
{
	uint32_t count = random_below(random, MOST + 1 - s->map.type_run_count), old = 0, new = 0;

	for (s->map.symbol_run_count = 0; s->map.symbol_run_count < count; s->map.symbol_run_count++) {
		struct map_types *run = &s->symbols[s->map.symbol_run_count];

		run->old = old + random_below(random, 20);
		run->count = 1 + random_below(random, 2000);
		new += random_below(random, 20);
		run->shift = (int32_t)(new - run->old);
		old = run->old + run->count;
		new += run->count;
	}
	if (count == 0)
		return;
	random_pairs(&s->old_pairs, random);
	random_pairs(&s->new_pairs, random);
}

static void random_sample(struct sample *s, uint32_t *random)
{
	sample_open(s);
	random_regions(&s->map.old_regions, OLD_BYTES, random);
	if (random_below(random, 3)) { /* most are where they were */
		memcpy(s->new_regions, s->old_regions, sizeof(s->old_regions));
		s->map.new_regions.count = s->map.old_regions.count;
	} else {
		random_regions(&s->map.new_regions, NEW_BYTES, random);
	}
	random_pieces(s, random);
	random_types(s, random);
	random_symbols(s, random);
}

static void assert_same_regions(const struct regions *a, const struct regions *b)
{
	assert_int_equal(a->count, b->count);
	for (uint32_t i = 0; i < a->count; i++) {
		assert_int_equal(a->items[i].start, b->items[i].start);
		assert_int_equal(a->items[i].bytes, b->items[i].bytes);
		assert_int_equal(a->items[i].va, b->items[i].va);
		assert_int_equal(a->items[i].mem_bytes, b->items[i].mem_bytes);
		assert_int_equal(a->items[i].group, b->items[i].group);
		assert_int_equal(a->items[i].kind, b->items[i].kind);
	}
}

static void assert_same(const struct sample *a, const struct sample *b)
{
	assert_same_regions(&a->map.old_regions, &b->map.old_regions);
	assert_same_regions(&a->map.new_regions, &b->map.new_regions);
	assert_int_equal(a->map.piece_count, b->map.piece_count);
	assert_int_equal(a->map.type_run_count, b->map.type_run_count);
	assert_memory_equal(a->pieces, b->pieces, a->map.piece_count * sizeof(a->pieces[0]));
	assert_memory_equal(a->types, b->types, a->map.type_run_count * sizeof(a->types[0]));
	assert_int_equal(a->map.symbol_run_count, b->map.symbol_run_count);
	assert_memory_equal(a->map.symbols, b->map.symbols,
			    a->map.symbol_run_count * sizeof(a->symbols[0]));
	assert_memory_equal(&a->old_pairs, &b->old_pairs, sizeof(a->old_pairs));
	assert_memory_equal(&a->new_pairs, &b->new_pairs, sizeof(a->new_pairs));
}

static void check_bounds(struct sample *s)
{
	static uint32_t scratch[2 * MOST];

	regions_sort(&s->map.old_regions);
	regions_sort(&s->map.new_regions);
	map_make_entries(&s->map, s->entries, scratch);
	pair_check_map(&s->map);
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void test_what_is_written_is_read(void **state)
{
	static uint8_t bytes[ROOM];
	uint32_t random = 1;

	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		struct sample written, read;
		size_t count;

		random_sample(&written, &random);
		check_bounds(&written);
		assert_int_equal(write_prelude(&written, bytes, &count), 0);
		assert_int_equal(read_prelude(&read, bytes, count, MOST), 0);
		assert_int_equal(coder_finish(&predict->coder), 0);
		assert_same(&written, &read);
	}
}

/* Addresses that are 2^63 apart: their difference is the highest number that there is. */
static void test_addresses_half_of_all_apart_are_read(void **state)
{
	static uint8_t bytes[ROOM];
	struct sample written, read;
	size_t count;

	(void)state;
	sample_open(&written);
	written.old_regions[0] = (struct region){ 0, 100, 5, 100, 0, REGION_A64 };
	written.new_regions[0] = (struct region){ 0, 100, 5 + (UINT64_C(1) << 63), 100, 0, REGION_A64 };
	written.map.old_regions.count = written.map.new_regions.count = 1;
	assert_int_equal(write_prelude(&written, bytes, &count), 0);
	assert_int_equal(read_prelude(&read, bytes, count, MOST), 0);
	assert_int_equal(coder_finish(&predict->coder), 0);
	assert_same(&written, &read);
	assert_int_equal(read.new_regions[0].va, 5 + (UINT64_C(1) << 63));
}

static void test_no_more_is_read_than_there_is_room_for(void **state)
{
	static uint8_t bytes[ROOM];
	struct sample written, read;
	size_t count;
	uint32_t random = 2, most[4];

	(void)state;
	do {
		random_sample(&written, &random);
		most[0] = written.map.old_regions.count;
		most[1] = written.map.new_regions.count;
		most[2] = written.map.piece_count;
		most[3] = written.map.type_run_count + written.map.symbol_run_count;
		assert_int_equal(write_prelude(&written, bytes, &count), 0);
		for (unsigned i = 1; i < 4; i++)
			most[0] = most[i] > most[0] ? most[i] : most[0];
		assert_int_equal(read_prelude(&read, bytes, count, most[0]), 0);
		if (most[0] > 0)
			assert_int_equal(read_prelude(&read, bytes, count, most[0] - 1),
					 DFOTA_E_CORRUPT);
	} while (most[0] < MOST);
}

#define R(number, field) s->old_regions[number].field
#define N(number, field) s->new_regions[number].field
#define P(number, field) s->pieces[number].field
#define T(number, field) s->types[number].field
#define Y(number, field) s->symbols[number].field

/* One thing at a time is made wrong. */
static const char *make_wrong(struct sample *s, unsigned what)
{
	switch (what) {
	case 0:
		R(1, start) = OLD_BYTES + 1;
		return "a region behind the image";
	case 1:
		R(1, start) = R(0, start) + R(0, bytes) - 1;
		return "regions that overlap";
	case 2:
		R(1, bytes) = 0;
		return "an empty region";
	case 3:
		R(2, bytes) = OLD_BYTES - R(2, start) + 1;
		return "a region over the image's end";
	case 4:
		R(2, bytes) = UINT32_MAX;
		return "a region without end";
	case 5:
		N(2, bytes) = NEW_BYTES - N(2, start) + 1;
		return "a new region over its end";
	case 6:
		R(0, kind) = REGION_KINDS;
		return "a kind that does not exist";
	case 7:
		N(0, kind) = 255;
		return "the last kind there could be";
	case 8:
		R(1, mem_bytes) = R(1, bytes) - 1;
		return "less memory than bytes";
	case 9:
		R(1, va) = UINT64_MAX - R(1, mem_bytes) + 1;
		return "addresses that wrap";
	case 10:
		N(1, va) = UINT64_MAX;
		return "new addresses that wrap";
	case 11:
		P(1, at) = P(0, at) + P(0, bytes) - 1;
		return "pieces that overlap";
	case 12:
		P(2, at) = NEW_BYTES;
		return "a piece behind the image";
	case 13:
		P(1, bytes) = 0;
		return "an empty piece";
	case 14:
		P(2, bytes) = NEW_BYTES - P(2, at) + 1;
		return "a piece over the new end";
	case 15:
		P(2, bytes) = UINT32_MAX;
		return "a piece without end";
	case 16:
		P(0, diagonal) = -(int32_t)P(0, at) - 1;
		return "old bytes before the image";
	case 17:
		P(1, diagonal) = (int32_t)(OLD_BYTES - P(1, at) - P(1, bytes)) + 1;
		return "old bytes over the end";
	case 18:
		P(1, diagonal) = INT32_MAX;
		return "the last diagonal";
	case 19:
		P(1, diagonal) = INT32_MIN;
		return "the first diagonal";
	case 20:
		T(1, old) = T(0, old) + T(0, count) - 1;
		return "runs of types that overlap";
	case 21:
		T(1, count) = 0;
		return "an empty run";
	case 22:
		T(1, count) = UINT32_MAX;
		return "a run without end";
	case 23:
		T(2, old) = (uint32_t)INT32_MAX + 1;
		return "a run of no type";
	case 24:
		T(0, old) = 0, T(0, count) = 1u << 31, T(1, old) = 0;
		return "runs that wrap";
	case 25:
		T(0, old) = 2, T(0, count) = INT32_MAX - 1u, T(1, old) = 1;
		return "the same, one less";
	case 26:
		Y(1, old) = Y(0, old);
		return "old symbols that overlap";
	case 27:
		Y(1, shift) = Y(0, shift) - (int32_t)(Y(1, old) - Y(0, old));
		return "new symbols that overlap";
	case 28:
		Y(0, old) = SYMBOLS_MAX + 1;
		return "a symbol of too high a number";
	case 29:
		Y(0, shift) = (int32_t)(SYMBOLS_MAX - Y(0, old) - Y(0, count) + 1);
		return "a symbol that becomes one of too high a number";
	default:
		return NULL;
	}
}

static void test_everything_out_of_bounds_is_refused(void **state)
{
	static uint8_t bytes[ROOM];
	uint32_t random = 3;

	(void)state;
	for (unsigned what = 0;; what++) {
		struct sample s, read;
		const char *wrong;
		size_t count;

		do
			random_sample(&s, &random);
		while (s.map.old_regions.count < 4 || s.map.new_regions.count < 4 ||
		       s.map.piece_count < 4 || s.map.type_run_count < 4 ||
		       s.map.symbol_run_count < 4);
		wrong = make_wrong(&s, what);
		if (!wrong)
			break;
		(void)write_prelude(&s, bytes, &count); /* it may refuse what it has written */
		if (read_prelude(&read, bytes, count, MOST) != DFOTA_E_CORRUPT)
			fail_msg("%s: accepted", wrong);
	}
}

/* Numbers by chance in a valid one: refused, or what is read is within all bounds. */
static void test_whatever_is_accepted_is_within_bounds(void **state)
{
	static uint8_t bytes[ROOM];
	uint32_t random = 4, accepted = 0, refused = 0;

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		struct sample s, read;
		size_t count;

		random_sample(&s, &random);
		(void)write_prelude(&s, bytes, &count); /* valid */
		for (unsigned i = random_below(&random, 6); i > 0 && count > 0; i--)
			bytes[random_below(&random, (uint32_t)count)] =
			    (uint8_t)random_next(&random);
		if (read_prelude(&read, bytes, count, MOST) == 0) {
			check_bounds(&read);
			accepted++;
		} else {
			refused++;
		}
	}
	assert_true(accepted > 40 && refused > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_addresses_half_of_all_apart_are_read),
		cmocka_unit_test(test_no_more_is_read_than_there_is_room_for),
		cmocka_unit_test(test_everything_out_of_bounds_is_refused),
		cmocka_unit_test(test_whatever_is_accepted_is_within_bounds),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
