/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: literal pools, words among ARM code that instructions before them load.
 *
 * What a load reaches is a word and no code. If its register is added to the program counter afterwards, the word is the
 * distance from there to an address. Both are told by old instructions that have passed; a pool whose loads have not been
 * seen is taken for code.
 */
#ifndef DFOTA_CODEC_POOL_H
#define DFOTA_CODEC_POOL_H

#include "isa.h"

#define POOL_WORDS     1024u /* a power of two; later words push earlier ones out */
#define POOL_REGISTERS 16u

struct pool_word {
	uint32_t place;              /* old position + 1; 0 = none */
	uint32_t old_base, new_base; /* program counters that it is added to */
	bool has_base;
};

struct pool {
	struct pool_word words[POOL_WORDS];
	uint32_t loaded[POOL_REGISTERS]; /* place of the word that the register holds; 0 = none */
};

/* An old instruction at position `old` and address `old_va` has passed, which stands at address `new_va` now. */
void pool_pass(struct pool *pool, const struct isa *isa, const struct isa_token *token, uint32_t word, uint32_t old,
	       uint32_t old_va, uint32_t new_va);

/* The word at old position `old`, if a load reached it; else NULL. */
static inline const struct pool_word *pool_find(const struct pool *pool, uint32_t old)
{
	const struct pool_word *word = &pool->words[old / 4 % POOL_WORDS];

	return word->place == old + 1 ? word : NULL;
}

#endif
