/* SPDX-License-Identifier: MIT
 *
 * Opening a delta and walking its steps and stash copies.
 */
#include "layout.h"

uint64_t dfota_delta_index_bytes(const struct dfota_delta_header *header)
{
	return DFOTA_DELTA_HEADER_BYTES + (uint64_t)header->step_count * DFOTA_DELTA_STEP_BYTES +
	       header->copy_stream_bytes + header->prelude_bytes;
}

int dfota_delta_open(struct dfota_delta *delta, const struct dfota_source *source, uint64_t bytes)
{
	uint8_t raw[DFOTA_DELTA_HEADER_BYTES];
	struct dfota_delta_header header;
	int error;

	if (bytes < sizeof(raw))
		return DFOTA_E_CORRUPT;
	error = dfota_source_read(source, 0, raw, sizeof(raw));
	if (error)
		return error;
	if (memcmp(raw, "DFD", 3) != 0 || raw[3] == 0)
		return DFOTA_E_CORRUPT;
	if (raw[3] > DFOTA_DELTA_FORMAT)
		return DFOTA_E_FORMAT;
	delta_get_header(&header, raw);
	if (!delta_header_ok(&header) ||
	    dfota_delta_index_bytes(&header) + header.chunk_bytes != bytes)
		return DFOTA_E_CORRUPT;
	*delta = (struct dfota_delta){
		.header = header,
		.source = *source,
		.bytes = bytes,
		.copies_at =
		    DFOTA_DELTA_HEADER_BYTES + (uint64_t)header.step_count * DFOTA_DELTA_STEP_BYTES,
	};
	delta->prelude_at = delta->copies_at + header.copy_stream_bytes;
	delta->chunks_at = delta->prelude_at + header.prelude_bytes;
	return 0;
}

void dfota_delta_rewind(struct dfota_delta_cursor *cursor, const struct dfota_delta *delta)
{
	cursor->delta = delta;
	cursor->next_step = 0;
	cursor->chunk_at = delta->chunks_at;
	cursor->copy_at = delta->copies_at;
	cursor->copies_left = 0;
	cursor->copy_old_offset = 0;
	cursor->copy_base = 0;
	cursor->copies_seen = 0;
	cursor->buffered = 0;
	cursor->buffer_used = 0;
	cursor->buffer_at = delta->copies_at;
}

/* Makes the bytes of one whole copy available, or all that the stream has left. */
static int refill(struct dfota_delta_cursor *cursor)
{
	const struct dfota_delta *delta = cursor->delta;
	size_t bytes;
	int error;

	if (cursor->buffered - cursor->buffer_used >= DELTA_COPY_BYTES_MAX ||
	    cursor->buffer_at + cursor->buffered == delta->prelude_at)
		return 0;
	bytes = (size_t)dfota_min64(sizeof(cursor->buffer), delta->prelude_at - cursor->copy_at);
	cursor->buffered = 0;
	cursor->buffer_used = 0;
	cursor->buffer_at = cursor->copy_at;
	error = dfota_source_read(&delta->source, cursor->copy_at, cursor->buffer, bytes);
	if (error)
		return error;
	cursor->buffered = (uint32_t)bytes;
	return 0;
}

static int decode_copy(const struct dfota_delta_cursor *cursor, const uint8_t **position,
		       struct dfota_delta_copy *ret_copy)
{
	const struct dfota_delta_header *header = &cursor->delta->header;
	const uint8_t *end = cursor->buffer + cursor->buffered;
	uint64_t distance, bytes, gap, wait, old_offset;
	uint32_t step = cursor->next_step - 1;

	if (dfota_varint_get(position, end, &distance) || dfota_varint_get(position, end, &bytes) ||
	    dfota_varint_get(position, end, &gap) || dfota_varint_get(position, end, &wait))
		return DFOTA_E_CORRUPT;
	/* Wraps like the writer's subtraction; the range check that follows is what counts. */
	old_offset = cursor->copy_old_offset + (uint64_t)dfota_unzigzag(distance);
	if (bytes == 0 || !dfota_inside(old_offset, bytes, header->old_bytes))
		return DFOTA_E_CORRUPT;
	if (gap > header->stash_bytes ||
	    !dfota_inside(cursor->copy_base + gap, bytes, header->stash_bytes))
		return DFOTA_E_CORRUPT;
	if (wait >= header->step_count - step - 1)
		return DFOTA_E_CORRUPT;
	ret_copy->old_offset = old_offset;
	ret_copy->bytes = (uint32_t)bytes;
	ret_copy->stash_offset = (uint32_t)(cursor->copy_base + gap);
	ret_copy->last_reader = step + 1 + (uint32_t)wait;
	return 0;
}

int dfota_delta_next_copy(struct dfota_delta_cursor *cursor, struct dfota_delta_copy *ret_copy)
{
	struct dfota_delta_copy copy;
	const uint8_t *position;
	int error;

	if (cursor->copies_left == 0)
		return DFOTA_E_NOT_FOUND;
	error = refill(cursor);
	if (error)
		return error;
	position = cursor->buffer + cursor->buffer_used;
	error = decode_copy(cursor, &position, &copy);
	if (error)
		return error;
	cursor->buffer_used = (uint32_t)(position - cursor->buffer);
	cursor->copy_at = cursor->buffer_at + cursor->buffer_used;
	cursor->copy_old_offset = copy.old_offset + copy.bytes;
	cursor->copy_base = (uint64_t)copy.stash_offset + copy.bytes;
	cursor->copies_left--;
	*ret_copy = copy;
	return 0;
}

static int skip_copies(struct dfota_delta_cursor *cursor)
{
	struct dfota_delta_copy copy;
	int error;

	while (cursor->copies_left > 0) {
		error = dfota_delta_next_copy(cursor, &copy);
		if (error)
			return error;
	}
	return 0;
}

int dfota_delta_next(struct dfota_delta_cursor *cursor, struct dfota_delta_step *ret_step,
		     uint64_t *ret_chunk_at)
{
	const struct dfota_delta *delta = cursor->delta;
	uint8_t raw[DFOTA_DELTA_STEP_BYTES];
	struct dfota_delta_step step;
	int error;

	error = skip_copies(cursor);
	if (error)
		return error;
	if (cursor->next_step == delta->header.step_count)
		return DFOTA_E_NOT_FOUND;
	error = dfota_source_read(
	    &delta->source, DFOTA_DELTA_HEADER_BYTES + (uint64_t)cursor->next_step * sizeof(raw),
	    raw, sizeof(raw));
	if (error)
		return error;
	delta_get_step(&step, raw);
	if (!delta_step_ok(&delta->header, &step) ||
	    step.copies > delta->header.copy_count - cursor->copies_seen ||
	    !dfota_inside(cursor->chunk_at, step.chunk_bytes, delta->bytes))
		return DFOTA_E_CORRUPT;
	*ret_step = step;
	*ret_chunk_at = cursor->chunk_at;
	cursor->chunk_at += step.chunk_bytes;
	cursor->next_step++;
	cursor->copies_left = step.copies;
	cursor->copies_seen += step.copies;
	cursor->copy_base = 0;
	return 0;
}
