/* SPDX-License-Identifier: MIT
 *
 * The stash in the area.
 *
 * It holds data only, no headers: the journal says when they are valid, the digest of what is
 * decoded from them says whether they still are. What a step stashes shares no block of the area
 * with anything else, so a torn write harms nothing that an earlier record speaks of.
 */
#include "engine.h"

#define STASH_BLOCK DFOTA_DELTA_STASH_BLOCK

_Static_assert(2 * STASH_BLOCK <= UPDATER_IO_BYTES, "two stash blocks fit the buffer");

static uint64_t stash_at(const struct engine *e, uint32_t stash_offset)
{
	uint32_t block = stash_offset / STASH_BLOCK, shared = e->part.stash.shared;

	return e->layout.stash_at + (uint64_t)(block / shared) * e->layout.stash_stride +
	       block % shared * STASH_BLOCK + stash_offset % STASH_BLOCK;
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

/* Stash blocks that share a block of the area, gathered to be written at once: it is erased, or replaced, as a whole. */
struct gathering {
	uint8_t *bytes;
	uint32_t first, count; /* stash blocks; count 0: none */
};

static int gathering_write(struct engine *e, struct gathering *gathering)
{
	size_t bytes = (size_t)gathering->count * STASH_BLOCK;
	uint64_t at = stash_at(e, gathering->first * STASH_BLOCK);

	if (bytes == 0)
		return 0;
	gathering->count = 0;
	e->report->writes++;
	e->report->stash_bytes += bytes;
	return updater_fail(e, DFOTA_WHERE_STASH,
			    dfota_flash_replace(e->config->area, at, gathering->bytes, bytes));
}

/* The place of stash block `block`, which is the newest or the one behind it. */
static int gathering_block(struct engine *e, struct gathering *gathering, uint32_t block,
			   uint8_t **ret_bytes)
{
	bool known = gathering->count > 0 && block == gathering->first + gathering->count - 1;
	int error = 0;

	if (!known && block % e->part.stash.shared == 0)
		error = gathering_write(e, gathering);
	if (error)
		return error;
	if (gathering->count == 0)
		gathering->first = block;
	/* A step's blocks come one behind the other, and the first begins a block of the area. */
	if (!known && (block != gathering->first + gathering->count ||
		       gathering->count == e->part.stash.shared))
		return updater_fail(e, DFOTA_WHERE_PACKAGE, DFOTA_E_CORRUPT);
	*ret_bytes = gathering->bytes + (size_t)(block - gathering->first) * STASH_BLOCK;
	if (!known) {
		memset(*ret_bytes, 0, STASH_BLOCK);
		gathering->count++;
	}
	return 0;
}

/* Copies come in ascending order of their place. The segment has not been decoded yet: it lends its memory. */
static int copies_write(struct engine *e)
{
	bool much = e->part.stash.shared * STASH_BLOCK > UPDATER_IO_BYTES;
	struct gathering gathering = { .bytes = much ? e->part.segment : e->io };
	struct dfota_delta_copy copy;
	int error;

	while (!(error = updater_partition_copy(e, &copy))) {
		while (copy.bytes > 0) {
			size_t n = in_block(copy.stash_offset, copy.bytes);
			uint8_t *bytes = NULL;

			error = gathering_block(e, &gathering, copy.stash_offset / STASH_BLOCK, &bytes);
			if (!error)
				error = updater_old_read(e, copy.old_offset,
							 bytes + copy.stash_offset % STASH_BLOCK, n);
			if (error)
				return error;
			copy.old_offset += n;
			copy.stash_offset += (uint32_t)n;
			copy.bytes -= (uint32_t)n;
		}
	}
	return error == DFOTA_E_NOT_FOUND ? gathering_write(e, &gathering) : error;
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
