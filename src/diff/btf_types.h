/* SPDX-License-Identifier: MIT
 *
 * Private to diff: how BTF types have been renumbered.
 */
#ifndef DFOTA_DIFF_BTF_TYPES_H
#define DFOTA_DIFF_BTF_TYPES_H

#include "../codec/btf.h"
#include "encode.h"

/* Runs of types that keep their order, from where the map says their records have gone. *ret_runs is malloc'ed; NULL and 0
 * without BTF.
 */
int diff_btf_types(const struct map *map, const struct diff_images *images,
		   struct map_types **ret_runs, uint32_t *ret_count) DFOTA_MUST_CHECK;

/* The walker at `position` of the new image, which a BTF region covers; any state elsewhere. */
struct btf_walk diff_btf_walk(const struct map *map, const struct diff_images *images,
			      uint32_t position);

/* Roles of the words of an image's BTF types region, one byte each (malloc'ed, *ret_count of them); NULL without. */
int diff_btf_roles(const struct region *region, const uint8_t *image, uint8_t **ret_roles) DFOTA_MUST_CHECK;

/* Rewrites the words of a copy of the image that hold types and strings to hashes of what they mean, so that equal
 * records are equal bytes whatever their numbers. `regions` are those of the image; without BTF nothing happens.
 */
int diff_btf_normalise(const struct regions *regions, const uint8_t *image, uint8_t *copy) DFOTA_MUST_CHECK;

#endif
