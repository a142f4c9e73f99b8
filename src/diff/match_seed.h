/* SPDX-License-Identifier: MIT
 *
 * Private to the matcher: diagonals worth a try, and where.
 */
#ifndef DFOTA_DIFF_MATCH_SEED_H
#define DFOTA_DIFF_MATCH_SEED_H

#include "match_view.h"

#define MATCH_STRETCH (1u << 20) /* new bytes that are worked on as one */

/* Around new bytes [at, at + bytes) the old bytes on this diagonal are promising. */
struct seed {
	uint32_t at, bytes;
	int32_t diagonal;
};

struct seeds {
	struct seed *items;
	size_t count, room;
};

/* One that the last seed goes on with makes that one longer. */
int seeds_add(struct seeds *seeds, uint32_t at, uint32_t bytes, int64_t diagonal) DFOTA_MUST_CHECK;
void seeds_free(struct seeds *seeds); /* accepts a zeroed struct */

/* Each of these appends to stretches[i] seeds that start in new bytes [i * MATCH_STRETCH, (i + 1) *
 * MATCH_STRETCH) and end there. */

/* Exact matches of shapes. Makes a suffix array: four bytes for each old one. */
int seeds_from_shapes(const struct view *view, unsigned threads,
		      struct seeds *stretches) DFOTA_MUST_CHECK;

/* Tokens that lead to the same place, where `pieces` explain nothing. The view is predicted. */
int seeds_from_targets(const struct view *view, const struct diff_pieces *pieces, unsigned threads,
		       struct seeds *stretches) DFOTA_MUST_CHECK;

int seeds_from_pieces(const struct diff_pieces *pieces, struct seeds *stretches) DFOTA_MUST_CHECK;

/* By place, then diagonal; no two the same. */
void seeds_sort(struct seeds *seeds);

static inline size_t match_stretches(const struct view *view)
{
	return (size_t)dfota_ceil_div64(view->new.bytes, MATCH_STRETCH);
}

#endif
