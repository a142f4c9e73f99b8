/* SPDX-License-Identifier: MIT
 *
 * Code that stands in an image as it runs, without a head: boot loaders, monitors, kernels that
 * were unpacked.
 *
 * Blocks with calls of functions are code.
 */
#include "content_bare.h"

#include <stdlib.h>

#define CALLS_MIN 16u /* in the whole file */

static uint64_t count_calls(const struct bare *bare, const struct content_set *set, uint32_t *calls)
{
	uint64_t count = 0, start;

	memset(calls, 0, bare->block_count * sizeof(*calls));
	for (uint64_t at = 0; at + set->bytes <= bare->bytes; at += set->step)
		if (set->call(bare->file, at, bare->bytes, &start)) {
			calls[at / BLOCK_BYTES]++;
			count++;
		}
	return count;
}

/* The set with the most calls; false when that is none. `other` is room for a second count. */
static bool set_choose(struct bare *bare, uint32_t *other)
{
	uint64_t best = CALLS_MIN - 1;

	for (size_t i = 0; i < CONTENT_SETS; i++) {
		const struct content_set *set = &content_sets[i];
		uint64_t count;

		if (bare->bytes < set->bytes)
			continue;
		count = count_calls(bare, set, other);
		if (count > best) {
			best = count;
			bare->set = set;
			memcpy(bare->calls, other, bare->block_count * sizeof(*other));
		}
	}
	return bare->set != NULL;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int parts_make(const struct bare *bare, uint64_t base, struct content_parts *parts)
{
	for (size_t block = 0, end; block < bare->block_count; block = end) {
		bool code = bare_block_is_code(bare, block);
		struct content_part part = {
			.at = (uint64_t)block * BLOCK_BYTES,
			.kind = code ? bare->set->kind : bare->data_kind,
		};
		int r;

		for (end = block; end < bare->block_count && bare_block_is_code(bare, end) == code;)
			end++;
		part.bytes = dfota_min64((uint64_t)end * BLOCK_BYTES, bare->bytes) - part.at;
		part.mem_bytes = part.bytes;
		part.va = base + part.at;
		/* zero-filled memory follows, nobody says how much: as much again, if there are
		 * addresses for it */
		if (end == bare->block_count && bare->bytes <= (parts->guess_limit - base) / 2)
			part.mem_bytes += bare->bytes;
		r = content_parts_add(parts, &part);
		if (r < 0)
			return r;
	}
	return 0;
}

int content_parse_bare(const uint8_t *file, uint64_t bytes, struct content_parts *parts)
{
	struct bare bare = { .file = file,
			     .bytes = bytes,
			     .block_count = (size_t)dfota_ceil_div64(bytes, BLOCK_BYTES) };
	uint32_t *other = calloc(bare.block_count + 1, sizeof(*other));
	uint64_t base = 0;
	int r = 0;

	bare.calls = calloc(bare.block_count + 1, sizeof(*bare.calls));
	if (!other || !bare.calls)
		r = DFOTA_E_MEMORY;
	if (r == 0 && set_choose(&bare, other)) {
		r = bare_find_base(&bare, &base);
		parts->guess_limit = bare_addresses_end(&bare);
		if (r == 0)
			r = parts_make(&bare, base, parts);
	}
	free(bare.calls);
	free(other);
	return r;
}
