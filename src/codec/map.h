/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: where old bytes have gone, and with them old addresses.
 *
 * The whole map of an image is known before its first segment is decoded, so a pointer can be followed to
 * code that is decoded later.
 */
#ifndef DFOTA_CODEC_MAP_H
#define DFOTA_CODEC_MAP_H

#include "region.h"

#define MAP_PIECES_MAX (1u << 19)
#define MAP_RUNS_MAX   (1u << 20)
#define MAP_ENTRY_MIN  8u /* bytes; shorter pieces say nothing about addresses */
#define MAP_PAGES      8192u /* that the old image is divided into at most */

/* New bytes [at, at + bytes) are aligned with the old bytes at `at + diagonal`. Ascending, without overlap, not empty; between
 * them is nothing old.
 */
struct map_piece {
	uint32_t at, bytes;
	int32_t diagonal;
};

/* Old bytes [old, old + bytes) are at `old - diagonal` in the new image. Sorted by old, without overlap. */
struct map_entry {
	uint32_t old, bytes;
	int32_t diagonal;
};

#define SYMBOLS_MAX (1u << 24)

/* Numbers [old, old + count), of BTF types or of symbols, have become `old + shift` and following. Sorted by old, without
 * overlap; those of symbols ascend in the new image as well.
 */
struct map_types {
	uint32_t old, count;
	int32_t shift;
};

struct map {
	uint32_t old_bytes, new_bytes;
	struct regions old_regions, new_regions; /* with by_address */
	const struct map_piece *pieces;
	uint32_t piece_count;
	struct map_entry *entries;
	uint32_t entry_count;
	uint32_t page_bits;                 /* a page has 2^page_bits old bytes */
	uint32_t first_of_page[MAP_PAGES + 1]; /* first entry that ends behind the page's start, so that searches are short */
	const struct map_types *types;
	uint32_t type_run_count;
	const struct map_types *symbols;
	uint32_t symbol_run_count;
};

enum map_answer { MAP_NONE, MAP_NEAR, MAP_EXACT };

/* Fills `entries` (room for piece_count of them) from pieces: longest first claim old bytes that are not yet claimed; ties to
 * the first. `scratch` has room for twice piece_count
 * numbers. Deterministic; O(n log n); no allocation.
 */
void map_make_entries(struct map *map, struct map_entry *entries, uint32_t *scratch);

/* Makes the pages; for entries that stand there already. map_make_entries does it too. */
void map_make_pages(struct map *map);

/* New position of an old one. MAP_NEAR: between entries, by the nearer one. `position` may be old_bytes (an end). */
enum map_answer map_position(const struct map *map, uint32_t position, uint32_t *ret_position);

/* New address of an address in the old program `group`. Follows the old region that holds it to the place in the new image,
 * which must be in a region of the same group. Behind a region's bytes (zero-filled memory) addresses keep their distance
 * from its end: MAP_NEAR.
 */
enum map_answer map_address(const struct map *map, uint16_t group, uint64_t address,
			    uint64_t *ret_address);

/* New number of a BTF type; MAP_NEAR by its neighbour's shift, or unmoved when there is none. */
enum map_answer map_type(const struct map *map, uint32_t type, uint32_t *ret_type);

/* New number of an old kernel symbol; false if it has gone. */
bool map_symbol(const struct map *map, uint32_t old, uint32_t *ret_new);

/* The other way; false if it is a fresh one. */
bool map_symbol_back(const struct map *map, uint32_t new, uint32_t *ret_old);

/* How many of `total` new symbols are fresh, how many of them come before a fresh `new` (false: it is none), and which is
 * the one with so many before it.
 */
uint32_t map_symbols_fresh(const struct map *map, uint32_t total);
bool map_symbol_rank(const struct map *map, uint32_t new, uint32_t *ret_rank);
uint32_t map_symbol_fresh(const struct map *map, uint32_t rank);

#endif
