/* SPDX-License-Identifier: MIT
 *
 * BTF on the builder's side.
 */
#include "btf_types.h"

#include <stdlib.h>

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
