/* SPDX-License-Identifier: MIT
 *
 * Private to the matcher: three ways to look at the same bytes.
 *
 *   raw     the image
 *   shape   fields that change when code moves are zero: what exact matches are searched in
 *   keyed   tokens that hold an address are a key made of what they do and where they lead in the
 * new image, so that "old and new are the same here" means "the decoder will predict it"
 *
 * Everything is done in cells of four bytes, at new positions that are multiples of four as a region counts: see
 * region_phase.
 */
#ifndef DFOTA_DIFF_MATCH_VIEW_H
#define DFOTA_DIFF_MATCH_VIEW_H

#include "../codec/map.h"
#include "match.h"

#define CELL	    4u
#define NO_DISTANCE 0u /* in distances: nothing predicted */

struct view_side {
	const uint8_t *raw;
	uint32_t bytes;
	const struct regions *regions;
	uint8_t *shape, *keyed;
};

struct view {
	struct view_side old, new;
	/* For each old word where its region counts a multiple of four, by position / 4: where data would lead that is
	 * a distance, salted by its region. Of the new image it is found from position and word: view_distance.
	 */
	uint32_t *distances;
	uint8_t *text;	 /* bit for each cell of the new image that stands in text */
	bool literals_cheap;
	bool predicted;	 /* old keys and distances come from a map */
	bool has_phases; /* some region's is not 0 */
};

/* Shapes, and keys of the new image. Errors: DFOTA_E_MEMORY. view_close accepts a view half made.
 */
int view_open(struct view *view, const struct diff_match_input *input) DFOTA_MUST_CHECK;
void view_close(struct view *view);

/* Fills view->text; called by view_open. */
int view_find_text(struct view *view) DFOTA_MUST_CHECK;

static inline bool view_is_text(const struct view *view, uint32_t at)
{
	return view->text[at / (8 * CELL)] >> (at / CELL % 8) & 1;
}

/* Keys and distances of the old image for what `map` predicts; pointers in its shape move with it.
 */
int view_predict(struct view *view, const struct map *map, unsigned threads) DFOTA_MUST_CHECK;

/* Where the region, or the bytes outside of any, that `at` stands in ends; at most `end`. */
uint32_t view_region(const struct view *view, uint32_t at, uint32_t end,
		     const struct region **ret_region);

/* Salt of keys and distances: only versions of the same program, and of the same kind, are
 * comparable. */
static inline uint32_t view_salt(const struct region *region)
{
	return (((uint32_t)region->group << 4 | region->kind) + 1) * 0x85ebca6bu;
}

/* Kinds in which data may be a distance or an address; see fixed.c. */
static inline bool view_has_data(const struct region *region)
{
	return region->kind == REGION_A64 || region->kind == REGION_A32 || region->kind == REGION_RISCV ||
	       region->kind == REGION_DATA32 || region->kind == REGION_DATA64 ||
	       (region->kind >= REGION_FRAME_TABLE && region->kind <= REGION_HASH);
}

static inline uint32_t view_distance(const struct region *region, uint32_t at, uint32_t word)
{
	return ((uint32_t)region->va + (at - region->start) + word) ^ view_salt(region);
}

/* Phase of the old region that holds `at`. */
static inline uint32_t view_old_phase(const struct view *view, uint32_t at)
{
	return view->has_phases ? regions_phase(view->old.regions, at) : 0;
}

/* Bytes from new position `at` to the first cell. */
static inline uint32_t view_to_cell(const struct view *view, uint32_t at)
{
	return (0u - at - (view->has_phases ? regions_phase(view->new.regions, at) : 0)) % CELL;
}

/* Diagonals that, as regions count, are no multiple of mask + 1 bring no prediction in this region. */
static inline uint32_t view_mask(const struct region *region)
{
	if (!region || region->kind == REGION_X86 || region->kind == REGION_BTF_STRINGS)
		return 0;
	return region->kind == REGION_T32 || region->kind == REGION_RISCV ? 1 : 3;
}

#endif
