/* SPDX-License-Identifier: MIT
 *
 * Pairs of small images with regions and pieces of every kind, made from a fuzz input.
 */
#ifndef FUZZ_PAIR_H
#define FUZZ_PAIR_H

#include "dfota/delta.h"

#include "../src/diff/predict_encode.h"
#include "choices.h"

#define PAIR_BYTES_MAX	 4096u
#define PAIR_REGIONS_MAX 12u
#define PAIR_PIECES_MAX	 600u

struct pair {
	struct diff_images images; /* each in a block of its exact size */
	struct region old_items[PAIR_REGIONS_MAX], new_items[PAIR_REGIONS_MAX];
	struct regions old_regions, new_regions;
	struct diff_pieces pieces; /* as the edits made them, or at random */
	struct diff_piece piece_items[PAIR_PIECES_MAX];
};

/* Whatever the input says, regions and pieces are as region.h and map.h want them. */
void pair_make(struct pair *pair, struct choices *choices);
void pair_free(struct pair *pair);

/* Aborts when a map does not hold what region.h and map.h say; entries and by_address are there. */
void pair_check_map(const struct map *map);

#endif
