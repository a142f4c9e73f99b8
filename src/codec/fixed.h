/* SPDX-License-Identifier: MIT
 *
 * Private to codec and diff: what the map alone says about a token of the old image that has moved.
 *
 * Stateless: the decoder adds to these candidates what it has learned so far, the aligner costs
 * alignments with them.
 */
#ifndef DFOTA_CODEC_FIXED_H
#define DFOTA_CODEC_FIXED_H

#include "isa.h"
#include "map.h"
#include "pool.h"

enum fixed_kind {
	FIXED_PC,   /* code: the field rebuilt for where its target has gone; BTF: a type or string */
	FIXED_PREL, /* data: distance to something */
	FIXED_ABS,  /* data: address of something, or the low half of one */
	FIXED_KINDS
};

enum fixed_role { ROLE_NONE, ROLE_TYPE, ROLE_STRING }; /* of a BTF word */

/* A token of the old image and where it stands now. */
struct fixed_place {
	uint32_t at, old;                              /* positions in new and old image */
	const struct region *new_region, *old_region;  /* NULL outside of any */
	struct isa_text text;                          /* old bytes around the token */
	struct isa_token token;
	uint32_t word;                                 /* the old token, little endian */
	uint8_t role;                                  /* enum fixed_role */
	struct pool_word pool;                         /* of a token of class ISA_POOL */
};

/* What a word of a literal pool with a base must be to lead to `target`. */
static inline uint32_t fixed_pool_word(const struct fixed_place *place, uint64_t target)
{
	return (uint32_t)target - place->pool.new_base;
}

struct fixed_values {
	uint32_t value[FIXED_KINDS];
	uint8_t have;                /* bit per kind */
	bool has_target;             /* the token speaks of old address `target` */
	bool exact;                  /* the target's new place is certain */
	uint64_t target;
};

void fixed_predict(const struct map *map, const struct fixed_place *place,
		   struct fixed_values *ret_values);

#endif
