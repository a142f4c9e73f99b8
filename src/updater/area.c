/* SPDX-License-Identifier: MIT
 *
 * Where ring and stash lie in the area behind the journal; and the stash.
 *
 * Both hold data only, no headers: the journal says when they are valid, the digest of what is
 * decoded from them says whether they still are. No block of the area is shared by ring and stash,
 * or by two stash blocks, so a torn write harms nothing that an earlier record speaks of.
 */
#include "engine.h"

#define STASH_BLOCK DFOTA_DELTA_STASH_BLOCK

_Static_assert(2 * STASH_BLOCK <= UPDATER_IO_BYTES, "two stash blocks fit the buffer");

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
		   struct layout *ret_layout)
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
		uint64_t bytes;
		uint32_t units;
		int error = dfota_package_delta(package, i, &delta);

		if (!error)
			error = staged_units(&delta, &units);
		if (error)
			return error;
		bytes = units * updater_round_up(delta.header.unit_bytes, area->erase_bytes);
		if (ring < bytes)
			ring = bytes;
		bytes =
		    dfota_ceil_div64(delta.header.stash_bytes, STASH_BLOCK) * layout.stash_stride;
		if (stash < bytes)
			stash = bytes;
	}
	layout.stash_at = layout.ring_at + updater_round_up(ring, layout.stash_stride);
	layout.bytes = layout.stash_at + stash;
	*ret_layout = layout;
	return 0;
}

uint64_t dfota_updater_area(struct dfota_package *package, const struct dfota_flash_geometry *area)
{
	struct layout layout;

	return updater_layout(package, area, &layout) ? 0 : layout.bytes;
}

static uint64_t stash_at(const struct engine *e, uint32_t stash_offset)
{
	return e->layout.stash_at +
	       (uint64_t)(stash_offset / STASH_BLOCK) * e->layout.stash_stride +
	       stash_offset % STASH_BLOCK;
}

/* Bytes from `stash_offset` to the end of its block, at most `bytes`. */
static size_t in_block(uint32_t stash_offset, size_t bytes)
{
	return (size_t)dfota_min64(bytes, STASH_BLOCK - stash_offset % STASH_BLOCK);
}

int updater_stash_read(struct engine *e, uint32_t stash_offset, uint8_t *out, size_t bytes)
{
	while (bytes > 0) {
		size_t n = in_block(stash_offset, bytes);
		int error = dfota_flash_read(e->config->area, stash_at(e, stash_offset), out, n);

		if (error)
			return updater_fail(e, DFOTA_WHERE_STASH, error);
		stash_offset += (uint32_t)n;
		out += n;
		bytes -= n;
	}
	return 0;
}

/* Writes the stash block that stands in the first part of the buffer. */
static int block_write(struct engine *e, uint32_t block)
{
	e->report->writes++;
	e->report->stash_bytes += STASH_BLOCK;
	return updater_fail(e, DFOTA_WHERE_STASH,
			    dfota_flash_replace(e->config->area, stash_at(e, block * STASH_BLOCK),
						e->io, STASH_BLOCK));
}

/* Copies come in ascending order of their place and share blocks only with each other. */
static int copies_write(struct engine *e)
{
	struct dfota_delta_copy copy;
	uint32_t block = UINT32_MAX;
	int error;

	while (!(error = updater_partition_copy(e, &copy))) {
		while (copy.bytes > 0) {
			size_t n = in_block(copy.stash_offset, copy.bytes);

			if (block != copy.stash_offset / STASH_BLOCK) {
				error = block != UINT32_MAX ? block_write(e, block) : 0;
				if (error)
					return error;
				block = copy.stash_offset / STASH_BLOCK;
				memset(e->io, 0, STASH_BLOCK);
			}
			error = updater_old_read(e, copy.old_offset,
						 e->io + copy.stash_offset % STASH_BLOCK, n);
			if (error)
				return error;
			copy.old_offset += n;
			copy.stash_offset += (uint32_t)n;
			copy.bytes -= (uint32_t)n;
		}
	}
	if (error != DFOTA_E_NOT_FOUND)
		return error;
	return block != UINT32_MAX ? block_write(e, block) : 0;
}

/* Reads one copy back and compares it with the flash that it was made from. */
static int copy_prove(struct engine *e, struct live_copy copy)
{
	uint8_t *old = e->io, *stashed = e->io + STASH_BLOCK;

	while (copy.bytes > 0) {
		size_t n = in_block(copy.stash_offset, copy.bytes);
		int error = updater_old_read(e, copy.old_offset, old, n);

		if (error)
			return error;
		error = dfota_flash_read_back(e->config->area, stash_at(e, copy.stash_offset),
					      stashed, n);
		if (!error && memcmp(old, stashed, n) != 0)
			error = DFOTA_E_READBACK;
		if (error)
			return updater_fail(e, DFOTA_WHERE_STASH, error);
		copy.old_offset += n;
		copy.stash_offset += (uint32_t)n;
		copy.bytes -= (uint32_t)n;
	}
	return 0;
}

int updater_stash_make(struct engine *e)
{
	struct partition *p = &e->part;
	int error = copies_write(e);

	if (error)
		return error;
	error = MUTANT(NO_FLUSH_BEFORE) ? 0 : dfota_flash_flush(e->config->area);
	if (error)
		return updater_fail(e, DFOTA_WHERE_STASH, error);
	for (uint32_t i = 0; i < p->copy_count; i++) {
		if (p->copies[i].owner != p->step_index)
			continue;
		error = copy_prove(e, p->copies[i]);
		if (error)
			return error;
	}
	return 0;
}
