/* SPDX-License-Identifier: MIT
 *
 * Private to guess.c and guess_learn.c: the tables of what is learned.
 */
#ifndef DFOTA_CODEC_GUESS_TABLES_H
#define DFOTA_CODEC_GUESS_TABLES_H

#include "guess.h"

#define GUESS_FIELD_MASK 0x3ffu     /* bits that an immediate does not have */
#define GUESS_VALUE_MAX  (1u << 26)
#define GUESS_ID_MARK    0x00554e47u /* owner of the note with a program's identity, right before it */

static inline uint32_t hash(uint32_t value, unsigned bits)
{
	return (value * 0x9e3779b1u) >> (32 - bits);
}

static inline bool is_filled(const uint32_t *filled, uint32_t entry)
{
	return filled[entry / 32] >> (entry % 32) & 1;
}

static inline void fill(uint32_t *filled, uint32_t entry)
{
	filled[entry / 32] |= 1u << (entry % 32);
}

/* Entries of the tables. */

static inline uint32_t target_entry(const struct guess *guess, uint64_t address)
{
	return hash((uint32_t)address ^ (uint32_t)(address >> 32) * 31u ^
			    (uint32_t)guess->place.old_region->group << 20,
		    13);
}

/* Neighbours share an entry: what was last learned in the same 4 KiB. */
static inline uint32_t near_entry(const struct guess *guess, uint64_t address)
{
	return hash((uint32_t)(address >> 12) ^ (uint32_t)guess->place.old_region->group << 20, 12);
}

static inline uint32_t word_entry(uint32_t word)
{
	return hash(word, 15);
}

static inline uint32_t field_entry(uint32_t word)
{
	return hash(word >> 10, 13);
}

static inline uint32_t value_entry(uint32_t value)
{
	return hash(value >> 6, 13);
}

/* What is known of an address or key; NULL: nothing. */
static inline const struct guess_target *target_known(const struct guess_memory *memory, uint32_t entry,
					       uint64_t key)
{
	if (!is_filled(memory->targets_filled, entry) || memory->targets[entry].old != key)
		return NULL;
	return &memory->targets[entry];
}

static inline void target_set(struct guess_memory *memory, uint32_t entry, uint64_t old, uint64_t new)
{
	memory->targets[entry] = (struct guess_target){ old, new };
	fill(memory->targets_filled, entry);
}

/* BTF: what became of this very type or string. */
static inline uint64_t role_key(const struct guess *guess)
{
	return (uint64_t)guess->place.role << 32 | guess->place.word;
}

static inline uint32_t new_word(const struct guess_history *history, uint32_t at, uint32_t back)
{
	return at - history->start >= back ? isa_load(history->segment + (at - history->start - back), 4)
					   : 0;
}

#endif
