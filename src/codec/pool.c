/* SPDX-License-Identifier: MIT
 *
 * Literal pools.
 */
#include "pool.h"

void pool_pass(struct pool *pool, const struct isa *isa, const struct isa_token *token, uint32_t word, uint32_t old,
	       uint32_t old_va, uint32_t new_va)
{
	unsigned number;
	uint32_t distance, place;
	struct pool_word *found;

	switch (isa->use(token, word, old_va, &number, &distance)) {
	case ISA_USE_LOAD:
		place = old + distance + 1;
		found = &pool->words[(place - 1) / 4 % POOL_WORDS];
		if (place == 0)
			return;
		if (found->place != place)
			*found = (struct pool_word){ .place = place };
		pool->loaded[number] = place;
		return;
	case ISA_USE_ADD:
		place = pool->loaded[number];
		found = &pool->words[(place - 1) / 4 % POOL_WORDS];
		pool->loaded[number] = 0;
		if (place == 0 || found->place != place)
			return;
		found->old_base = old_va + distance;
		found->new_base = new_va + distance;
		found->has_base = true;
		return;
	default:
		return;
	}
}
