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

/* An address less that of the table. */
static void predict_table(const struct map *map, const struct fixed_place *place, struct fixed_values *values)
{
	const struct region *old = place->old_region, *new = place->new_region;
	uint64_t moved;

	if (map_address(map, old->group, old->va + (uint64_t)(int64_t)(int32_t)place->word, &moved) != MAP_NONE)
		give(values, FIXED_ABS, (uint32_t)(moved - new->va));
}

/* A distance backwards, as frames have it to what they share. */
static void predict_back(const struct map *map, const struct fixed_place *place, struct fixed_values *values)
{
	const struct region *old = place->old_region, *new = place->new_region;
	uint64_t moved;

	if (map_address(map, old->group, region_address(old, place->old) - place->word, &moved) == MAP_EXACT)
		give(values, FIXED_ABS, (uint32_t)(region_address(new, place->at) - moved));
}

/* New number of a symbol of the program, by where its entry has gone. */
static bool symbol_moved(const struct map *map, uint16_t group, unsigned kind, uint32_t number, uint32_t *ret_number)
{
	const struct region *old = regions_of_kind(&map->old_regions, group, kind);
	const struct region *new = regions_of_kind(&map->new_regions, group, kind);
	uint32_t bytes = kind == REGION_DYNSYM64 ? 24 : 16;
	uint64_t moved;

	if (!old || !new || number == 0 || number >= old->bytes / bytes ||
	    map_address(map, group, old->va + (uint64_t)number * bytes, &moved) != MAP_EXACT)
		return false;
	moved -= new->va;
	*ret_number = (uint32_t)(moved / bytes);
	return moved % bytes == 0 && moved / bytes <= UINT32_MAX;
}

/* Address, type and symbol, addend: eight bytes each, of which the symbol's number is the high half of the second. */
static void predict_rela64(const struct map *map, const struct fixed_place *place, struct fixed_values *values)
{
	uint64_t inside = (place->old - place->old_region->start) % 24;
	uint32_t number;

	if (inside == 0 || inside == 16)
		predict_pointer(map, place, values);
	else if (inside == 12 &&
		 symbol_moved(map, place->old_region->group, REGION_DYNSYM64, place->word, &number))
		give(values, FIXED_ABS, number);
}

/* Address; type, below the symbol's number. */
static void predict_rel32(const struct map *map, const struct fixed_place *place, struct fixed_values *values)
{
	uint32_t number;

	if ((place->old - place->old_region->start) % 8 == 0)
		predict_pointer(map, place, values);
	else if (symbol_moved(map, place->old_region->group, REGION_DYNSYM32, place->word >> 8, &number))
		give(values, FIXED_ABS, number << 8 | (place->word & 255));
}

static void predict_hash(const struct map *map, const struct fixed_place *place, struct fixed_values *values)
{
	uint16_t group = place->old_region->group;
	uint32_t number;

	if (symbol_moved(map, group, REGION_DYNSYM64, place->word, &number) ||
	    symbol_moved(map, group, REGION_DYNSYM32, place->word, &number))
		give(values, FIXED_ABS, number);
}

/* A word that is no part of an instruction. */
static void predict_data(const struct map *map, const struct fixed_place *place, struct fixed_values *values)
{
	switch (place->old_region->kind) {
	case REGION_BTF_TYPES:
		predict_btf(map, place, values);
		break;
	case REGION_OFFSETS:
		predict_offset(map, place, values);
		break;
	case REGION_FRAME_TABLE:
		predict_table(map, place, values);
		break;
	case REGION_FRAMES:
		predict_distance(map, place, values);
		predict_back(map, place, values);
		break;
	case REGION_DYNSYM32:
	case REGION_DYNSYM64:
		predict_pointer(map, place, values);
		break;
	case REGION_REL32:
		predict_rel32(map, place, values);
		break;
	case REGION_RELA64:
		predict_rela64(map, place, values);
		break;
	case REGION_HASH:
		predict_hash(map, place, values);
		break;
	case REGION_A64:
	case REGION_A32:
	case REGION_RISCV:
	case REGION_DATA32:
	case REGION_DATA64:
		predict_distance(map, place, values);
		predict_pointer(map, place, values);
		break;
	default:
		break;
	}
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
	if (place->token.bytes == 4 && place->word != 0 && region_address(old, place->old) % 4 == 0)
		predict_data(map, place, ret_values);
}
