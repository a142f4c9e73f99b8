/* SPDX-License-Identifier: MIT
 *
 * Files of a container and parts of a program: growing lists.
 */
#include "content_list.h"

#include <stdlib.h>

/* Room for one more item; NULL when there is no memory. */
static void *grow(void *items, size_t count, size_t *room, size_t item_bytes)
{
	size_t wanted = *room ? *room * 2 : 8;
	void *grown;

	if (count < *room)
		return items;
	grown = reallocarray(items, wanted, item_bytes);
	if (grown)
		*room = wanted;
	return grown;
}

struct content_file *content_files_add(struct content_files *files, const char *path,
				       uint64_t bytes)
{
	struct content_file *items, *file;

	if (files->count == CONTENT_FILES_MAX)
		return NULL;
	items = grow(files->items, files->count, &files->room, sizeof(*items));
	if (!items)
		return NULL;
	files->items = items;
	file = &items[files->count];
	*file = (struct content_file){ .path = strdup(path), .bytes = bytes };
	if (!file->path)
		return NULL;
	files->count++;
	return file;
}

int content_file_extend(struct content_file *file, uint64_t from, uint64_t at, uint64_t bytes)
{
	struct content_extent *last =
	    file->extent_count ? &file->extents[file->extent_count - 1] : NULL;
	struct content_extent *extents;

	if (from >= file->bytes || (last && from < last->from + last->bytes))
		return 0;
	bytes = dfota_min64(bytes, file->bytes - from);
	if (bytes == 0)
		return 0;
	if (last && last->from + last->bytes == from && last->at + last->bytes == at) {
		last->bytes += bytes;
		return 0;
	}
	extents = grow(file->extents, file->extent_count, &file->extent_room, sizeof(*extents));
	if (!extents)
		return DFOTA_E_MEMORY;
	file->extents = extents;
	extents[file->extent_count++] = (struct content_extent){ from, at, bytes };
	return 0;
}

void content_files_drop_last(struct content_files *files)
{
	struct content_file *file = &files->items[--files->count];

	free(file->path);
	free(file->extents);
}

void content_files_free(struct content_files *files)
{
	while (files->count > 0)
		content_files_drop_last(files);
	free(files->items);
	*files = (struct content_files){ 0 };
}

int content_parts_add(struct content_parts *parts, const struct content_part *part)
{
	struct content_part *items = grow(parts->items, parts->count, &parts->room, sizeof(*items));

	if (!items)
		return DFOTA_E_MEMORY;
	parts->items = items;
	items[parts->count++] = *part;
	return 0;
}

void content_parts_free(struct content_parts *parts)
{
	free(parts->items);
	*parts = (struct content_parts){ 0 };
}

static int compare_parts(const void *a, const void *b)
{
	const struct content_part *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->va < y->va ? -1 : x->va > y->va;
}

void content_parts_sort(struct content_parts *parts)
{
	uint64_t end = 0;
	size_t kept = 0;

	if (parts->count > 0)
		qsort(parts->items, parts->count, sizeof(*parts->items), compare_parts);
	for (size_t i = 0; i < parts->count; i++) {
		struct content_part part = parts->items[i];
		uint64_t cut = part.at < end ? end - part.at : 0;

		if (cut >= part.bytes)
			continue;
		part.at += cut;
		part.va += cut;
		part.bytes -= cut;
		part.mem_bytes -= cut;
		parts->items[kept++] = part;
		end = part.at + part.bytes;
	}
	parts->count = kept;
}

int content_parts_cut(struct content_parts *parts, uint64_t at, uint64_t end)
{
	size_t count = parts->count;

	for (size_t i = 0; i < count; i++) {
		struct content_part *part = &parts->items[i], behind = *part;
		uint64_t part_end = part->at + part->bytes;
		int r;

		if (part_end <= at || part->at >= end)
			continue;
		part->bytes = part->mem_bytes = part->at < at ? at - part->at : 0;
		if (part_end <= end)
			continue;
		behind.va += end - behind.at;
		behind.mem_bytes -= end - behind.at;
		behind.bytes = part_end - end;
		behind.at = end;
		r = content_parts_add(parts, &behind);
		if (r < 0)
			return r;
	}
	return 0;
}
