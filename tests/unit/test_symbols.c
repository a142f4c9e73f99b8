/* SPDX-License-Identifier: MIT
 *
 * A kernel's table of symbols: found in both layouts, paired, translated; and tables that no kernel makes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/diff/content_symbols.h"
#include "../../src/diff/symbols.h"
#include "dfota/error.h"

#define NAMES     4200u
#define TEXT_ROOM 32u
#define ROOM      (256u << 10)

enum layout { OLD_LAYOUT, NEW_LAYOUT };

/* What an image holds: names "tname_<i>" without those of which i % 50 is `gone`, compressed with these pairs. */
struct image {
	uint8_t bytes[ROOM];
	uint32_t count, at;
	struct symbols tokens;
	struct content_symbols where;
};

static struct image old, new;

static uint8_t *put_aligned(struct image *image, uint32_t bytes)
{
	uint8_t *to;

	image->at = (image->at + 7) / 8 * 8;
	to = image->bytes + image->at;
	image->at += bytes;
	assert_true(image->at <= ROOM);
	return to;
}

static uint32_t name_text(uint32_t i, uint8_t text[TEXT_ROOM])
{
	return (uint32_t)snprintf((char *)text, TEXT_ROOM, "tname_%u", i);
}

static void make_tokens(struct image *image, bool later)
{
	memset(&image->tokens, 0, sizeof(image->tokens));
	image->tokens.new.of[255] = 'n' << 8 | 'a';
	image->tokens.new.of[254] = later ? 'e' << 8 | '_' : 'm' << 8 | 'e';
	image->tokens.new.of[253] = later ? 'm' << 8 | 254 : 255 << 8 | 254;
	image->tokens.old = image->tokens.new;
	assert_int_equal(symbols_ready(&image->tokens), 0);
}

static void put_names(struct image *image, uint32_t gone)
{
	uint32_t markers[NAMES / 256 + 1], marker_count = 0, from;
	uint8_t *number = put_aligned(image, 8);

	image->at = (image->at + 7) / 8 * 8;
	from = image->at;
	image->count = 0;
	for (uint32_t i = 0; i < NAMES; i++) {
		uint8_t text[SYMBOL_TEXT_MAX];
		uint32_t bytes;

		if (i % 50 == gone)
			continue;
		if (image->count++ % 256 == 0)
			markers[marker_count++] = image->at - from;
		bytes = symbols_compress(&image->tokens, text, name_text(i, text));
		image->bytes[image->at++] = (uint8_t)bytes;
		memcpy(image->bytes + image->at, text, bytes);
		image->at += bytes;
	}
	dfota_put32(number, image->count);
	for (uint32_t i = 0; i < marker_count; i++)
		dfota_put32(put_aligned(image, 0) + 4 * i, markers[i]);
	image->at += 4 * marker_count;
}

static void put_tokens(struct image *image)
{
	uint32_t from = (image->at + 7) / 8 * 8, starts[SYMBOL_TOKENS];

	image->at = from;
	for (unsigned token = 0; token < SYMBOL_TOKENS; token++) {
		uint8_t code = (uint8_t)token;

		starts[token] = image->at - from;
		if (token > 0)
			image->at += symbols_expand(&image->tokens, &code, 1,
						    image->bytes + image->at);
		image->bytes[image->at++] = 0;
	}
	for (unsigned token = 0; token < SYMBOL_TOKENS; token++)
		dfota_put16(put_aligned(image, 0) + 2 * token, (uint16_t)starts[token]);
	image->at += 2 * SYMBOL_TOKENS;
}

static void put_offsets(struct image *image, uint32_t count)
{
	uint8_t *offsets = put_aligned(image, 4 * count);

	for (uint32_t i = 0; i < count; i++)
		dfota_put32(offsets + 4 * i, 16 * i);
	(void)put_aligned(image, 8); /* the base */
}

static void put_sequences(struct image *image)
{
	uint8_t *numbers = put_aligned(image, SYMBOL_NUMBER_BYTES * image->count);

	for (uint32_t i = 0; i < image->count; i++) {
		uint32_t number = image->count - 1 - i;

		numbers[3 * i] = (uint8_t)(number >> 16);
		numbers[3 * i + 1] = (uint8_t)(number >> 8);
		numbers[3 * i + 2] = (uint8_t)number;
	}
}

static void make_image(struct image *image, enum layout layout, bool later, uint32_t gone)
{
	memset(image, 0, sizeof(*image));
	make_tokens(image, later);
	image->at = 1000;
	if (layout == OLD_LAYOUT)
		put_offsets(image, NAMES - NAMES / 50);
	put_names(image, gone);
	if (layout == OLD_LAYOUT)
		put_sequences(image);
	put_tokens(image);
	if (layout == NEW_LAYOUT) {
		put_offsets(image, image->count);
		put_sequences(image);
	}
}

static int set_up(void **state)
{
	(void)state;
	make_image(&old, OLD_LAYOUT, false, 7);
	make_image(&new, NEW_LAYOUT, true, 31);
	return 0;
}

/* ---- tokens ------------------------------------------------------------------------------------ */

static void test_names_go_from_one_set_of_tokens_to_the_other(void **state)
{
	static struct symbols both;
	static const uint8_t tokens[] = { 't', 253, '_', '7' }, wanted[] = { 6, 't', 255, 253, '7', 'm', 'e' };
	uint8_t entry[SYMBOL_ENTRY_MAX], text[SYMBOL_TEXT_MAX];

	(void)state;
	both.old = old.tokens.old;
	both.new = new.tokens.new;
	assert_int_equal(symbols_ready(&both), 0);
	assert_int_equal(symbols_expand(&both, tokens, sizeof(tokens), text), 7);
	assert_memory_equal(text, "tname_7", 7);
	assert_int_equal(symbols_translate(&both, tokens, sizeof(tokens), entry), 5);
	assert_int_equal(entry[0], 4);
	assert_memory_equal(entry + 1, wanted + 1, 4);
}

static void test_pairs_that_make_no_sense_are_corrupt(void **state)
{
	static struct symbols s;

	(void)state;
	s.old.of[100] = 'a' << 8 | 99; /* 99 is a token below */
	s.old.of[99] = 'a' << 8 | 'b';
	assert_int_equal(symbols_ready(&s), DFOTA_E_CORRUPT);
	memset(&s, 0, sizeof(s));
	s.new.of[100] = 100 << 8 | 'a'; /* itself */
	assert_int_equal(symbols_ready(&s), DFOTA_E_CORRUPT);
	memset(&s, 0, sizeof(s));
	s.old.of[255] = 'a' << 8 | 'a';
	for (unsigned token = 254; token > 200; token--) /* each twice as long */
		s.old.of[token] = (uint16_t)((token + 1) << 8 | (token + 1));
	assert_int_equal(symbols_ready(&s), DFOTA_E_CORRUPT);
}

static void test_texts_are_bounded(void **state)
{
	static struct symbols s;
	uint8_t tokens[SYMBOL_TEXT_MAX + 1], text[SYMBOL_TEXT_MAX];

	(void)state;
	memset(&s, 0, sizeof(s));
	assert_int_equal(symbols_ready(&s), 0);
	memset(tokens, 'a', sizeof(tokens));
	assert_int_equal(symbols_expand(&s, tokens, SYMBOL_TEXT_MAX, text), SYMBOL_TEXT_MAX);
	assert_int_equal(symbols_expand(&s, tokens, SYMBOL_TEXT_MAX + 1, text), 0);
}

/* ---- numbers ----------------------------------------------------------------------------------- */

static void test_numbers_are_followed_both_ways(void **state)
{
	/* new: 0 1 2 | 5 6 | fresh are 3, 4 and what comes behind 6 */
	static const struct map_types runs[] = { { 2, 3, -2 }, { 10, 2, -5 } };
	struct map map = { .symbols = runs, .symbol_run_count = 2 };
	uint32_t number;

	(void)state;
	assert_true(map_symbol(&map, 4, &number) && number == 2);
	assert_true(map_symbol(&map, 11, &number) && number == 6);
	assert_false(map_symbol(&map, 1, &number) || map_symbol(&map, 5, &number) ||
		     map_symbol(&map, 12, &number));
	assert_true(map_symbol_back(&map, 5, &number) && number == 10);
	assert_false(map_symbol_back(&map, 3, &number) || map_symbol_back(&map, 7, &number));
	assert_int_equal(map_symbols_fresh(&map, 9), 4);
	for (uint32_t rank = 0; rank < 4; rank++) {
		static const uint32_t fresh[] = { 3, 4, 7, 8 };
		uint32_t back;

		assert_int_equal(map_symbol_fresh(&map, rank), fresh[rank]);
		assert_true(map_symbol_rank(&map, fresh[rank], &back) && back == rank);
	}
	assert_false(map_symbol_rank(&map, 6, &number));
}

/* ---- finding ----------------------------------------------------------------------------------- */

static void test_both_layouts_are_found(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct image *image = i ? &new : &old;
		struct content_symbols s;

		assert_true(content_symbols_find(image->bytes, image->at, &s));
		assert_int_equal(s.count, image->count);
		assert_int_equal(dfota_get32(image->bytes + s.names_at - 8), image->count);
		assert_true(s.offsets_at > 0 && s.sequences_at > 0);
		assert_int_equal(dfota_get32(image->bytes + s.offsets_at + 4), 16);
		assert_int_equal(symbols_number(image->bytes + s.sequences_at), image->count - 1);
		image->where = s;
	}
	assert_true(old.where.offsets_at < old.where.names_at);
	assert_true(new.where.offsets_at > new.where.names_at);
}

/* An image that ends anywhere is read no further: the copy is as long as it says. */
static void test_cut_images_are_read_no_further(void **state)
{
	(void)state;
	for (uint32_t bytes = 0; bytes < new.at; bytes += bytes % 4096 < 64 ? 1 : 509) {
		uint8_t *cut = malloc(bytes ? bytes : 1);
		struct content_symbols s;

		assert_non_null(cut);
		memcpy(cut, new.bytes, bytes);
		(void)content_symbols_find(cut, bytes, &s); /* either answer is right */
		free(cut);
	}
}

/* ---- pairing ----------------------------------------------------------------------------------- */

static struct region region(uint64_t at, uint64_t bytes, unsigned kind)
{
	return (struct region){ (uint32_t)at, (uint32_t)bytes, at, (uint32_t)bytes, 0, (uint8_t)kind };
}

static int pair(struct diff_symbols *symbols, struct diff_images *images)
{
	struct region old_items[2] = { region(old.where.names_at, old.where.names_bytes, REGION_NAMES),
				       region(old.where.sequences_at, 3 * old.count, REGION_SEQUENCES) };
	struct region new_items[2] = { region(new.where.names_at, new.where.names_bytes, REGION_NAMES),
				       region(new.where.sequences_at, 3 * new.count, REGION_SEQUENCES) };
	struct regions old_regions = { old_items, 2, NULL }, new_regions = { new_items, 2, NULL };

	*images = (struct diff_images){ old.bytes, new.bytes, old.at, new.at };
	return diff_symbols_make(symbols, images, &old_regions, &new_regions);
}

static void find_both(void)
{
	assert_true(content_symbols_find(old.bytes, old.at, &old.where));
	assert_true(content_symbols_find(new.bytes, new.at, &new.where));
}

static void test_all_that_stay_are_paired(void **state)
{
	struct diff_symbols symbols;
	struct diff_images images;
	uint32_t kept = 0;

	(void)state;
	find_both();
	assert_int_equal(pair(&symbols, &images), 0);
	for (uint32_t i = 0; i < symbols.run_count; i++)
		kept += symbols.runs[i].count;
	assert_int_equal(kept, NAMES - 2 * (NAMES / 50));
	diff_symbols_free(&symbols);
}

/* The texts of tokens 255 and 253 hold 253 as a character: an image like that must not end the building. */
static void test_tables_that_no_kernel_makes_are_none(void **state)
{
	struct diff_symbols symbols;
	struct diff_images images;
	unsigned changed = 0;

	(void)state;
	find_both();
	for (uint64_t at = old.where.tokens_at; at < old.where.tokens_end - 5; at++)
		if (memcmp(old.bytes + at, "na\0", 3) == 0 || memcmp(old.bytes + at, "name", 5) == 0) {
			old.bytes[at + 1] = 253;
			changed++;
		}
	assert_int_equal(changed, 2);
	assert_int_equal(pair(&symbols, &images), 0);
	assert_int_equal(symbols.run_count, 0);
	diff_symbols_free(&symbols);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_names_go_from_one_set_of_tokens_to_the_other, set_up),
		cmocka_unit_test(test_pairs_that_make_no_sense_are_corrupt),
		cmocka_unit_test(test_texts_are_bounded),
		cmocka_unit_test(test_numbers_are_followed_both_ways),
		cmocka_unit_test_setup(test_both_layouts_are_found, set_up),
		cmocka_unit_test_setup(test_cut_images_are_read_no_further, set_up),
		cmocka_unit_test_setup(test_all_that_stay_are_paired, set_up),
		cmocka_unit_test_setup(test_tables_that_no_kernel_makes_are_none, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
