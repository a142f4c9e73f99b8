/* SPDX-License-Identifier: MIT
 *
 * Predictions from the map alone.
 */
#include "fixed.h"

static void give(struct fixed_values *values, enum fixed_kind kind, uint32_t value)
{
	values->value[kind] = value;
	values->have |= (uint8_t)(1u << kind);
}

/* Code: the field for where the old target has gone. */
static void predict_code(const struct map *map, const struct fixed_place *place,
			 struct fixed_values *values)
{
	const struct isa *isa = isa_of(place->old_region->kind);
	uint64_t target;
	uint32_t word;
	enum map_answer answer;

	if (!isa->target(&place->text, &place->token, place->word,
			 region_address(place->old_region, place->old), &values->target)) {
		values->target = 0; /* whatever was left there must not count */
		return;
	}
	values->has_target = true;
	answer = map_address(map, place->old_region->group, values->target, &target);
	if (answer == MAP_NONE)
		return;
	values->exact = answer == MAP_EXACT;
	if (isa->build(&place->token, place->word, region_address(place->new_region, place->at), target,
		       &word))
		give(values, FIXED_PC, word);
}

static void predict_btf(const struct map *map, const struct fixed_place *place,
			struct fixed_values *values)
{
	uint64_t moved;
	uint32_t id;

	values->target = place->word;
	if (place->role == ROLE_TYPE) {
		values->has_target = true;
		values->exact = map_type(map, place->word, &id) == MAP_EXACT;
		give(values, FIXED_PC, id);
	} else if (place->role == ROLE_STRING) {
		enum map_answer answer =
			map_address(map, place->old_region->group, place->word, &moved);

		values->has_target = true;
		values->exact = answer == MAP_EXACT;
		if (answer != MAP_NONE)
			give(values, FIXED_PC, (uint32_t)moved);
	}
}

/* A distance to something in the same program. */
static void predict_distance(const struct map *map, const struct fixed_place *place,
			     struct fixed_values *values)
{
	const struct region *old = place->old_region, *new = place->new_region;
	uint64_t target = region_address(old, place->old) + (uint64_t)(int64_t)(int32_t)place->word, moved;

	if (map_address(map, old->group, target, &moved) == MAP_EXACT)
		give(values, FIXED_PREL, (uint32_t)(moved - region_address(new, place->at)));
}

/* An address: the low half of eight bytes if they make one, else four bytes. */
static void predict_pointer(const struct map *map, const struct fixed_place *place,
			    struct fixed_values *values)
{
	const struct region *old = place->old_region;
	uint64_t address = place->word, moved;
	enum map_answer answer;

	if (place->text.after >= 8)
		address |= (uint64_t)isa_load(place->text.at + 4, 4) << 32;
	if (address >> 32 != old->va >> 32)
		address = place->word;
	answer = map_address(map, old->group, address, &moved);
	if (answer == MAP_EXACT || (answer == MAP_NEAR && address >> 32 != 0))
		give(values, FIXED_ABS, (uint32_t)moved);
}

/* A word of a literal pool: a distance to a base that is known, or an address. */
static void predict_pool(const struct map *map, const struct fixed_place *place, struct fixed_values *values)
{
	uint64_t moved;
	enum map_answer answer;

	if (!place->pool.has_base) {
		predict_pointer(map, place, values);
		return;
	}
	values->target = (uint32_t)(place->word + place->pool.old_base);
	values->has_target = true;
	answer = map_address(map, place->old_region->group, values->target, &moved);
	values->exact = answer == MAP_EXACT;
	if (answer != MAP_NONE)
		give(values, FIXED_PC, fixed_pool_word(place, moved));
}

/* An address less the lowest of the program. Those below, if there are any, count downwards from one before it. */
static void predict_offset(const struct map *map, const struct fixed_place *place,
			   struct fixed_values *values)
{
	uint16_t group = place->old_region->group;
	uint32_t flip = place->word >> 31 ? UINT32_MAX : 0;
	uint64_t old_base, new_base, moved;

	if (regions_base(&map->old_regions, group, &old_base) &&
	    regions_base(&map->new_regions, group, &new_base) &&
	    map_address(map, group, old_base + (place->word ^ flip), &moved) != MAP_NONE)
		give(values, FIXED_ABS, (uint32_t)(moved - new_base) ^ flip);
}

void fixed_predict(const struct map *map, const struct fixed_place *place,
		   struct fixed_values *ret_values)
{
	const struct region *old = place->old_region, *new = place->new_region;

	ret_values->have = 0;
	ret_values->has_target = ret_values->exact = false;
	ret_values->target = 0;
	if (!old || !new || old->group != new->group || old->kind != new->kind)
		return;
	if (place->token.class == ISA_POOL) {
		predict_pool(map, place, ret_values);
		return;
	}
	if (place->token.class != ISA_OTHER) {
		predict_code(map, place, ret_values);
		return;
	}
	if (place->token.bytes != 4 || place->word == 0 ||
	    region_address(old, place->old) % 4 != 0)
		return;
	if (old->kind == REGION_BTF_TYPES) {
		predict_btf(map, place, ret_values);
	} else if (old->kind == REGION_OFFSETS) {
		predict_offset(map, place, ret_values);
	} else if (old->kind != REGION_BTF_STRINGS && old->kind != REGION_X86 &&
		   old->kind != REGION_T32) {
		predict_distance(map, place, ret_values);
		predict_pointer(map, place, ret_values);
	}
}
