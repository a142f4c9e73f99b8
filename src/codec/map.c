/* SPDX-License-Identifier: MIT
 *
 * Where old bytes have gone.
 */
#include "map.h"

/* ---- entries ---------------------------------------------------------------------------------
 *
 * Each old byte belongs to the longest piece that covers it. A longer piece never lies inside a shorter one, so
 * every piece keeps at most one run, and a sweep over old positions finds the runs in order.
 */

static uint32_t old_start(const struct map *map, uint32_t piece)
{
	return map->pieces[piece].at + (uint32_t)map->pieces[piece].diagonal;
}

static uint32_t old_end(const struct map *map, uint32_t piece)
{
	return old_start(map, piece) + map->pieces[piece].bytes;
}

typedef bool piece_order(const struct map *map, uint32_t a, uint32_t b);

static bool starts_earlier(const struct map *map, uint32_t a, uint32_t b)
{
	uint32_t x = old_start(map, a), y = old_start(map, b);

	return x != y ? x < y : a < b;
}

/* What the longest and, among equals, the first piece is not. */
static bool loses(const struct map *map, uint32_t a, uint32_t b)
{
	uint32_t x = map->pieces[a].bytes, y = map->pieces[b].bytes;

	return x != y ? x < y : a > b;
}

/* heap[0] is the one that is less than no other. */
static void sift_down(const struct map *map, uint32_t *heap, size_t at, size_t count,
		      piece_order *less)
{
	uint32_t value = heap[at];

	while (at * 2 + 1 < count) {
		size_t child = at * 2 + 1;

		if (child + 1 < count && less(map, heap[child], heap[child + 1]))
			child++;
		if (!less(map, value, heap[child]))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = value;
}

static void sift_up(const struct map *map, uint32_t *heap, size_t at, piece_order *less)
{
	uint32_t value = heap[at];

	while (at > 0 && less(map, heap[(at - 1) / 2], value)) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = value;
}

/* Heap sort, greatest last: no recursion, no bad case. */
static void sort_by_old(const struct map *map, uint32_t *order, size_t count)
{
	for (size_t i = count / 2; i-- > 0;)
		sift_down(map, order, i, count, starts_earlier);
	for (size_t i = count; i-- > 1;) {
		uint32_t top = order[0];

		order[0] = order[i];
		order[i] = top;
		sift_down(map, order, 0, i, starts_earlier);
	}
}

static void add_entry(struct map *map, struct map_entry *entries, uint32_t start, uint32_t end,
		      int32_t diagonal)
{
	struct map_entry *last = map->entry_count ? &entries[map->entry_count - 1] : NULL;

	if (last && last->diagonal == diagonal && last->old + last->bytes == start)
		last->bytes += end - start;
	else
		entries[map->entry_count++] = (struct map_entry){ start, end - start, diagonal };
}

void map_make_entries(struct map *map, struct map_entry *entries, uint32_t *scratch)
{
	uint32_t *order = scratch, *heap = scratch + map->piece_count;
	uint32_t count = 0, next = 0, active = 0, at = 0;

	map->entries = entries;
	map->entry_count = 0;
	for (uint32_t i = 0; i < map->piece_count; i++)
		if (map->pieces[i].bytes >= MAP_ENTRY_MIN)
			order[count++] = i;
	sort_by_old(map, order, count);
	while (next < count || active > 0) {
		uint32_t end;

		if (active == 0)
			at = old_start(map, order[next]);
		while (next < count && old_start(map, order[next]) <= at) {
			heap[active] = order[next++];
			sift_up(map, heap, active++, loses);
		}
		if (old_end(map, heap[0]) <= at) {
			heap[0] = heap[--active];
			if (active > 0)
				sift_down(map, heap, 0, active, loses);
			continue;
		}
		end = old_end(map, heap[0]);
		if (next < count && old_start(map, order[next]) < end)
			end = old_start(map, order[next]);
		add_entry(map, entries, at, end, map->pieces[heap[0]].diagonal);
		at = end;
	}
	map_make_pages(map);
}

void map_make_pages(struct map *map)
{
	uint32_t entry = 0;

	map->page_bits = 0;
	while (map->old_bytes >> map->page_bits >= MAP_PAGES)
		map->page_bits++;
	for (uint64_t page = 0; page <= MAP_PAGES; page++) {
		while (entry < map->entry_count &&
		       map->entries[entry].old + map->entries[entry].bytes <= page << map->page_bits)
			entry++;
		map->first_of_page[page] = entry;
	}
}

/* ---- look-up ----------------------------------------------------------------------------------- */

/* Index of the first entry that ends after `old`, which is at most old_bytes. */
static uint32_t entry_find(const struct map *map, uint32_t old)
{
	uint32_t page = old >> map->page_bits;
	uint32_t low = map->first_of_page[page], high = map->first_of_page[page + 1];

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (map->entries[middle].old + map->entries[middle].bytes <= old)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum map_answer map_position(const struct map *map, uint32_t position, uint32_t *ret_position)
{
	uint32_t i = entry_find(map, position);
	const struct map_entry *entry, *before;
	int64_t moved;

	if (map->entry_count == 0)
		return MAP_NONE;
	entry = &map->entries[i];
	before = i > 0 ? entry - 1 : entry;
	if (i < map->entry_count && entry->old <= position) {
		*ret_position = position - (uint32_t)entry->diagonal;
		return MAP_EXACT;
	}
	if (i == map->entry_count ||
	    (i > 0 && position - (before->old + before->bytes) < entry->old - position))
		entry = before;
	moved = (int64_t)position - entry->diagonal;
	if (moved < 0 || moved > map->new_bytes)
		return MAP_NONE;
	*ret_position = (uint32_t)moved;
	return MAP_NEAR;
}

/* Number of regions, in the order of addresses, that come before (group, address) or stand on it. */
static uint32_t regions_up_to(const struct regions *regions, uint32_t group, uint64_t address)
{
	uint32_t low = 0, high = regions->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct region *region = &regions->items[regions->by_address[middle]];

		if (region->group < group || (region->group == group && region->va <= address))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Behind the bytes of a region, addresses keep their distance from its end; it is as many from the group's last. */
static enum map_answer map_zero_filled(const struct map *map, uint32_t old_rank,
				       const struct region *old, uint64_t address,
				       uint64_t *ret_address)
{
	uint32_t from_end = regions_up_to(&map->old_regions, old->group, UINT64_MAX) - old_rank;
	uint32_t new_end = regions_up_to(&map->new_regions, old->group, UINT64_MAX);
	const struct region *new;

	if (new_end <= from_end)
		return MAP_NONE;
	new = &map->new_regions.items[map->new_regions.by_address[new_end - 1 - from_end]];
	if (new->group != old->group)
		return MAP_NONE;
	*ret_address = address - (old->va + old->bytes) + (new->va + new->bytes);
	return MAP_NEAR;
}

enum map_answer map_address(const struct map *map, uint16_t group, uint64_t address,
			    uint64_t *ret_address)
{
	uint32_t rank = regions_up_to(&map->old_regions, group, address), position;
	const struct region *old, *new;
	enum map_answer answer;

	if (rank == 0)
		return MAP_NONE;
	old = &map->old_regions.items[map->old_regions.by_address[rank - 1]];
	if (old->group != group || address - old->va > old->mem_bytes)
		return MAP_NONE;
	if (address - old->va > old->bytes)
		return map_zero_filled(map, rank, old, address, ret_address);
	answer = map_position(map, old->start + (uint32_t)(address - old->va), &position);
	if (answer == MAP_NONE)
		return MAP_NONE;
	new = region_at(&map->new_regions, position);
	if (!new && position > 0)
		new = region_at(&map->new_regions, position - 1);
	if (!new || new->group != group)
		return MAP_NONE;
	*ret_address = new->va + (position - new->start);
	return answer;
}

/* Index of the last run with old <= number, or of none. */
static const struct map_types *run_of(const struct map_types *runs, uint32_t count, uint32_t old)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (runs[middle].old <= old)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? &runs[low - 1] : NULL;
}

enum map_answer map_type(const struct map *map, uint32_t type, uint32_t *ret_type)
{
	const struct map_types *run = run_of(map->types, map->type_run_count, type);

	*ret_type = type;
	if (!run)
		return MAP_NEAR;
	*ret_type = type + (uint32_t)run->shift;
	return type - run->old < run->count ? MAP_EXACT : MAP_NEAR;
}

/* ---- symbols ----------------------------------------------------------------------------------- */

bool map_symbol(const struct map *map, uint32_t old, uint32_t *ret_new)
{
	const struct map_types *run = run_of(map->symbols, map->symbol_run_count, old);

	if (!run || old - run->old >= run->count)
		return false;
	*ret_new = old + (uint32_t)run->shift;
	return true;
}

static uint32_t new_start(const struct map_types *run)
{
	return run->old + (uint32_t)run->shift;
}

/* Number of runs whose new numbers start at or before `new`. */
static uint32_t runs_up_to(const struct map *map, uint32_t new)
{
	uint32_t low = 0, high = map->symbol_run_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (new_start(&map->symbols[middle]) <= new)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool map_symbol_back(const struct map *map, uint32_t new, uint32_t *ret_old)
{
	uint32_t count = runs_up_to(map, new);
	const struct map_types *run;

	if (count == 0)
		return false;
	run = &map->symbols[count - 1];
	if (new - new_start(run) >= run->count)
		return false;
	*ret_old = new - (uint32_t)run->shift;
	return true;
}

uint32_t map_symbols_fresh(const struct map *map, uint32_t total)
{
	uint32_t fresh = 0, end = 0;

	for (uint32_t i = 0; i < map->symbol_run_count; i++) {
		fresh += new_start(&map->symbols[i]) - end;
		end = new_start(&map->symbols[i]) + map->symbols[i].count;
	}
	return total > end ? fresh + (total - end) : fresh;
}

bool map_symbol_rank(const struct map *map, uint32_t new, uint32_t *ret_rank)
{
	uint32_t count = runs_up_to(map, new), taken = 0, old;

	if (map_symbol_back(map, new, &old))
		return false;
	for (uint32_t i = 0; i < count; i++)
		taken += map->symbols[i].count;
	*ret_rank = new - taken;
	return true;
}

uint32_t map_symbol_fresh(const struct map *map, uint32_t rank)
{
	for (uint32_t i = 0; i < map->symbol_run_count && new_start(&map->symbols[i]) <= rank; i++)
		rank += map->symbols[i].count;
	return rank;
}
