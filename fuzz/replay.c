/* SPDX-License-Identifier: MIT */
#include "replay.h"

#include <stdlib.h>

struct flash {
	uint8_t *bytes, *lost; /* contents; 1 where the old byte is overwritten */
	uint64_t size;	       /* of the larger image */
	uint8_t *stash;
	struct dfota_delta_copy *copies; /* alive or dead */
	uint32_t copy_count;
	uint32_t step;
	/* the step at hand */
	const struct dfota_delta_header *header;
	const struct dfota_delta_step *now;
	bool direct_read_itself;
	bool lost_read;
};

static const struct dfota_delta_copy *copy_of(const struct flash *flash, uint64_t offset)
{
	for (uint32_t i = 0; i < flash->copy_count; i++) {
		const struct dfota_delta_copy *copy = &flash->copies[i];

		if (copy->last_reader >= flash->step && offset >= copy->old_offset &&
		    offset - copy->old_offset < copy->bytes)
			return copy;
	}
	return NULL;
}

static bool changes(const struct flash *flash, uint64_t offset)
{
	uint64_t from = (uint64_t)flash->now->segment * flash->header->segment_bytes;

	return offset >= from && offset - from < flash->header->segment_bytes &&
	       flash->now->changed_units >> ((offset - from) / flash->header->unit_bytes) & 1;
}

static int old_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct flash *flash = context;
	uint8_t *to = buffer;

	if (!dfota_inside(offset, bytes, flash->header->old_bytes))
		return DFOTA_E_READ;
	for (size_t i = 0; i < bytes; i++) {
		const struct dfota_delta_copy *copy;

		if (!flash->lost[offset + i]) {
			to[i] = flash->bytes[offset + i];
			flash->direct_read_itself |=
			    flash->now->kind == DFOTA_STEP_DIRECT && changes(flash, offset + i);
			continue;
		}
		copy = copy_of(flash, offset + i);
		if (!copy) {
			flash->lost_read = true;
			return DFOTA_E_READ;
		}
		to[i] = flash->stash[copy->stash_offset + (offset + i - copy->old_offset)];
	}
	return 0;
}

static const char *make_copies(struct flash *flash, struct dfota_delta_cursor *cursor,
			       unsigned count)
{
	for (; count > 0; count--) {
		struct dfota_delta_copy *copy = &flash->copies[flash->copy_count];

		if (dfota_delta_next_copy(cursor, copy))
			return "a stash copy cannot be read";
		if (old_read(flash, copy->old_offset, flash->stash + copy->stash_offset,
			     copy->bytes))
			return "what is to be stashed is gone";
		flash->copy_count++;
	}
	return NULL;
}

static void write_units(struct flash *flash, const uint8_t *segment, uint64_t at, uint64_t bytes)
{
	uint32_t unit = flash->header->unit_bytes;

	for (uint64_t u = 0; u * unit < bytes; u++) {
		uint64_t count = dfota_min64(unit, bytes - u * unit);

		if (!(flash->now->changed_units >> u & 1))
			continue;
		memcpy(flash->bytes + at + u * unit, segment + u * unit, (size_t)count);
		memset(flash->lost + at + u * unit, 1, unit); /* as far as the unit goes */
	}
}

static const char *do_step(struct flash *flash, struct dfota_delta_cursor *cursor,
			   struct dfota_codec *codec, const struct dfota_delta *delta,
			   uint64_t chunk_at, uint8_t *segment)
{
	const struct dfota_delta_step *step = flash->now;
	uint64_t at, new_bytes, old_bytes;
	const struct dfota_memory *file = delta->source.context;
	struct dfota_memory chunk = { file->data + chunk_at, step->chunk_bytes };
	struct dfota_codec_job job = {
		.segment = step->segment,
		.coding = step->coding,
		.chunk_bytes = step->chunk_bytes,
		.chunk = dfota_memory_source(&chunk),
		.old = { old_read, flash },
	};
	const char *wrong;
	int error;

	flash->direct_read_itself = false;
	dfota_delta_step_range(&delta->header, step, &at, &new_bytes, &old_bytes);
	error = dfota_codec_decode(codec, &job, segment, (size_t)new_bytes);
	if (flash->lost_read)
		return "old bytes are read that are gone";
	if (error)
		return "a segment does not decode";
	if (flash->direct_read_itself)
		return "a direct step reads what it changes";
	wrong = make_copies(flash, cursor, step->copies);
	if (wrong)
		return wrong;
	write_units(flash, segment, at, new_bytes);
	return NULL;
}

static const char *do_steps(struct flash *flash, const struct dfota_delta *delta,
			    struct dfota_codec *codec, uint8_t *segment,
			    struct replay_counts *counts)
{
	struct dfota_delta_cursor cursor;
	struct dfota_delta_step step;
	uint64_t chunk_at;
	int error;

	flash->now = &step;
	dfota_delta_rewind(&cursor, delta);
	while (!(error = dfota_delta_next(&cursor, &step, &chunk_at))) {
		const char *wrong;

		if (step.kind == DFOTA_STEP_DIRECT || step.kind == DFOTA_STEP_REDO) {
			wrong = do_step(flash, &cursor, codec, delta, chunk_at, segment);
			if (wrong)
				return wrong;
			counts->written++;
			counts->direct += step.kind == DFOTA_STEP_DIRECT;
			counts->redo += step.kind == DFOTA_STEP_REDO;
			counts->stashed += step.copies;
			counts->codings |= 1u << step.coding;
		}
		flash->step++;
	}
	return error == DFOTA_E_NOT_FOUND ? NULL : "the steps cannot be read";
}

static bool flash_open(struct flash *flash, const struct dfota_delta_header *header,
		       const uint8_t *old_image)
{
	flash->header = header;
	flash->size = header->old_bytes > header->new_bytes ? header->old_bytes : header->new_bytes;
	flash->size += header->segment_bytes; /* units are written whole */
	flash->bytes = calloc(1, (size_t)flash->size);
	flash->lost = calloc(1, (size_t)flash->size);
	flash->stash = malloc((size_t)header->stash_bytes + 1);
	flash->copies = calloc((size_t)header->copy_count + 1, sizeof(*flash->copies));
	if (!flash->bytes || !flash->lost || !flash->stash || !flash->copies)
		return false;
	if (header->old_bytes > 0)
		memcpy(flash->bytes, old_image, (size_t)header->old_bytes);
	return true;
}

static const char *apply(const struct dfota_delta *delta, const uint8_t *old_image,
			 const uint8_t *new_image, struct replay_counts *counts)
{
	const struct dfota_delta_header *header = &delta->header;
	struct dfota_codec_image image = { header->old_bytes, header->new_bytes,
					   header->segment_bytes, header->prelude_bytes,
					   header->codings, header->map };
	const struct dfota_memory *file = delta->source.context;
	struct dfota_memory memory = { file->data + delta->prelude_at, header->prelude_bytes };
	struct dfota_source prelude = dfota_memory_source(&memory);
	size_t bytes = dfota_codec_workspace_bytes(&image);
	uint8_t *workspace = malloc(bytes ? bytes : 1), *segment = malloc(header->segment_bytes);
	struct flash flash = { 0 };
	struct dfota_codec *codec;
	const char *wrong = "no memory";

	if (!workspace || !segment || !flash_open(&flash, header, old_image))
		goto out;
	wrong = "the codec refuses the image";
	if (bytes == 0 || dfota_codec_init(&codec, &image, &prelude, workspace, bytes))
		goto out;
	wrong = do_steps(&flash, delta, codec, segment, counts);
	if (!wrong && header->new_bytes > 0 &&
	    memcmp(flash.bytes, new_image, (size_t)header->new_bytes) != 0)
		wrong = "the result is not the new image";
	if (!wrong && counts->codings != header->codings)
		wrong = "codings are not as announced";
out:
	free(workspace);
	free(segment);
	free(flash.bytes);
	free(flash.lost);
	free(flash.stash);
	free(flash.copies);
	return wrong;
}

static const char *check(const struct dfota_delta *delta)
{
	size_t bytes = dfota_delta_check_bytes(&delta->header);
	void *workspace = malloc(bytes + 1);
	int error = workspace ? dfota_delta_check(delta, workspace, bytes) : DFOTA_E_MEMORY;

	free(workspace);
	return error ? "the delta's own check fails" : NULL;
}

const char *replay(struct dfota_delta_image *image, const uint8_t *old_image, uint64_t old_bytes,
		   const uint8_t *new_image, uint64_t new_bytes, struct replay_counts *ret_counts)
{
	struct replay_counts counts = { 0 };
	struct dfota_delta delta;
	struct dfota_memory memory;
	struct dfota_source source;
	const char *wrong = NULL;
	uint8_t *index, *file;
	size_t index_bytes, chunk_bytes;

	if (dfota_delta_write_index(image, &index, &index_bytes))
		return "the index cannot be written";
	chunk_bytes = (size_t)image->header.chunk_bytes;
	file = realloc(index, index_bytes + chunk_bytes);
	if (!file) {
		free(index);
		return "no memory";
	}
	if (chunk_bytes > 0)
		memcpy(file + index_bytes, image->chunks, chunk_bytes);
	memory = (struct dfota_memory){ file, index_bytes + chunk_bytes };
	source = dfota_memory_source(&memory);
	if (dfota_delta_open(&delta, &source, memory.bytes))
		wrong = "the delta does not open";
	else if (delta.header.old_bytes != old_bytes || delta.header.new_bytes != new_bytes)
		wrong = "sizes are not those of the images";
	if (!wrong)
		wrong = check(&delta);
	if (!wrong)
		wrong = apply(&delta, old_image, new_image, &counts);
	if (ret_counts)
		*ret_counts = counts;
	free(file);
	return wrong;
}
