/* SPDX-License-Identifier: MIT
 *
 * One partition's delta: its steps, which of its old bytes are left and where, and decoding.
 *
 * Old bytes are never guessed: a byte comes from flash while no step at or before this one has
 * overwritten its unit, else from a live stash copy that an earlier step made, else the read fails.
 * The rehearsal follows the same rule, so that a package that would get stuck is refused before the
 * first write.
 */
#include "engine.h"

static size_t aligned(uint64_t bytes)
{
	return (size_t)updater_round_up(bytes, UPDATER_ALIGN);
}

static struct dfota_codec_image image_of(const struct dfota_delta_header *header)
{
	return (struct dfota_codec_image){
		.old_bytes = header->old_bytes,
		.new_bytes = header->new_bytes,
		.segment_bytes = header->segment_bytes,
		.prelude_bytes = header->prelude_bytes,
		.codings = header->codings,
		.map = header->map,
	};
}

static size_t gone_bytes(const struct dfota_delta_header *header)
{
	uint64_t longer =
	    header->new_bytes > header->old_bytes ? header->new_bytes : header->old_bytes;

	return (size_t)(dfota_ceil_div64(longer, header->unit_bytes) / 8 + 1);
}

/* Checking the index and decoding take turns in the same memory. */
static size_t scratch_bytes(const struct dfota_delta_header *header)
{
	struct dfota_codec_image image = image_of(header);
	size_t codec = dfota_codec_workspace_bytes(&image), check = dfota_delta_check_bytes(header);

	if (codec == 0)
		return 0;
	return codec > check ? codec : check;
}

uint64_t dfota_updater_partition_memory(const struct dfota_delta_header *header)
{
	uint64_t scratch = scratch_bytes(header);

	if (scratch == 0 || header->unit_bytes == 0)
		return 0;
	return UPDATER_ALIGN + UPDATER_ENGINE_MAX + aligned(header->segment_bytes + UPDATER_PAD_BYTES) +
	       aligned((uint64_t)header->live_copies * sizeof(struct live_copy)) +
	       aligned((uint64_t)header->step_count * sizeof(uint32_t)) +
	       aligned(gone_bytes(header)) + aligned(scratch);
}

static int window_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	const struct window *window = context;

	if (!dfota_inside(offset, bytes, window->bytes))
		return DFOTA_E_CORRUPT;
	return dfota_source_read(window->source, window->at + offset, buffer, bytes);
}

int updater_partition_open(struct engine *e, uint32_t index)
{
	struct partition *p = &e->part;
	const struct dfota_delta_header *header = &p->delta.header;
	struct window prelude;
	struct dfota_source source = { window_read, &prelude };
	struct dfota_codec_image image;
	uint8_t *scratch;
	uint32_t blocks;
	size_t bytes;
	int error;

	p->index = index;
	p->row = &e->manifest->partitions[index];
	p->flash = e->flashes[index];
	p->step_index = 0;
	p->copy_count = 0;
	e->report->step = 0;
	error = dfota_package_delta(e->config->package, index, &p->delta);
	if (error)
		return updater_fail(e, DFOTA_WHERE_PACKAGE, error);
	p->segment = e->memory;
	p->copies = (void *)(p->segment + aligned(header->segment_bytes + UPDATER_PAD_BYTES));
	p->stash = (struct stash_map){
		.places = (void *)((uint8_t *)p->copies +
				   aligned((uint64_t)header->live_copies * sizeof(struct live_copy)))
	};
	p->gone = (uint8_t *)p->stash.places + aligned((uint64_t)header->step_count * sizeof(uint32_t));
	scratch = p->gone + aligned(gone_bytes(header));
	memset(p->segment + header->segment_bytes, 0, UPDATER_PAD_BYTES);
	memset(p->gone, 0, gone_bytes(header));
	bytes = scratch_bytes(header);
	error = dfota_delta_check(&p->delta, scratch, bytes);
	if (!error)
		error = updater_stash_plan(&p->delta, e->config->area->geometry.erase_bytes,
					   (void *)scratch, p->stash.places, &p->stash.shared, &blocks);
	if (error)
		return updater_fail(e, DFOTA_WHERE_PACKAGE, error);
	image = image_of(header);
	prelude = (struct window){ &p->delta.source, p->delta.prelude_at, header->prelude_bytes };
	error = dfota_codec_init(&p->codec, &image, &source, scratch, bytes);
	dfota_delta_rewind(&p->cursor, &p->delta);
	return updater_fail(e, DFOTA_WHERE_PACKAGE, error);
}

static void drop_dead_copies(struct partition *p)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < p->copy_count; i++)
		if (p->copies[i].last_reader >= p->step_index)
			p->copies[kept++] = p->copies[i];
	p->copy_count = kept;
}

int updater_partition_next(struct engine *e)
{
	struct partition *p = &e->part;
	int error = dfota_delta_next(&p->cursor, &p->step, &p->chunk_at);

	if (error == DFOTA_E_NOT_FOUND)
		return error;
	if (error)
		return updater_fail(e, DFOTA_WHERE_PACKAGE, error);
	p->step_index = p->cursor.next_step - 1;
	e->report->step = p->step_index;
	dfota_delta_step_range(&p->delta.header, &p->step, &p->offset, &p->new_bytes,
			       &p->old_bytes);
	drop_dead_copies(p);
	return 0;
}

static void copy_insert(struct partition *p, const struct live_copy *copy)
{
	uint32_t at = p->copy_count++;

	while (at > 0 && p->copies[at - 1].old_offset > copy->old_offset) {
		p->copies[at] = p->copies[at - 1];
		at--;
	}
	p->copies[at] = *copy;
}

int updater_partition_copy(struct engine *e, struct dfota_delta_copy *ret_copy)
{
	struct partition *p = &e->part;
	int error = dfota_delta_next_copy(&p->cursor, ret_copy);

	if (error == DFOTA_E_NOT_FOUND)
		return error;
	/* The count was checked with the index; a source that changes meanwhile is not trusted. */
	if (!error && p->copy_count == p->delta.header.live_copies)
		error = DFOTA_E_CORRUPT;
	if (error)
		return updater_fail(e, DFOTA_WHERE_PACKAGE, error);
	updater_stash_translate(&p->stash, p->step_index, ret_copy);
	copy_insert(p, &(struct live_copy){
			   .old_offset = ret_copy->old_offset,
			   .bytes = ret_copy->bytes,
			   .stash_offset = ret_copy->stash_offset,
			   .owner = p->step_index,
			   .last_reader = ret_copy->last_reader,
		       });
	return 0;
}

void updater_partition_gone(struct engine *e)
{
	struct partition *p = &e->part;
	uint64_t first = p->offset / p->delta.header.unit_bytes;

	for (uint32_t u = 0; u < updater_units(p); u++)
		if (updater_changed(p, u))
			p->gone[(first + u) / 8] |= (uint8_t)(1u << (first + u) % 8);
}

int updater_partition_pass(struct engine *e)
{
	struct dfota_delta_copy copy;
	int error;

	if (!updater_written(&e->part.step))
		return 0;
	do
		error = updater_partition_copy(e, &copy);
	while (!error);
	if (error != DFOTA_E_NOT_FOUND)
		return error;
	updater_partition_gone(e);
	return 0;
}

/* Bytes at `offset`, at most `bytes`, whose units are all gone or all there. */
static size_t same_fate(const struct partition *p, uint64_t offset, size_t bytes, bool *ret_gone)
{
	uint32_t unit_bytes = p->delta.header.unit_bytes;
	uint64_t unit = offset / unit_bytes;
	bool gone = (p->gone[unit / 8] >> unit % 8 & 1) != 0;
	uint64_t end = (unit + 1) * unit_bytes;

	while (end < offset + bytes &&
	       (p->gone[end / unit_bytes / 8] >> end / unit_bytes % 8 & 1) == gone)
		end += unit_bytes;
	*ret_gone = gone;
	return (size_t)dfota_min64(bytes, end - offset);
}

/* The live copy of an earlier step that holds the old byte at `offset`. */
static const struct live_copy *copy_at(const struct partition *p, uint64_t offset)
{
	uint32_t low = 0, high = p->copy_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (p->copies[middle].old_offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	while (low-- > 0) {
		const struct live_copy *copy = &p->copies[low];

		if (copy->owner < p->step_index && offset - copy->old_offset < copy->bytes)
			return copy;
	}
	return NULL;
}

static int flash_read(struct engine *e, uint64_t offset, uint8_t *out, size_t bytes)
{
	return updater_fail(e, DFOTA_WHERE_PARTITION,
			    dfota_flash_read(e->part.flash, offset, out, bytes));
}

int updater_old_read(struct engine *e, uint64_t offset, uint8_t *out, size_t bytes)
{
	bool gone = false;

	if (!dfota_inside(offset, bytes, e->part.delta.header.old_bytes) ||
	    (bytes > 0 && (same_fate(&e->part, offset, bytes, &gone) != bytes || gone)))
		return updater_fail(e, DFOTA_WHERE_PACKAGE, DFOTA_E_CORRUPT);
	return flash_read(e, offset, out, bytes);
}

/* One range more, or one that grows; a new one is left out when there are too many. */
static void reads_note(struct updater_reads *reads, uint64_t offset, size_t bytes)
{
	for (uint32_t i = reads->count; i-- > 0;) {
		struct updater_range *range = &reads->ranges[i];

		if (offset > range->end || offset + bytes < range->offset)
			continue;
		if (range->offset > offset)
			range->offset = offset;
		if (range->end < offset + bytes)
			range->end = offset + bytes;
		return;
	}
	if (reads->count < UPDATER_READS_MAX)
		reads->ranges[reads->count++] = (struct updater_range){ offset, offset + bytes };
}

/* What the codec reads old bytes through. */
static int old_source_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct engine *e = context;
	struct partition *p = &e->part;
	uint8_t *out = buffer;

	if (!dfota_inside(offset, bytes, p->delta.header.old_bytes))
		return updater_fail(e, DFOTA_WHERE_PACKAGE, DFOTA_E_CORRUPT);
	while (bytes > 0) {
		bool gone;
		size_t n = same_fate(p, offset, bytes, &gone);
		const struct live_copy *copy = gone ? copy_at(p, offset) : NULL;
		uint32_t within;
		int error;

		if (gone && !copy)
			return updater_fail(e, DFOTA_WHERE_PACKAGE, DFOTA_E_CORRUPT);
		if (gone) {
			within = (uint32_t)(offset - copy->old_offset);
			n = (size_t)dfota_min64(n, copy->bytes - within);
			error = e->rehearsing
				    ? flash_read(e, offset, out, n)
				    : updater_stash_read(e, copy->stash_offset + within, out, n);
		} else {
			error = flash_read(e, offset, out, n);
			reads_note(&p->reads, offset, n);
		}
		if (error)
			return error;
		offset += n;
		out += n;
		bytes -= n;
	}
	return 0;
}

static int chunk_prove(struct engine *e, const struct window *chunk)
{
	uint8_t sha256[DFOTA_SHA256_BYTES];
	int error;

	dfota_digest_start(&e->digest);
	for (uint64_t at = 0; at < chunk->bytes; at += sizeof(e->io)) {
		size_t n = (size_t)dfota_min64(sizeof(e->io), chunk->bytes - at);

		error = dfota_source_read(chunk->source, chunk->at + at, e->io, n);
		if (error)
			return error;
		dfota_digest_add(&e->digest, e->io, n);
	}
	error = dfota_digest_finish(&e->digest, sha256);
	if (error)
		return error;
	return memcmp(sha256, e->part.step.chunk, UPDATER_DIGEST_PART) ? DFOTA_E_CORRUPT : 0;
}

int updater_partition_decode(struct engine *e)
{
	struct partition *p = &e->part;
	struct window chunk = { &p->delta.source, p->chunk_at, p->step.chunk_bytes };
	struct dfota_codec_job job = {
		.segment = p->step.segment,
		.coding = p->step.coding,
		.chunk_bytes = p->step.chunk_bytes,
		.chunk = { window_read, &chunk },
		.old = { old_source_read, e },
	};
	uint8_t sha256[DFOTA_SHA256_BYTES];
	int error = chunk_prove(e, &chunk);

	p->reads.count = 0;
	if (!error)
		error = dfota_codec_decode(p->codec, &job, p->segment, (size_t)p->new_bytes);
	if (!error)
		error = dfota_digest_of(&e->digest, p->segment, (size_t)p->new_bytes, sha256);
	if (!error && !MUTANT(NO_DIGEST) &&
	    memcmp(sha256, p->step.target, UPDATER_DIGEST_PART) != 0)
		error = DFOTA_E_CORRUPT;
	return updater_fail(e, DFOTA_WHERE_PACKAGE, error);
}
