/* SPDX-License-Identifier: MIT
 *
 * Where ring and stash lie in the area behind the journal.
 *
 * A package places copies in stash blocks of 4 KiB. Where the area's blocks are larger (flash that is
 * erased, UBI), the stash blocks of one step share blocks of the area: those live and die with the step's last
 * reader. Each step gets the lowest run of free blocks, which follows from the package and the area's geometry
 * alone, so that it is the same after each restart. If that does not come out below a block of the area for each
 * stash block, this is how it is.
 */
#include "engine.h"

#define STASH_BLOCK   DFOTA_DELTA_STASH_BLOCK
#define BLOCKS_SHARED 8192u /* stash blocks; a stash of more is not searched for room at each step */

static uint32_t stash_blocks(const struct dfota_delta_header *header)
{
	return (uint32_t)dfota_ceil_div64(header->stash_bytes, STASH_BLOCK);
}

/* They are written together, out of the larger of two buffers. */
static uint32_t most_shared(const struct dfota_delta_header *header, uint32_t erase_bytes)
{
	uint32_t room = header->segment_bytes > UPDATER_IO_BYTES ? header->segment_bytes : UPDATER_IO_BYTES;
	uint32_t bytes = erase_bytes < room ? erase_bytes : room;

	return bytes < 2 * STASH_BLOCK ? 1 : bytes / STASH_BLOCK;
}

/* Stash blocks that the step's copies lie in, and the first step that finds them free again. */
static int step_needs(struct dfota_delta_cursor *cursor, uint32_t *ret_blocks, uint32_t *ret_free)
{
	struct dfota_delta_copy copy;
	uint32_t end = 0; /* behind the last block that is counted */
	int error;

	*ret_blocks = *ret_free = 0;
	while (!(error = dfota_delta_next_copy(cursor, &copy))) {
		uint32_t first = copy.stash_offset / STASH_BLOCK;
		uint32_t behind = (copy.stash_offset + copy.bytes - 1) / STASH_BLOCK + 1;

		*ret_blocks += behind - (first < end ? end : first);
		end = behind;
		if (*ret_free < copy.last_reader + 1)
			*ret_free = copy.last_reader + 1;
	}
	return error == DFOTA_E_NOT_FOUND ? 0 : error;
}

/* First of `count` blocks that are free at `step`; `blocks` if there is none. */
static uint32_t find_free(const uint32_t *busy_until, uint32_t blocks, uint32_t count, uint32_t step)
{
	uint32_t run = 0;

	for (uint32_t i = 0; i < blocks; i++) {
		run = busy_until[i] <= step ? run + 1 : 0;
		if (run == count)
			return i + 1 - count;
	}
	return blocks;
}

size_t updater_stash_scratch(const struct dfota_delta_header *header)
{
	return stash_blocks(header) * sizeof(uint32_t);
}

int updater_stash_plan(const struct dfota_delta *delta, uint32_t erase_bytes, uint32_t *busy_until,
		       uint32_t *places, uint32_t *ret_shared, uint32_t *ret_blocks)
{
	uint32_t blocks = stash_blocks(&delta->header), shared = most_shared(&delta->header, erase_bytes);
	uint32_t most = 0, need, behind;
	struct dfota_delta_cursor cursor;
	struct dfota_delta_step step;
	uint64_t chunk_at;
	int error;

	*ret_shared = 1;
	*ret_blocks = blocks;
	if (shared == 1 || blocks > BLOCKS_SHARED || (uint64_t)blocks * shared * STASH_BLOCK > UINT32_MAX)
		return 0;
	memset(busy_until, 0, updater_stash_scratch(&delta->header));
	dfota_delta_rewind(&cursor, delta);
	while (!(error = dfota_delta_next(&cursor, &step, &chunk_at))) {
		uint32_t index = cursor.next_step - 1, place;

		error = step_needs(&cursor, &need, &behind);
		if (error)
			return error;
		need = (uint32_t)dfota_ceil_div64(need, shared);
		place = need > 0 ? find_free(busy_until, blocks, need, index) : 0;
		if (place == blocks && need > 0)
			return 0; /* no better than one for each */
		for (uint32_t i = place; i < place + need; i++)
			busy_until[i] = behind;
		if (places)
			places[index] = place * shared;
		most = need > 0 && place + need > most ? place + need : most;
	}
	if (error != DFOTA_E_NOT_FOUND)
		return error;
	*ret_shared = shared;
	*ret_blocks = most;
	return 0;
}

/* Most units that a step of the delta stages. */
static int staged_units(const struct dfota_delta *delta, uint32_t *ret_units)
{
	struct dfota_delta_cursor cursor;
	struct dfota_delta_step step;
	uint64_t chunk_at;
	uint32_t most = 0;
	int error;

	dfota_delta_rewind(&cursor, delta);
	while (!(error = dfota_delta_next(&cursor, &step, &chunk_at)))
		if (step.kind == DFOTA_STEP_REDO && updater_changed_count(&step) > most)
			most = updater_changed_count(&step);
	*ret_units = most;
	return error == DFOTA_E_NOT_FOUND ? 0 : error;
}

int updater_layout(struct dfota_package *package, const struct dfota_flash_geometry *area,
		   void *scratch, uint64_t scratch_bytes, struct layout *ret_layout)
{
	const struct dfota_manifest *manifest = dfota_package_manifest(package);
	struct dfota_flash flash = { .geometry = *area };
	struct layout layout = {
		.ring_at = dfota_record_store_bytes(&flash),
		.stash_stride = (uint32_t)updater_round_up(STASH_BLOCK, area->erase_bytes),
	};
	uint64_t ring = 0, stash = 0;

	for (uint32_t i = 0; i < manifest->partition_count; i++) {
		struct dfota_delta delta;
		uint32_t units, shared, blocks;
		uint64_t bytes;
		int error = dfota_package_delta(package, i, &delta);

		if (!error && scratch_bytes < updater_stash_scratch(&delta.header))
			error = DFOTA_E_MEMORY;
		if (!error)
			error = staged_units(&delta, &units);
		if (!error)
			error = updater_stash_plan(&delta, area->erase_bytes, scratch, NULL, &shared,
						   &blocks);
		if (error)
			return error;
		bytes = units * updater_round_up(delta.header.unit_bytes, area->erase_bytes);
		if (ring < bytes)
			ring = bytes;
		bytes = (uint64_t)blocks * layout.stash_stride;
		if (stash < bytes)
			stash = bytes;
	}
	layout.stash_at = layout.ring_at + updater_round_up(ring, layout.stash_stride);
	layout.bytes = layout.stash_at + stash;
	*ret_layout = layout;
	return 0;
}

uint64_t dfota_updater_area(struct dfota_package *package, const struct dfota_flash_geometry *area,
			    void *memory, uint64_t memory_bytes)
{
	struct layout layout;
	uint64_t skew = -(uintptr_t)memory & (sizeof(uint32_t) - 1);

	if (memory_bytes < skew ||
	    updater_layout(package, area, (uint8_t *)memory + skew, memory_bytes - skew, &layout))
		return 0;
	return layout.bytes;
}

void updater_stash_translate(struct stash_map *map, uint32_t step, struct dfota_delta_copy *copy)
{
	uint32_t first = copy->stash_offset / STASH_BLOCK;
	uint32_t more = (copy->stash_offset + copy->bytes - 1) / STASH_BLOCK - first;

	if (map->shared == 1)
		return;
	if (map->step != step + 1) {
		map->step = step + 1;
		map->place = map->places[step];
	} else if (first != map->block) {
		map->place++;
	}
	copy->stash_offset = map->place * STASH_BLOCK + copy->stash_offset % STASH_BLOCK;
	map->place += more;
	map->block = first + more;
}
