/* SPDX-License-Identifier: MIT
 *
 * BTF on the builder's side.
 */
#include "btf_types.h"

#include <stdlib.h>

#include "../codec/model.h"

#define ROUNDS 4 /* in which types learn of the types that they refer to */

static const struct region *types_region(const struct regions *regions)
{
	for (uint32_t i = 0; i < regions->count; i++)
		if (regions->items[i].kind == REGION_BTF_TYPES && regions->items[i].start % 4 == 0)
			return &regions->items[i];
	return NULL;
}

/* Number of the type whose record starts at each word; 0 where none does. */
static uint32_t *number_types(const struct region *region, const uint8_t *image)
{
	uint32_t words = region->bytes / 4, number = 1;
	uint32_t *numbers = calloc((size_t)words + 1, sizeof(*numbers));
	struct btf_walk walk = { 0 };
	bool starts = true;

	for (uint32_t i = 0; numbers && i < words; i++) {
		if (starts)
			numbers[i] = number++;
		starts = btf_step(&walk, isa_load(image + region->start + 4 * (size_t)i, 4));
	}
	return numbers;
}

static void add_run(struct map_types *runs, uint32_t *count, uint32_t old, uint32_t new)
{
	struct map_types *last = *count ? &runs[*count - 1] : NULL;
	int32_t shift = (int32_t)(new - old);

	if (last && last->shift == shift && last->old + last->count == old)
		last->count++;
	else
		runs[(*count)++] = (struct map_types){ old, 1, shift };
}

int diff_btf_types(const struct map *map, const struct diff_images *images,
		   struct map_types **ret_runs, uint32_t *ret_count)
{
	const struct region *old = types_region(&map->old_regions);
	const struct region *new = types_region(&map->new_regions);
	uint32_t *old_numbers, *new_numbers, count = 0;
	struct map_types *runs = NULL;

	*ret_runs = NULL;
	*ret_count = 0;
	if (!old || !new)
		return 0;
	old_numbers = number_types(old, images->old_image);
	new_numbers = number_types(new, images->new_image);
	if (old_numbers && new_numbers)
		runs = malloc(((size_t)old->bytes / 4 + 1) * sizeof(*runs));
	for (uint32_t i = 0; runs && i < old->bytes / 4; i++) {
		uint32_t position, number;

		if (old_numbers[i] == 0 ||
		    map_position(map, old->start + 4 * i, &position) != MAP_EXACT ||
		    position - new->start >= new->bytes / 4 * 4 || (position - new->start) % 4 != 0)
			continue;
		number = new_numbers[(position - new->start) / 4];
		if (number != 0)
			add_run(runs, &count, old_numbers[i], number);
	}
	free(old_numbers);
	free(new_numbers);
	if (!runs)
		return DFOTA_E_MEMORY;
	*ret_runs = runs;
	*ret_count = count;
	return 0;
}

struct btf_walk diff_btf_walk(const struct map *map, const struct diff_images *images,
			      uint32_t position)
{
	const struct region *region = region_at(&map->new_regions, position);
	struct btf_walk walk = { 0 };

	if (!region || region->kind != REGION_BTF_TYPES)
		return walk;
	for (uint32_t at = region->start; position - at >= 4 && at < position; at += 4)
		(void)btf_step(&walk, isa_load(images->new_image + at, 4)); /* only the state counts */
	return walk;
}

int diff_btf_roles(const struct region *region, const uint8_t *image, uint8_t **ret_roles)
{
	uint32_t words = region->bytes / 4;
	uint8_t *roles = malloc((size_t)words + 1);
	struct btf_walk walk = { 0 };

	if (!roles)
		return DFOTA_E_MEMORY;
	for (uint32_t i = 0; i < words; i++) {
		roles[i] = (uint8_t)btf_role(&walk);
		(void)btf_step(&walk, isa_load(image + region->start + 4 * (size_t)i, 4)); /* likewise */
	}
	*ret_roles = roles;
	return 0;
}

/* ---- meaning ----------------------------------------------------------------------------------- */

struct meanings {
	const uint8_t *words, *strings; /* of the image */
	uint32_t word_count, string_bytes;
	uint32_t *hashes, *next; /* by type; 0 is void */
	uint32_t types;
};

static uint32_t string_hash(const struct meanings *m, uint32_t offset)
{
	uint32_t hash = 1;

	if (offset >= m->string_bytes)
		return offset;
	for (; offset < m->string_bytes && m->strings[offset]; offset++)
		hash = model_hash2(hash, m->strings[offset]);
	return hash;
}

static uint32_t type_hash(const struct meanings *m, uint32_t type)
{
	return type < m->types ? m->hashes[type] : type;
}

static uint32_t meaning(const struct meanings *m, enum fixed_role role, uint32_t word)
{
	switch (role) {
	case ROLE_STRING: return string_hash(m, word);
	case ROLE_TYPE: return type_hash(m, word);
	case ROLE_NONE: break;
	}
	return word;
}

/* Hash of each type from its words and, for those that are references, from the last round's hashes. */
static void hash_types(struct meanings *m)
{
	struct btf_walk walk = { 0 };
	uint32_t type = 1, hash = 0, *swap;

	for (uint32_t i = 0; i < m->word_count; i++) {
		uint32_t word = isa_load(m->words + 4 * (size_t)i, 4);

		hash = model_hash2(hash, meaning(m, btf_role(&walk), word));
		if (btf_step(&walk, word)) {
			m->next[type++] = hash;
			hash = 0;
		}
	}
	swap = m->hashes;
	m->hashes = m->next;
	m->next = swap;
}

static void rewrite(const struct meanings *m, uint8_t *copy)
{
	struct btf_walk walk = { 0 };

	for (uint32_t i = 0; i < m->word_count; i++) {
		uint32_t word = isa_load(m->words + 4 * (size_t)i, 4);

		dfota_put32(copy + 4 * (size_t)i, meaning(m, btf_role(&walk), word));
		(void)btf_step(&walk, word); /* only the state counts */
	}
}

int diff_btf_normalise(const struct regions *regions, const uint8_t *image, uint8_t *copy)
{
	const struct region *types = types_region(regions), *strings = NULL;
	struct meanings m = { 0 };
	int error = DFOTA_E_MEMORY;

	for (uint32_t i = 0; types && i < regions->count; i++)
		if (regions->items[i].kind == REGION_BTF_STRINGS &&
		    regions->items[i].group == types->group)
			strings = &regions->items[i];
	if (!strings)
		return 0;
	m.words = image + types->start;
	m.word_count = types->bytes / 4;
	m.strings = image + strings->start;
	m.string_bytes = strings->bytes;
	m.types = m.word_count / 3 + 2; /* a record has three words at least */
	m.hashes = calloc(m.types, sizeof(uint32_t));
	m.next = calloc(m.types, sizeof(uint32_t));
	if (m.hashes && m.next) {
		for (int i = 0; i < ROUNDS; i++)
			hash_types(&m);
		rewrite(&m, copy + types->start);
		error = 0;
	}
	free(m.hashes);
	free(m.next);
	return error;
}
