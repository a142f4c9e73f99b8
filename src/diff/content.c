/* SPDX-License-Identifier: MIT
 *
 * From two images to the regions of the programs that they share.
 */
#include "content.h"

#include <stdlib.h>

#include "content_open.h"
#include "content_pair.h"
#include "content_symbols.h"

/* One program in its two versions; regions lie in the images and have no group yet. */
struct program {
	uint64_t bytes;
	struct regions old, new;
	size_t old_room, new_room;
};

struct programs {
	struct program *items;
	size_t count, room;
};

void diff_regions_free(struct regions *regions)
{
	free(regions->items);
	free(regions->by_address);
	*regions = (struct regions){ 0 };
}

static void programs_free(struct programs *programs)
{
	for (size_t i = 0; i < programs->count; i++) {
		diff_regions_free(&programs->items[i].old);
		diff_regions_free(&programs->items[i].new);
	}
	free(programs->items);
}

static bool is_btf(uint8_t kind)
{
	return kind == REGION_BTF_TYPES || kind == REGION_BTF_STRINGS;
}

/* ---- one file -------------------------------------------------------------------------------- */

/* A file's bytes in one piece: borrowed from the image if they are, else a copy. */
struct view {
	const uint8_t *bytes;
	uint8_t *copy;
};

static int view_open(struct view *view, const uint8_t *image, const struct content_file *file)
{
	const struct content_extent *extent = file->extents;

	*view = (struct view){ 0 };
	if (file->extent_count == 1 && extent->from == 0 && extent->bytes == file->bytes) {
		view->bytes = image + extent->at;
		return 0;
	}
	view->copy = calloc(file->bytes + 1, 1);
	if (!view->copy)
		return DFOTA_E_MEMORY;
	for (size_t i = 0; i < file->extent_count; i++, extent++)
		memcpy(view->copy + extent->from, image + extent->at, extent->bytes);
	view->bytes = view->copy;
	return 0;
}

static int (*const parsers[])(const uint8_t *, uint64_t, struct content_parts *) = {
	content_parse_elf,
	content_parse_kernel,
	content_parse_bare,
};

static int parts_find(const uint8_t *bytes, uint64_t count, struct content_parts *parts)
{
	int r;

	for (size_t i = 0; i < sizeof(parsers) / sizeof(parsers[0]) && parts->count == 0; i++) {
		r = parsers[i](bytes, count, parts);

		if (r < 0)
			return r;
	}
	content_parts_sort(parts);
	r = parts->count ? content_cut_btf(bytes, count, parts) : 0;
	if (r == 0 && parts->count)
		r = content_cut_symbols(bytes, count, parts);
	return r;
}

static int region_add(struct regions *regions, size_t *room, const struct region *region)
{
	if (regions->count == *room) {
		size_t wanted = *room ? *room * 2 : 8;
		struct region *items = reallocarray(regions->items, wanted, sizeof(*items));

		if (!items)
			return DFOTA_E_MEMORY;
		regions->items = items;
		*room = wanted;
	}
	regions->items[regions->count++] = *region;
	return 0;
}

/* Parts lie in the file; its extents say where they are in the image. */
static int parts_place(const struct content_parts *parts, const struct content_file *file,
		       struct regions *regions, size_t *room)
{
	for (size_t i = 0; i < parts->count; i++) {
		const struct content_part *part = &parts->items[i];
		uint64_t end = part->at + part->bytes;

		for (size_t j = 0; j < file->extent_count; j++) {
			const struct content_extent *extent = &file->extents[j];
			uint64_t from = part->at > extent->from ? part->at : extent->from;
			uint64_t to = dfota_min64(end, extent->from + extent->bytes);
			struct region region = { .kind = part->kind };
			int r;

			if (from >= to)
				continue;
			region.start = (uint32_t)(extent->at + (from - extent->from));
			region.bytes = region.mem_bytes = (uint32_t)(to - from);
			region.va = part->va + (from - part->at);
			if (to == end && part->mem_bytes - part->bytes <= UINT32_MAX - region.bytes)
				region.mem_bytes += (uint32_t)(part->mem_bytes - part->bytes);
			r = region_add(regions, room, &region);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* ---- a pair of files ------------------------------------------------------------------------- */

/* Where only one version's address could be guessed, it serves for both. */
static void share_address(struct content_parts *parts, const struct content_parts *other)
{
	const struct content_part *last;

	if (parts->guess_limit == 0 || parts->guess_limit != other->guess_limit ||
	    parts->count == 0 || other->count == 0 || parts->items[0].va != 0)
		return;
	last = &parts->items[parts->count - 1];
	if (last->va + last->mem_bytes > parts->guess_limit - other->items[0].va)
		return;
	for (size_t i = 0; i < parts->count; i++)
		if (!is_btf(parts->items[i].kind))
			parts->items[i].va += other->items[0].va;
}

static int program_place(struct program *program, const struct content_pair *pair,
			 const uint8_t *old_bytes, const uint8_t *new_bytes)
{
	struct content_parts old_parts = { 0 }, new_parts = { 0 };
	int r = parts_find(old_bytes, pair->old_file->bytes, &old_parts);

	if (r == 0 && old_parts.count > 0)
		r = parts_find(new_bytes, pair->new_file->bytes, &new_parts);
	share_address(&old_parts, &new_parts);
	share_address(&new_parts, &old_parts);
	if (r == 0 && new_parts.count > 0)
		r = parts_place(&old_parts, pair->old_file, &program->old, &program->old_room);
	if (r == 0 && new_parts.count > 0)
		r = parts_place(&new_parts, pair->new_file, &program->new, &program->new_room);
	content_parts_free(&old_parts);
	content_parts_free(&new_parts);
	return r;
}

static int program_find(const struct diff_images *images, const struct content_pair *pair,
			struct program *ret_program)
{
	const struct content_file *old_file = pair->old_file, *new_file = pair->new_file;
	struct view old_view = { 0 }, new_view = { 0 };
	int r = view_open(&old_view, images->old_image, old_file);

	*ret_program = (struct program){ .bytes = new_file->bytes };
	if (r == 0)
		r = view_open(&new_view, images->new_image, new_file);
	if (r == 0 && (old_file->bytes != new_file->bytes ||
		       memcmp(old_view.bytes, new_view.bytes, new_file->bytes) != 0))
		r = program_place(ret_program, pair, old_view.bytes, new_view.bytes);
	free(old_view.copy);
	free(new_view.copy);
	return r;
}

static int programs_find(const struct diff_images *images, const struct content_pairs *pairs,
			 struct programs *programs)
{
	programs->items = calloc(pairs->count + 1, sizeof(*programs->items));
	if (!programs->items)
		return DFOTA_E_MEMORY;
	for (size_t i = 0; i < pairs->count; i++) {
		struct program *program = &programs->items[programs->count];
		int r = program_find(images, &pairs->items[i], program);

		programs->count++;
		if (r < 0)
			return r;
		if (program->old.count == 0 || program->new.count == 0) {
			programs->count--;
			diff_regions_free(&program->old);
			diff_regions_free(&program->new);
		}
	}
	return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int compare_start(const void *a, const void *b)
{
	const struct program *p = a, *q = b;
	uint32_t x = p->new.items[0].start, y = q->new.items[0].start;

	if (x == y) { /* one file under two names */
		x = p->old.items[0].start;
		y = q->old.items[0].start;
	}
	return x < y ? -1 : x > y;
}

static int compare_size(const void *a, const void *b)
{
	uint64_t x = ((const struct program *)a)->bytes, y = ((const struct program *)b)->bytes;

	if (x != y)
		return x > y ? -1 : 1;
	return compare_start(a, b);
}

static bool has_btf(const struct regions *regions)
{
	for (uint32_t i = 0; i < regions->count; i++)
		if (is_btf(regions->items[i].kind))
			return true;
	return false;
}

static int regions_take(struct regions *all, size_t *room, const struct regions *regions,
			uint32_t group)
{
	for (uint32_t i = 0; i < regions->count; i++) {
		struct region region = regions->items[i];
		int r;

		region.group = (uint16_t)(group + is_btf(region.kind));
		r = region_add(all, room, &region);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_regions(const void *a, const void *b)
{
	const struct region *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->group < y->group ? -1 : x->group > y->group;
}

/* Sorts; a region that overlaps the one before (two files that share blocks) is left out. */
static void regions_settle(struct regions *regions)
{
	uint64_t end = 0;
	uint32_t kept = 0;

	if (regions->count > 0)
		qsort(regions->items, regions->count, sizeof(*regions->items), compare_regions);
	for (uint32_t i = 0; i < regions->count; i++) {
		if (regions->items[i].start < end)
			continue;
		end = (uint64_t)regions->items[i].start + regions->items[i].bytes;
		regions->items[kept++] = regions->items[i];
	}
	regions->count = kept;
}

/* Leaves out the smallest programs if there are too many, and numbers the rest as they stand. */
static int programs_settle(struct programs *programs, struct regions *old, struct regions *new)
{
	size_t old_count = 0, new_count = 0, old_room = 0, new_room = 0, kept = 0;
	uint32_t group = 0;
	int r = 0;

	if (programs->count > 0)
		qsort(programs->items, programs->count, sizeof(*programs->items), compare_size);
	while (kept < programs->count) {
		old_count += programs->items[kept].old.count;
		new_count += programs->items[kept].new.count;
		if (old_count > REGIONS_MAX || new_count > REGIONS_MAX)
			break;
		kept++;
	}
	if (kept > 0)
		qsort(programs->items, kept, sizeof(*programs->items), compare_start);
	for (size_t i = 0; i < kept && r == 0; i++) {
		struct program *program = &programs->items[i];

		r = regions_take(old, &old_room, &program->old, group);
		if (r == 0)
			r = regions_take(new, &new_room, &program->new, group);
		group += has_btf(&program->old) || has_btf(&program->new) ? 2 : 1;
	}
	regions_settle(old);
	regions_settle(new);
	return r;
}

static int images_find(const struct diff_images *images, struct regions *old, struct regions *new)
{
	struct content_files old_files = { 0 }, new_files = { 0 };
	struct content_pairs pairs = { 0 };
	struct programs programs = { 0 };
	int r = content_open(images->old_image, images->old_bytes, &old_files);

	if (r == 0)
		r = content_open(images->new_image, images->new_bytes, &new_files);
	if (r == 0)
		r = content_pairs_make(&pairs, &old_files, &new_files);
	if (r == 0)
		r = programs_find(images, &pairs, &programs);
	if (r == 0)
		r = programs_settle(&programs, old, new);
	programs_free(&programs);
	content_pairs_free(&pairs);
	content_files_free(&old_files);
	content_files_free(&new_files);
	return r;
}

int diff_content_find(const struct diff_images *images, struct regions *ret_old,
		      struct regions *ret_new)
{
	struct regions old = { 0 }, new = { 0 };
	int r = 0;

	if (images->old_bytes <= REGION_IMAGE_MAX && images->new_bytes <= REGION_IMAGE_MAX)
		r = images_find(images, &old, &new);
	if (r < 0) {
		diff_regions_free(&old);
		diff_regions_free(&new);
		return r;
	}
	*ret_old = old;
	*ret_new = new;
	return 0;
}
