/* SPDX-License-Identifier: MIT
 *
 * Builder's side: index of a delta that is in memory.
 */
#include <stdlib.h>

#include "layout.h"

void dfota_delta_image_free(struct dfota_delta_image *image)
{
	free(image->steps);
	free(image->copies);
	free(image->prelude);
	free(image->chunks);
	*image = (struct dfota_delta_image){ 0 };
}

static bool copy_ok(const struct dfota_delta_header *header, const struct dfota_delta_copy *copy,
		    uint32_t step, uint64_t stash_end)
{
	return copy->bytes > 0 && dfota_inside(copy->old_offset, copy->bytes, header->old_bytes) &&
	       dfota_inside(copy->stash_offset, copy->bytes, header->stash_bytes) &&
	       copy->stash_offset >= stash_end && copy->last_reader > step &&
	       copy->last_reader < header->step_count;
}

static int put_copies(const struct dfota_delta_image *image, uint8_t *out, size_t *ret_bytes)
{
	const struct dfota_delta_copy *copy = image->copies;
	uint64_t old_end = 0;
	uint8_t *p = out;

	for (uint32_t i = 0; i < image->header.step_count; i++) {
		uint64_t stash_end = 0;

		for (uint32_t j = 0; j < image->steps[i].copies; j++, copy++) {
			if ((size_t)(copy - image->copies) >= image->header.copy_count ||
			    !copy_ok(&image->header, copy, i, stash_end))
				return DFOTA_E_ARGUMENT;
			p += dfota_varint_put(p,
					      dfota_zigzag((int64_t)(copy->old_offset - old_end)));
			p += dfota_varint_put(p, copy->bytes);
			p += dfota_varint_put(p, copy->stash_offset - stash_end);
			p += dfota_varint_put(p, copy->last_reader - i - 1);
			old_end = copy->old_offset + copy->bytes;
			stash_end = (uint64_t)copy->stash_offset + copy->bytes;
		}
	}
	if ((size_t)(copy - image->copies) != image->header.copy_count)
		return DFOTA_E_ARGUMENT;
	*ret_bytes = (size_t)(p - out);
	return 0;
}

/* All limits that need no copy stream; the totals of chunks and codings too. */
static bool steps_ok(const struct dfota_delta_image *image)
{
	const struct dfota_delta_header *header = &image->header;
	uint64_t chunks = 0;

	for (uint32_t i = 0; i < header->step_count; i++) {
		if (!delta_step_ok(header, &image->steps[i]))
			return false;
		chunks += image->steps[i].chunk_bytes;
	}
	return chunks == header->chunk_bytes && header->literal_bytes == header->new_bytes -
									     header->moved_bytes -
									     header->changed_bytes;
}

static bool limits_ok(const struct dfota_delta_header *header)
{
	struct dfota_delta_header probe = *header;

	/* Not known yet: any length that is allowed. */
	probe.copy_stream_bytes = header->copy_count <= DFOTA_DELTA_COPIES_MAX
				      ? header->copy_count * DELTA_COPY_BYTES_MIN
				      : 0;
	return delta_header_ok(&probe);
}

int dfota_delta_write_index(struct dfota_delta_image *image, uint8_t **ret_index, size_t *ret_bytes)
{
	struct dfota_delta_header *header = &image->header;
	size_t room, copy_bytes = 0;
	uint8_t *index, *p;
	int error;

	if (!limits_ok(header) || !steps_ok(image))
		return DFOTA_E_ARGUMENT;
	room = DFOTA_DELTA_HEADER_BYTES + (size_t)header->step_count * DFOTA_DELTA_STEP_BYTES +
	       (size_t)header->copy_count * DELTA_COPY_BYTES_MAX + header->prelude_bytes;
	index = malloc(room);
	if (!index)
		return DFOTA_E_MEMORY;
	p = index + DFOTA_DELTA_HEADER_BYTES;
	for (uint32_t i = 0; i < header->step_count; i++, p += DFOTA_DELTA_STEP_BYTES)
		delta_put_step(p, &image->steps[i]);
	error = put_copies(image, p, &copy_bytes);
	if (error) {
		free(index);
		return error;
	}
	p += copy_bytes;
	if (header->prelude_bytes)
		memcpy(p, image->prelude, header->prelude_bytes);
	p += header->prelude_bytes;
	header->copy_stream_bytes = (uint32_t)copy_bytes;
	delta_put_header(index, header);
	*ret_index = index;
	*ret_bytes = (size_t)(p - index);
	return 0;
}
