/* SPDX-License-Identifier: MIT
 *
 * Layout of header and steps, and the limits of their fields.
 */
#include "layout.h"

void delta_put_header(uint8_t p[DFOTA_DELTA_HEADER_BYTES], const struct dfota_delta_header *header)
{
	memcpy(p, "DFD", 3);
	p[3] = DFOTA_DELTA_FORMAT;
	dfota_put32(p + 4, header->unit_bytes);
	dfota_put64(p + 8, header->old_bytes);
	dfota_put64(p + 16, header->new_bytes);
	dfota_put32(p + 24, header->segment_bytes);
	dfota_put32(p + 28, header->step_count);
	dfota_put32(p + 32, header->copy_count);
	dfota_put32(p + 36, header->copy_stream_bytes);
	dfota_put64(p + 40, header->chunk_bytes);
	dfota_put32(p + 48, header->prelude_bytes);
	dfota_put32(p + 52, header->stash_bytes);
	dfota_put32(p + 56, header->live_copies);
	dfota_put32(p + 60, header->codings);
	dfota_put64(p + 64, header->moved_bytes);
	dfota_put64(p + 72, header->changed_bytes);
	dfota_put32(p + 80, header->map.regions);
	dfota_put32(p + 84, header->map.pieces);
	dfota_put32(p + 88, header->map.runs);
}

void delta_get_header(struct dfota_delta_header *header, const uint8_t p[DFOTA_DELTA_HEADER_BYTES])
{
	header->unit_bytes = dfota_get32(p + 4);
	header->old_bytes = dfota_get64(p + 8);
	header->new_bytes = dfota_get64(p + 16);
	header->segment_bytes = dfota_get32(p + 24);
	header->step_count = dfota_get32(p + 28);
	header->copy_count = dfota_get32(p + 32);
	header->copy_stream_bytes = dfota_get32(p + 36);
	header->chunk_bytes = dfota_get64(p + 40);
	header->prelude_bytes = dfota_get32(p + 48);
	header->stash_bytes = dfota_get32(p + 52);
	header->live_copies = dfota_get32(p + 56);
	header->codings = dfota_get32(p + 60);
	header->moved_bytes = dfota_get64(p + 64);
	header->changed_bytes = dfota_get64(p + 72);
	header->map.regions = dfota_get32(p + 80);
	header->map.pieces = dfota_get32(p + 84);
	header->map.runs = dfota_get32(p + 88);
	header->literal_bytes = header->new_bytes - header->moved_bytes - header->changed_bytes;
}

void delta_put_step(uint8_t p[DFOTA_DELTA_STEP_BYTES], const struct dfota_delta_step *step)
{
	dfota_put32(p, step->segment);
	dfota_put32(p + 4, step->segments);
	dfota_put64(p + 8, step->changed_units);
	p[16] = step->kind;
	p[17] = step->coding;
	dfota_put16(p + 18, step->copies);
	dfota_put32(p + 20, step->chunk_bytes);
	memcpy(p + 24, step->source, sizeof(step->source));
	memcpy(p + 32, step->target, sizeof(step->target));
	memcpy(p + 48, step->chunk, sizeof(step->chunk));
}

void delta_get_step(struct dfota_delta_step *step, const uint8_t p[DFOTA_DELTA_STEP_BYTES])
{
	step->segment = dfota_get32(p);
	step->segments = dfota_get32(p + 4);
	step->changed_units = dfota_get64(p + 8);
	step->kind = p[16];
	step->coding = p[17];
	step->copies = dfota_get16(p + 18);
	step->chunk_bytes = dfota_get32(p + 20);
	memcpy(step->source, p + 24, sizeof(step->source));
	memcpy(step->target, p + 32, sizeof(step->target));
	memcpy(step->chunk, p + 48, sizeof(step->chunk));
}

uint32_t delta_new_segments(const struct dfota_delta_header *header)
{
	return (uint32_t)dfota_ceil_div64(header->new_bytes, header->segment_bytes);
}

uint32_t delta_all_segments(const struct dfota_delta_header *header)
{
	uint64_t longer =
	    header->new_bytes > header->old_bytes ? header->new_bytes : header->old_bytes;

	return (uint32_t)dfota_ceil_div64(longer, header->segment_bytes);
}

static bool geometry_ok(const struct dfota_delta_header *header)
{
	return header->old_bytes <= DFOTA_DELTA_IMAGE_MAX &&
	       header->new_bytes <= DFOTA_DELTA_IMAGE_MAX &&
	       header->unit_bytes >= DFOTA_DELTA_UNIT_MIN &&
	       header->unit_bytes <= DFOTA_DELTA_UNIT_MAX &&
	       header->unit_bytes % DFOTA_DELTA_UNIT_MIN == 0 &&
	       header->segment_bytes >= header->unit_bytes &&
	       header->segment_bytes <= DFOTA_DELTA_SEGMENT_MAX &&
	       header->segment_bytes % header->unit_bytes == 0 &&
	       header->segment_bytes / header->unit_bytes <= DFOTA_DELTA_UNITS_MAX;
}

static bool copies_ok(const struct dfota_delta_header *header)
{
	uint32_t count = header->copy_count;

	if (count > DFOTA_DELTA_COPIES_MAX || header->stash_bytes > DFOTA_DELTA_STASH_MAX)
		return false;
	if (count == 0)
		return header->copy_stream_bytes == 0 && header->stash_bytes == 0 &&
		       header->live_copies == 0;
	return header->copy_stream_bytes >= count * DELTA_COPY_BYTES_MIN &&
	       header->copy_stream_bytes <= count * DELTA_COPY_BYTES_MAX &&
	       header->stash_bytes > 0 && header->live_copies > 0 && header->live_copies <= count;
}

bool delta_header_ok(const struct dfota_delta_header *header)
{
	uint32_t all;

	if (!geometry_ok(header) || !copies_ok(header))
		return false;
	all = delta_all_segments(header);
	return header->step_count <= DFOTA_DELTA_STEPS_MAX && header->step_count <= all &&
	       (header->step_count > 0) == (all > 0) &&
	       header->prelude_bytes <= DFOTA_DELTA_PRELUDE_MAX &&
	       header->chunk_bytes <= header->new_bytes &&
	       header->moved_bytes <= header->new_bytes &&
	       header->changed_bytes <= header->new_bytes - header->moved_bytes;
}

void dfota_delta_step_range(const struct dfota_delta_header *header,
			    const struct dfota_delta_step *step, uint64_t *ret_offset,
			    uint64_t *ret_new_bytes, uint64_t *ret_old_bytes)
{
	uint64_t offset = (uint64_t)step->segment * header->segment_bytes;
	uint64_t bytes = (uint64_t)step->segments * header->segment_bytes;

	*ret_offset = offset;
	*ret_new_bytes =
	    offset < header->new_bytes ? dfota_min64(bytes, header->new_bytes - offset) : 0;
	*ret_old_bytes =
	    offset < header->old_bytes ? dfota_min64(bytes, header->old_bytes - offset) : 0;
}

static bool written_step_ok(const struct dfota_delta_header *header,
			    const struct dfota_delta_step *step)
{
	uint64_t offset, new_bytes, old_bytes, units;

	if (step->segments != 1 || step->segment >= delta_new_segments(header))
		return false;
	dfota_delta_step_range(header, step, &offset, &new_bytes, &old_bytes);
	units = dfota_ceil_div64(new_bytes, header->unit_bytes);
	if (step->changed_units == 0 || (units < 64 && step->changed_units >> units != 0))
		return false;
	return step->chunk_bytes > 0 && step->chunk_bytes <= new_bytes && step->coding < 32 &&
	       (header->codings >> step->coding & 1) != 0;
}

static bool run_step_ok(const struct dfota_delta_header *header,
			const struct dfota_delta_step *step)
{
	static const uint8_t zero[16];
	uint32_t new_segments = delta_new_segments(header), first = 0, end = new_segments;

	if (step->kind == DFOTA_STEP_TAIL) {
		first = new_segments;
		end = delta_all_segments(header);
		if (memcmp(step->target, zero, sizeof(step->target)) != 0)
			return false;
	}
	return step->segments >= 1 && step->segment >= first &&
	       dfota_inside(step->segment, step->segments, end) && step->changed_units == 0 &&
	       step->coding == 0 && step->copies == 0 && step->chunk_bytes == 0 &&
	       memcmp(step->chunk, zero, sizeof(step->chunk)) == 0;
}

bool delta_step_ok(const struct dfota_delta_header *header, const struct dfota_delta_step *step)
{
	switch (step->kind) {
	case DFOTA_STEP_UNCHANGED:
	case DFOTA_STEP_TAIL:
		return run_step_ok(header, step);
	case DFOTA_STEP_DIRECT:
	case DFOTA_STEP_REDO:
		return written_step_ok(header, step);
	}
	return false;
}
