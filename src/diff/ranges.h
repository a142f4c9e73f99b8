/* SPDX-License-Identifier: MIT
 *
 * Private to diff: sets of byte ranges of the old image.
 */
#ifndef DFOTA_DIFF_RANGES_H
#define DFOTA_DIFF_RANGES_H

#include "dfota/bytes.h"

struct diff_range {
	uint64_t start, end;
};

/* Zeroed is empty. */
struct diff_ranges {
	struct diff_range *items;
	size_t count, room;
};

/* Appends [start, end); empty ranges are dropped, one that touches the last is joined. DFOTA_E_MEMORY. */
int diff_ranges_add(struct diff_ranges *ranges, uint64_t start, uint64_t end) DFOTA_MUST_CHECK;

/* Sorts and joins: ascending, disjoint, not touching. */
void diff_ranges_normalise(struct diff_ranges *ranges);

/* Index of the first range of a normalised set that ends after `offset`; count when there is none. */
size_t diff_ranges_find(const struct diff_ranges *ranges, uint64_t offset);

void diff_ranges_free(struct diff_ranges *ranges);

#endif
