/* SPDX-License-Identifier: MIT */
#include "pair.h"

/* ---- contents ----------------------------------------------------------------------------------
 */

static void put_word(uint8_t *at, size_t left, uint32_t word)
{
	for (size_t i = 0; i < 4 && i < left; i++)
		at[i] = (uint8_t)(word >> (8 * i));
}

/* Branches, pairs of ADRP and ADD or LDR, compares, moves. */
static uint32_t a64_word(uint32_t *state)
{
	static const uint32_t opcodes[] = { 0x14000000, 0x94000000, 0x54000000, 0x34000000,
					    0x36000000, 0x10000000, 0x90000000, 0x91000000,
					    0xf9400000, 0x58000000, 0xaa0003e0, 0x3dc00000 };
	uint32_t opcode = opcodes[random_below(state, 12)], noise = random_next(state);

	if (noise >> 31) /* near, on the same register: partners meet */
		return opcode | (noise & 0x7f) << 10 | (opcode & 0x01000000 ? 0 : 3u << 5);
	return opcode | (noise & 0x00ffffff & ~(opcode >> 1));
}

static uint32_t x86_word(uint32_t *state)
{
	static const uint32_t words[] = { 0x000010e8, 0x0000e900, 0x058b4800, 0x00840f90,
					  0x66660fc5, 0x41bf0f62, 0xc0c74890, 0x90909090 };

	return words[random_below(state, 8)] ^ (random_next(state) & 0x00030003);
}

/* Records as often as words; counts small, so that several follow each other. */
static uint32_t btf_word(uint32_t *state, size_t i)
{
	uint32_t noise = random_next(state);

	return i % 4 == 1 ? (noise & 0x1f000000) | (noise & 3) : noise & 0x3f;
}

/* Fills with one kind of content. */
static void fill(uint8_t *bytes, size_t count, unsigned kind, uint32_t *state)
{
	uint32_t base = random_next(state) & 0xfff;

	for (size_t i = 0; i < count; i += 4) {
		uint32_t word = random_next(state);

		switch (kind) {
		case 0:
			word = 0;
			break;
		case 1:
			word = a64_word(state);
			break;
		case 2:
			word = x86_word(state);
			break;
		case 3:
			word = btf_word(state, i / 4);
			break;
		case 4:
			word = i / 4 % 2 ? 0 : 0x1000 + (word & 0xffc);
			break; /* pointers */
		case 5:
			word = base + (uint32_t)i * 3;
			break; /* a table */
		case 6:
			word = 0x20202020 | (word & 0x0f0f0f0f);
			break; /* text */
		case 7:
			word = i / 4 % 2 ? 0xffff8000 : 0x08000000 + (word & 0xfff);
			break;
		default:
			break;
		}
		put_word(bytes + i, count - i, word);
	}
}

static uint32_t choose_size(struct choices *choices)
{
	switch (choose(choices, 8)) {
	case 0:
		return choose(choices, 3);
	case 1:
		return 510 + choose(choices, 5);
	case 2:
		return 1 + choose(choices, 256);
	case 3:
		return 512 * choose(choices, PAIR_BYTES_MAX / 512 + 1);
	default:
		return choose(choices, PAIR_BYTES_MAX + 1);
	}
}

static uint8_t *make_old(struct choices *choices, uint32_t bytes, uint32_t *state)
{
	uint8_t *image = malloc(bytes ? bytes : 1);
	uint32_t at = 0;

	REQUIRE(image);
	while (at < bytes) {
		uint32_t count = 1 + choose(choices, 1024), kind = choose(choices, 9);

		if (count > bytes - at)
			count = bytes - at;
		fill(image + at, count, kind, state);
		at += count;
	}
	return image;
}

/* ---- edits -------------------------------------------------------------------------------------
 */

/* Changes of single words and bytes, as source code that moves makes them. */
static void damage(struct choices *choices, uint8_t *bytes, uint32_t count, uint32_t *state)
{
	unsigned kind = choose(choices, 5);
	uint32_t delta = random_next(state) & 0x3c, every = 1 + choose(choices, 64);

	if (kind == 0)
		return;
	for (uint32_t i = kind == 4 ? random_below(state, 4) : 0; i + 4 <= count; i += 4) {
		uint32_t word = dfota_get32(bytes + i);

		if (random_below(state, every) != 0)
			continue;
		if (kind == 1)
			bytes[i + random_below(state, 4)] ^=
			    (uint8_t)(1u << random_below(state, 8));
		else if (kind == 2)
			word = random_next(state);
		else
			word += delta;
		if (kind != 1)
			dfota_put32(bytes + i, word);
	}
}

static void add_piece(struct pair *pair, uint32_t at, uint32_t bytes, uint32_t old)
{
	if (bytes > 0 && pair->pieces.count < PAIR_PIECES_MAX)
		pair->piece_items[pair->pieces.count++] =
		    (struct diff_piece){ at, bytes, (int64_t)old - at };
}

/* New bytes as copies, moves and insertions; what is jumped over is deleted. */
static void make_new(struct pair *pair, struct choices *choices, uint8_t *image, uint32_t *state)
{
	uint32_t old_bytes = (uint32_t)pair->images.old_bytes, old = 0, at = 0;
	uint32_t new_bytes = (uint32_t)pair->images.new_bytes;

	while (at < new_bytes) {
		uint32_t count = 1 + choose(choices, choose(choices, 2) ? 40 : 2000);
		unsigned kind = choose(choices, 8);

		if (count > new_bytes - at)
			count = new_bytes - at;
		if (kind == 0 || old_bytes == 0) {
			fill(image + at, count, random_below(state, 9), state);
			at += count;
			continue;
		}
		if (kind == 1)
			old = choose(choices, old_bytes);
		else if (kind == 2)
			old += choose(choices, 70);
		if (old >= old_bytes)
			old = kind & 1 ? choose(choices, old_bytes) : 0;
		if (count > old_bytes - old)
			count = old_bytes - old;
		memcpy(image + at, pair->images.old_image + old, count);
		damage(choices, image + at, count, state);
		add_piece(pair, at, count, old);
		at += count;
		old += count;
	}
}

/* ---- pieces ------------------------------------------------------------------------------------
 */

/* Anything that is allowed, whether it fits the contents or not. */
static void wild_pieces(struct pair *pair, struct choices *choices, uint32_t *state)
{
	uint32_t old_bytes = (uint32_t)pair->images.old_bytes, at = 0;
	uint32_t most = choose(choices, 3) == 0 ? 3 : 1 + choose(choices, 200);

	pair->pieces.count = 0;
	while (old_bytes > 0 && at < pair->images.new_bytes) {
		uint32_t bytes = 1 + random_below(state, most),
			 old = random_below(state, old_bytes);

		at += random_below(state, 4) == 0 ? random_below(state, 9) : 0;
		if (at >= pair->images.new_bytes)
			break;
		if (bytes > old_bytes - old)
			bytes = old_bytes - old;
		if (bytes > pair->images.new_bytes - at)
			bytes = (uint32_t)pair->images.new_bytes - at;
		add_piece(pair, at, bytes, old);
		at += bytes;
	}
}

/* Pieces that begin later or end earlier than they could. */
static void trim_pieces(struct pair *pair, uint32_t *state)
{
	size_t kept = 0;

	for (size_t i = 0; i < pair->pieces.count; i++) {
		struct diff_piece piece = pair->piece_items[i];
		uint32_t front = random_below(state, 4), back = random_below(state, 4);

		if (piece.bytes <= front + back || random_below(state, 16) == 0)
			continue;
		piece.at += front;
		piece.bytes -= front + back;
		pair->piece_items[kept++] = piece;
	}
	pair->pieces.count = kept;
}

/* ---- regions -----------------------------------------------------------------------------------
 */

static uint64_t choose_va(struct choices *choices, uint32_t mem_bytes, uint32_t start)
{
	static const uint64_t bases[] = { 0,
					  0x1000,
					  0x400000,
					  0xffff800008000000,
					  0x7ffffff0,
					  0xfffffff0,
					  0x8000000000000000 - 64 };
	unsigned base = choose(choices, 8);

	return base == 7 ? UINT64_MAX - mem_bytes - choose(choices, 8)
			 : bases[base] + start + choose(choices, 8);
}

static struct region make_region(struct choices *choices, uint32_t start, uint32_t bytes)
{
	struct region region = {
		.start = start,
		.bytes = bytes,
		.mem_bytes = bytes + (choose(choices, 2) ? 0 : choose(choices, 5000)),
		.group = (uint16_t)choose(choices, 3),
		.kind = (uint8_t)choose(choices, REGION_KINDS),
	};

	region.va = choose_va(choices, region.mem_bytes, start);
	return region;
}

static uint32_t make_regions(struct choices *choices, struct region *items, uint32_t image_bytes)
{
	uint32_t most = choose(choices, PAIR_REGIONS_MAX + 1), count = 0, at = 0;
	uint32_t grain = 1u << choose(choices, 3); /* starts are aligned or not */

	while (count < most && at < image_bytes) {
		uint32_t start = at + choose(choices, 3) * choose(choices, 64) / grain * grain;
		uint32_t bytes = 1 + choose(choices, choose(choices, 2) ? 2048 : 64);

		if (start >= image_bytes)
			break;
		if (bytes > image_bytes - start)
			bytes = image_bytes - start;
		items[count++] = make_region(choices, start, bytes);
		at = start + bytes;
	}
	return count;
}

/* Regions of the old image where they are in the new one, as far as that is possible. */
static uint32_t move_regions(struct choices *choices, const struct region *old, uint32_t old_count,
			     struct region *items, uint32_t image_bytes)
{
	uint32_t count = 0, at = 0;

	for (uint32_t i = 0; i < old_count; i++) {
		struct region region = old[i];
		uint32_t shift = choose(choices, 3) * 4 + (choose(choices, 8) == 0);

		region.start = region.start + shift < at ? at : region.start + shift;
		if (region.start >= image_bytes)
			break;
		if (region.bytes > image_bytes - region.start)
			region.bytes = image_bytes - region.start;
		if (region.va < UINT32_MAX)
			region.va += choose(choices, 4) * 4;
		if (region.mem_bytes < region.bytes)
			region.mem_bytes = region.bytes;
		if (choose(choices, 16) == 0)
			region.kind = (uint8_t)choose(choices, REGION_KINDS);
		items[count++] = region;
		at = region.start + region.bytes;
	}
	return count;
}

void pair_make(struct pair *pair, struct choices *choices)
{
	uint32_t state = choose(choices, 1u << 24), old_bytes = choose_size(choices);
	uint32_t new_bytes = choose(choices, 4) ? old_bytes : choose_size(choices);
	uint8_t *new_image = malloc(new_bytes ? new_bytes : 1);

	REQUIRE(new_image);
	*pair = (struct pair){ .images = { make_old(choices, old_bytes, &state), new_image,
					   old_bytes, new_bytes } };
	pair->pieces.items = pair->piece_items;
	make_new(pair, choices, new_image, &state);
	switch (choose(choices, 4)) {
	case 0:
		wild_pieces(pair, choices, &state);
		break;
	case 1:
		trim_pieces(pair, &state);
		break;
	default:
		break;
	}
	pair->old_regions.items = pair->old_items;
	pair->new_regions.items = pair->new_items;
	pair->old_regions.count = make_regions(choices, pair->old_items, old_bytes);
	if (choose(choices, 4))
		pair->new_regions.count = move_regions(
		    choices, pair->old_items, pair->old_regions.count, pair->new_items, new_bytes);
	else
		pair->new_regions.count = make_regions(choices, pair->new_items, new_bytes);
}

void pair_free(struct pair *pair)
{
	free((void *)(uintptr_t)pair->images.old_image);
	free((void *)(uintptr_t)pair->images.new_image);
}

/* ---- bounds ------------------------------------------------------------------------------------
 */

static void check_regions(const struct regions *regions, uint32_t image_bytes)
{
	uint32_t end = 0;

	REQUIRE(regions->count <= REGIONS_MAX);
	for (uint32_t i = 0; i < regions->count; i++) {
		const struct region *region = &regions->items[i];

		REQUIRE(region->start >= end && region->bytes > 0);
		REQUIRE(dfota_inside(region->start, region->bytes, image_bytes));
		REQUIRE(region->mem_bytes >= region->bytes && region->kind < REGION_KINDS);
		REQUIRE(region->va <= UINT64_MAX - region->mem_bytes);
		end = region->start + region->bytes;
	}
	for (uint32_t i = 1; i < regions->count; i++) {
		const struct region *a = &regions->items[regions->by_address[i - 1]];
		const struct region *b = &regions->items[regions->by_address[i]];

		REQUIRE(a->group < b->group || (a->group == b->group && a->va <= b->va));
	}
}

static void check_symbols(const struct map *map)
{
	uint32_t old = 0, new = 0;

	for (uint32_t i = 0; i < map->symbol_run_count; i++) {
		const struct map_types *run = &map->symbols[i];

		REQUIRE(run->old >= old && run->count > 0);
		REQUIRE(run->old + (uint32_t)run->shift >= new);
		old = run->old + run->count;
		new = old + (uint32_t)run->shift;
		REQUIRE(old <= SYMBOLS_MAX && new <= SYMBOLS_MAX);
	}
}

void pair_check_map(const struct map *map)
{
	uint64_t end = 0;

	check_regions(&map->old_regions, map->old_bytes);
	check_regions(&map->new_regions, map->new_bytes);
	REQUIRE(map->piece_count <= MAP_PIECES_MAX && map->entry_count <= map->piece_count);
	for (uint32_t i = 0; i < map->piece_count; i++) {
		const struct map_piece *piece = &map->pieces[i];
		int64_t old = (int64_t)piece->at + piece->diagonal;

		REQUIRE(piece->at >= end && piece->bytes > 0 && old >= 0);
		REQUIRE(dfota_inside(piece->at, piece->bytes, map->new_bytes));
		REQUIRE(dfota_inside((uint64_t)old, piece->bytes, map->old_bytes));
		end = (uint64_t)piece->at + piece->bytes;
	}
	end = 0;
	for (uint32_t i = 0; i < map->entry_count; i++) {
		const struct map_entry *entry = &map->entries[i];
		int64_t new = (int64_t)entry->old - entry->diagonal;

		REQUIRE(entry->old >= end && entry->bytes > 0 && new >= 0);
		REQUIRE(dfota_inside(entry->old, entry->bytes, map->old_bytes));
		REQUIRE(dfota_inside((uint64_t) new, entry->bytes, map->new_bytes));
		end = (uint64_t)entry->old + entry->bytes;
	}
	end = 0;
	for (uint32_t i = 0; i < map->type_run_count; i++) {
		const struct map_types *run = &map->types[i];

		REQUIRE(run->old >= end && run->count > 0);
		end = (uint64_t)run->old + run->count;
		REQUIRE(end <= UINT32_MAX);
	}
	check_symbols(map);
}
