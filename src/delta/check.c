/* SPDX-License-Identifier: MIT
 *
 * One walk over the whole index: cover of both images, totals, and the stash plan.
 *
 * The stash is watched in blocks: for each the step whose copies lie in it and the last step that
 * reads any of them. Time is steps + copies + blocks touched; nothing recurses.
 */
#include "layout.h"

struct stash_block {
	uint32_t owner, busy_until; /* step + 1, 0 = never used */
};

struct check {
	struct dfota_delta_cursor cursor;
	uint64_t *runs; /* segment << 32 | segments, one per step */
	struct stash_block *blocks;
	uint32_t *ends; /* copies that die with step i */
	uint32_t live, codings;
};

static size_t block_count(const struct dfota_delta_header *header)
{
	return (size_t)dfota_ceil_div64(header->stash_bytes, DFOTA_DELTA_STASH_BLOCK);
}

size_t dfota_delta_check_bytes(const struct dfota_delta_header *header)
{
	return sizeof(uint64_t) + header->step_count * (sizeof(uint64_t) + sizeof(uint32_t)) +
	       block_count(header) * sizeof(struct stash_block);
}

static bool claim_blocks(struct check *check, const struct dfota_delta_copy *copy, uint32_t step)
{
	uint32_t first = copy->stash_offset / DFOTA_DELTA_STASH_BLOCK;
	uint32_t last = (copy->stash_offset + copy->bytes - 1) / DFOTA_DELTA_STASH_BLOCK;

	for (uint32_t i = first; i <= last; i++) {
		struct stash_block *block = &check->blocks[i];

		if (block->owner != step + 1) {
			if (block->busy_until > step)
				return false;
			block->owner = step + 1;
			block->busy_until = 0;
		}
		if (block->busy_until < copy->last_reader + 1)
			block->busy_until = copy->last_reader + 1;
	}
	return true;
}

static int check_copies(struct check *check, const struct dfota_delta_header *header,
			const struct dfota_delta_step *step)
{
	uint32_t index = check->cursor.next_step - 1;
	uint64_t offset, new_bytes, old_bytes;
	struct dfota_delta_copy copy;
	int error;

	dfota_delta_step_range(header, step, &offset, &new_bytes, &old_bytes);
	for (uint32_t i = 0; i < step->copies; i++) {
		error = dfota_delta_next_copy(&check->cursor, &copy);
		if (error)
			return error;
		/* Of what the step overwrites: so the stash is not written more often than the partition. */
		if (copy.old_offset < offset || !dfota_inside(copy.old_offset - offset, copy.bytes, old_bytes) ||
		    !claim_blocks(check, &copy, index))
			return DFOTA_E_CORRUPT;
		check->ends[copy.last_reader]++;
	}
	check->live += step->copies;
	if (check->live > header->live_copies)
		return DFOTA_E_CORRUPT;
	check->live -= check->ends[index];
	return 0;
}

static int check_steps(struct check *check, const struct dfota_delta *delta)
{
	const struct dfota_delta_header *header = &delta->header;
	struct dfota_delta_step step;
	uint64_t chunk_at;
	int error;

	dfota_delta_rewind(&check->cursor, delta);
	for (uint32_t i = 0; i < header->step_count; i++) {
		error = dfota_delta_next(&check->cursor, &step, &chunk_at);
		if (error)
			return error;
		check->runs[i] = (uint64_t)step.segment << 32 | step.segments;
		if (step.chunk_bytes > 0)
			check->codings |= 1u << step.coding;
		error = check_copies(check, header, &step);
		if (error)
			return error;
	}
	if (check->cursor.chunk_at != delta->bytes || check->codings != header->codings ||
	    check->cursor.copies_seen != header->copy_count ||
	    check->cursor.copy_at != delta->prelude_at)
		return DFOTA_E_CORRUPT;
	return 0;
}

static void sift_down(uint64_t *heap, size_t at, size_t count)
{
	uint64_t value = heap[at];

	while (at * 2 + 1 < count) {
		size_t child = at * 2 + 1;

		if (child + 1 < count && heap[child + 1] > heap[child])
			child++;
		if (heap[child] <= value)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = value;
}

/* Heap sort: no recursion, no memory, no bad case. */
static void sort(uint64_t *values, size_t count)
{
	for (size_t i = count / 2; i-- > 0;)
		sift_down(values, i, count);
	for (size_t i = count; i-- > 1;) {
		uint64_t top = values[0];

		values[0] = values[i];
		values[i] = top;
		sift_down(values, 0, i);
	}
}

static int check_cover(struct check *check, const struct dfota_delta_header *header)
{
	uint64_t covered = 0;

	sort(check->runs, header->step_count);
	for (uint32_t i = 0; i < header->step_count; i++) {
		if (check->runs[i] >> 32 != covered)
			return DFOTA_E_CORRUPT;
		covered += check->runs[i] & UINT32_MAX;
	}
	return covered == delta_all_segments(header) ? 0 : DFOTA_E_CORRUPT;
}

int dfota_delta_check(const struct dfota_delta *delta, void *workspace, size_t bytes)
{
	const struct dfota_delta_header *header = &delta->header;
	size_t skew = (size_t)(-(uintptr_t)workspace % sizeof(uint64_t));
	struct check check;
	uint8_t *base = workspace;
	int error;

	if (bytes < dfota_delta_check_bytes(header))
		return DFOTA_E_MEMORY;
	memset(workspace, 0, dfota_delta_check_bytes(header));
	base += skew;
	check.runs = (uint64_t *)(void *)base;
	base += header->step_count * sizeof(uint64_t);
	check.blocks = (struct stash_block *)(void *)base;
	base += block_count(header) * sizeof(struct stash_block);
	check.ends = (uint32_t *)(void *)base;
	check.live = 0;
	check.codings = 0;
	error = check_steps(&check, delta);
	if (error)
		return error;
	return check_cover(&check, header);
}
