/* SPDX-License-Identifier: MIT
 *
 * Private to the finders of content: code without a head, while it is looked at.
 */
#ifndef DFOTA_DIFF_CONTENT_BARE_H
#define DFOTA_DIFF_CONTENT_BARE_H

#include "content_open.h"

#define BLOCK_BYTES     4096u
#define BLOCK_CALLS_MIN 4u /* in a block and its neighbours, to call it code */
#define REACH           2u /* neighbours on either side */

struct bare {
	const uint8_t *file;
	uint64_t bytes;
	const struct content_set *set;
	uint8_t data_kind;
	size_t block_count;
	uint32_t *calls; /* per block */
};

static inline bool bare_block_is_code(const struct bare *bare, size_t block)
{
	size_t first = block < REACH ? 0 : block - REACH, calls = 0;

	for (size_t i = first; i < bare->block_count && i <= block + REACH; i++)
		calls += bare->calls[i];
	return calls >= BLOCK_CALLS_MIN;
}

/* Addresses that data_kind has room for end there. */
static inline uint64_t bare_addresses_end(const struct bare *bare)
{
	return bare->data_kind == REGION_DATA64 ? UINT64_MAX : UINT32_MAX;
}

/* The address at which the file runs, or 0 when pointers do not prove one; with it, data_kind may become the set's
 * narrow one. DFOTA_E_MEMORY.
 */
int bare_find_base(struct bare *bare, uint64_t *ret_base) DFOTA_MUST_CHECK;

#endif
