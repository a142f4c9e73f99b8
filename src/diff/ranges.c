/* SPDX-License-Identifier: MIT
 *
 * Sets of byte ranges.
 */
#include "ranges.h"

#include <stdlib.h>

int diff_ranges_add(struct diff_ranges *ranges, uint64_t start, uint64_t end)
{
	struct diff_range *last = ranges->count ? &ranges->items[ranges->count - 1] : NULL;

	if (start >= end)
		return 0;
	if (last && start >= last->start && start <= last->end) {
		last->end = end > last->end ? end : last->end;
		return 0;
	}
	if (ranges->count == ranges->room) {
		size_t room = ranges->room ? ranges->room * 2 : 64;
		struct diff_range *items = realloc(ranges->items, room * sizeof(*items));

		if (!items)
			return DFOTA_E_MEMORY;
		ranges->items = items;
		ranges->room = room;
	}
	ranges->items[ranges->count++] = (struct diff_range){ start, end };
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct diff_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

void diff_ranges_normalise(struct diff_ranges *ranges)
{
	size_t kept = 0;

	if (ranges->count < 2)
		return;
	qsort(ranges->items, ranges->count, sizeof(*ranges->items), compare_ranges);
	for (size_t i = 1; i < ranges->count; i++) {
		struct diff_range *last = &ranges->items[kept], next = ranges->items[i];

		if (next.start > last->end)
			ranges->items[++kept] = next;
		else if (next.end > last->end)
			last->end = next.end;
	}
	ranges->count = kept + 1;
}

size_t diff_ranges_find(const struct diff_ranges *ranges, uint64_t offset)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges->items[middle].end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void diff_ranges_free(struct diff_ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct diff_ranges){ 0 };
}
