/* SPDX-License-Identifier: MIT
 *
 * Regions by address.
 */
#include "region.h"

/* Regions at the same address stand as in the image: what is followed must not depend on how one sorts. */
static bool stands_before(const struct region *a, const struct region *b)
{
	if (a->group != b->group)
		return a->group < b->group;
	return a->va != b->va ? a->va < b->va : a->start < b->start;
}

static void sift_down(const struct regions *regions, size_t at, size_t count)
{
	uint32_t *heap = regions->by_address, value = heap[at];
	const struct region *items = regions->items;

	while (at * 2 + 1 < count) {
		size_t child = at * 2 + 1;

		if (child + 1 < count &&
		    stands_before(&items[heap[child]], &items[heap[child + 1]]))
			child++;
		if (!stands_before(&items[value], &items[heap[child]]))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = value;
}

void regions_sort(struct regions *regions)
{
	uint32_t *heap = regions->by_address;

	for (uint32_t i = 0; i < regions->count; i++)
		heap[i] = i;
	for (size_t i = regions->count / 2; i-- > 0;)
		sift_down(regions, i, regions->count);
	for (size_t i = regions->count; i-- > 1;) {
		uint32_t top = heap[0];

		heap[0] = heap[i];
		heap[i] = top;
		sift_down(regions, 0, i);
	}
}

const struct region *region_before(const struct regions *regions, uint32_t position)
{
	uint32_t low = 0, high = regions->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (regions->items[middle].start <= position)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? &regions->items[low - 1] : NULL;
}

/* Index in by_address of the group's first region. */
static uint32_t first_of_group(const struct regions *regions, uint16_t group)
{
	uint32_t low = 0, high = regions->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (regions->items[regions->by_address[middle]].group < group)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct region *regions_of_kind(const struct regions *regions, uint16_t group, unsigned kind)
{
	for (uint32_t i = first_of_group(regions, group); i < regions->count; i++) {
		const struct region *region = &regions->items[regions->by_address[i]];

		if (region->group != group)
			break;
		if (region->kind == kind)
			return region;
	}
	return NULL;
}

bool regions_base(const struct regions *regions, uint16_t group, uint64_t *ret_base)
{
	uint32_t first = first_of_group(regions, group);
	const struct region *region;

	if (first == regions->count)
		return false;
	region = &regions->items[regions->by_address[first]];
	*ret_base = region->va;
	return region->group == group;
}
