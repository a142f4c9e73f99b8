/* SPDX-License-Identifier: MIT
 *
 * Writing a recipe, and doing what it says.
 */
#include <zlib.h>

#include "recipe.h"

#define DEFLATE_LEVEL	 6
#define DEFLATE_RESERVE	 8192u /* zlib's own state: measured 5.9 KiB in 1.2.13 */
#define WINDOW_BITS_MIN	 9
#define WINDOW_BITS_MAX	 15
#define ALIGN		 16u
#define TABLE_BITS_MIN	 8u
#define WINDOW_BYTES_MIN 1024u
#define WINDOW_BYTES_MAX (64u << 20)
#define PIECES_MIN	 32u
#define HALF		 (UPDATER_IO_BYTES / 2)
#define NONE		 UINT64_MAX

/* ---- memory ------------------------------------------------------------------------------- */

struct room {
	uint8_t *at;
	size_t left;
};

static void *take(struct room *room, size_t bytes)
{
	size_t whole = (size_t)updater_round_up(bytes, ALIGN);
	void *memory = room->at;

	if (whole > room->left)
		return NULL;
	room->at += whole;
	room->left -= whole;
	return memory;
}

static void *zlib_take(void *opaque, unsigned count, unsigned bytes)
{
	return take(opaque, (size_t)count * bytes);
}

/* All of it goes with the room. */
static void zlib_free(void *opaque, void *memory)
{
	(void)opaque;
	(void)memory;
}

static int window_bits_for(uint64_t bytes)
{
	int bits = WINDOW_BITS_MIN;

	while (bits < WINDOW_BITS_MAX && (UINT64_C(1) << bits) < bytes)
		bits++;
	return bits;
}

/* zlib's documented need of a window of 2^bits and a memory level of bits - 7. */
static size_t deflate_bytes_for(int bits)
{
	return ((size_t)1 << (bits + 2)) + ((size_t)1 << (bits + 2)) + DEFLATE_RESERVE;
}

/* What is left after all else: half for the table at most, the rest for old bytes. */
static bool window_place(struct room *room, struct recipe *r)
{
	r->table_bits = TABLE_BITS_MIN;
	while ((sizeof(*r->table) << (r->table_bits + 1)) <= room->left / 2)
		r->table_bits++;
	r->table = take(room, sizeof(*r->table) << r->table_bits);
	r->window_max = (uint32_t)dfota_min64(room->left, WINDOW_BYTES_MAX);
	r->window = room->at;
	return r->table && r->window_max >= WINDOW_BYTES_MIN;
}

bool recipe_place(struct engine *e, struct recipe *ret_recipe)
{
	const struct dfota_delta_header *header = &e->part.delta.header;
	struct recipe r = { .window_bits = window_bits_for(header->segment_bytes) };
	struct room room;
	uint32_t copies = header->unit_bytes / 64, pieces = header->segment_bytes / 1024;

	room.at = dfota_codec_idle(e->part.codec, &room.left);
	r.copies_max = copies < RECIPE_COPIES_MAX ? copies : RECIPE_COPIES_MAX;
	r.pieces_max = pieces < PIECES_MIN ? PIECES_MIN : pieces;
	if (r.pieces_max > UPDATER_READS_MAX)
		r.pieces_max = UPDATER_READS_MAX;
	r.out_max = header->segment_bytes - header->segment_bytes / 4;
	r.deflate_bytes = deflate_bytes_for(r.window_bits);
	r.out = take(&room, r.out_max);
	r.deflate = take(&room, r.deflate_bytes);
	r.copies = take(&room, r.copies_max * sizeof(*r.copies));
	r.pieces = take(&room, r.pieces_max * sizeof(*r.pieces));
	if (!r.out || !r.deflate || !r.copies || !r.pieces || !window_place(&room, &r))
		return false;
	*ret_recipe = r;
	return true;
}

/* ---- writing ------------------------------------------------------------------------------ */

static bool put(z_stream *z, const void *bytes, size_t count)
{
	/* zlib does not write to its input. */
	z->next_in = (Bytef *)(uintptr_t)bytes;
	z->avail_in = (uInt)count;
	return count == 0 || (deflate(z, Z_NO_FLUSH) == Z_OK && z->avail_in == 0);
}

static bool copies_put(z_stream *z, const struct partition *p, const struct recipe *r,
		       uint32_t unit)
{
	uint64_t offset = p->offset + (uint64_t)unit * p->delta.header.unit_bytes;
	uint8_t bytes[RECIPE_COPY_BYTES];
	uint32_t done = 0;

	dfota_put16(bytes, (uint16_t)r->copy_count);
	if (!put(z, bytes, 2))
		return false;
	for (uint32_t i = 0; i < r->copy_count; i++) {
		const struct recipe_copy *copy = &r->copies[i];

		dfota_put32(bytes, copy->at - done);
		dfota_put32(bytes + 4, copy->bytes);
		dfota_put64(bytes + 8, copy->old_offset - (offset + copy->at));
		if (!put(z, bytes, sizeof(bytes)))
			return false;
		done = copy->at + copy->bytes;
	}
	return true;
}

/* What the copies lack, then what lies between them. */
static bool bytes_put(z_stream *z, struct engine *e, const struct recipe *r, uint32_t unit)
{
	const struct partition *p = &e->part;
	const uint8_t *bytes = p->segment + (size_t)unit * p->delta.header.unit_bytes;
	uint32_t size = (uint32_t)updater_unit_bytes(p, unit), done = 0;

	for (uint32_t c = 0; c < r->copy_count; c++) {
		const struct recipe_copy *copy = &r->copies[c];
		const uint8_t *old = r->window + copy->window_at;

		for (uint32_t at = 0, n; at < copy->bytes; at += n) {
			n = (uint32_t)dfota_min64(sizeof(e->io), copy->bytes - at);
			for (uint32_t i = 0; i < n; i++)
				e->io[i] = (uint8_t)(bytes[copy->at + at + i] - old[at + i]);
			if (!put(z, e->io, n))
				return false;
		}
	}
	for (uint32_t c = 0; c <= r->copy_count; c++) {
		uint32_t end = c < r->copy_count ? r->copies[c].at : size;

		if (!put(z, bytes + done, end - done))
			return false;
		if (c < r->copy_count)
			done = end + r->copies[c].bytes;
	}
	return true;
}

static bool unit_put(z_stream *z, struct engine *e, struct recipe *r, uint32_t unit)
{
	uint64_t it = UINT64_C(1) << unit, before = r->dead;
	bool survives = updater_atomic(e);

	if (!survives && !MUTANT(RECIPE_OF_ITSELF))
		r->dead |= it;
	sources_match(e, r, unit);
	r->dead = before | (MUTANT(RECIPE_OF_THE_DONE) ? 0 : it);
	return copies_put(z, &e->part, r, unit) && bytes_put(z, e, r, unit);
}

/* Bytes of the recipe; 0 when it is too long. */
static size_t recipe_write(struct engine *e, struct recipe *r)
{
	struct partition *p = &e->part;
	uint32_t count = updater_changed_count(&p->step);
	struct room room = { r->deflate, r->deflate_bytes };
	z_stream z = { .zalloc = zlib_take, .zfree = zlib_free, .opaque = &room };
	size_t bytes;
	bool good;

	if (deflateInit2(&z, DEFLATE_LEVEL, Z_DEFLATED, -r->window_bits, r->window_bits - 7,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return 0;
	z.next_out = r->out + RECIPE_HEAD_BYTES;
	z.avail_out = (uInt)(r->out_max - RECIPE_HEAD_BYTES);
	good = true;
	for (uint32_t k = 0; good && k < count; k++)
		good = unit_put(&z, e, r, updater_ring_unit(p, k));
	good = good && deflate(&z, Z_FINISH) == Z_STREAM_END;
	bytes = (size_t)(z.next_out - r->out);
	(void)deflateEnd(&z);
	if (!good)
		return 0;
	dfota_put32(r->out, (uint32_t)bytes);
	return bytes;
}

/* ---- doing -------------------------------------------------------------------------------- */

/* What is to become of a unit's bytes. */
struct rebuild {
	struct engine *e;
	struct recipe *r;
	z_stream z;
	bool skip;    /* the unit at hand is none of those to be made */
	bool compare; /* with the segment, instead of filling it */
};

static int pull(struct rebuild *b, void *bytes, size_t count)
{
	b->z.next_out = bytes;
	b->z.avail_out = (uInt)count;
	while (b->z.avail_out > 0) {
		int result = inflate(&b->z, Z_SYNC_FLUSH);

		if (result != Z_OK && !(result == Z_STREAM_END && b->z.avail_out == 0))
			return DFOTA_E_READBACK;
	}
	return 0;
}

static int copies_pull(struct rebuild *b, uint32_t unit)
{
	const struct partition *p = &b->e->part;
	uint64_t offset = p->offset + (uint64_t)unit * p->delta.header.unit_bytes;
	uint64_t at = 0, size = updater_unit_bytes(p, unit);
	struct recipe *r = b->r;
	uint8_t bytes[RECIPE_COPY_BYTES];
	int error = pull(b, bytes, 2);

	if (error)
		return error;
	r->copy_count = dfota_get16(bytes);
	if (r->copy_count > r->copies_max)
		return DFOTA_E_READBACK;
	for (uint32_t i = 0; i < r->copy_count; i++) {
		struct recipe_copy *copy = &r->copies[i];

		error = pull(b, bytes, sizeof(bytes));
		if (error)
			return error;
		at += dfota_get32(bytes);
		copy->bytes = dfota_get32(bytes + 4);
		copy->old_offset = offset + at + dfota_get64(bytes + 8);
		if (!dfota_inside(at, copy->bytes, size) ||
		    !dfota_inside(copy->old_offset, copy->bytes, p->delta.header.old_bytes))
			return DFOTA_E_READBACK;
		copy->at = (uint32_t)at;
		at += copy->bytes;
	}
	return 0;
}

/* Bytes [at, at + count) of the unit, on top of what is old there, unless `old_offset` is NONE. */
static int bytes_rebuild(struct rebuild *b, uint8_t *bytes, uint32_t count, uint64_t old_offset)
{
	struct engine *e = b->e;
	uint8_t *old = e->io + HALF;
	int error = 0;

	for (uint32_t at = 0, n; !error && at < count; at += n) {
		n = (uint32_t)dfota_min64(HALF, count - at);
		error = pull(b, e->io, n);
		if (error || b->skip)
			continue;
		if (old_offset != NONE) {
			error =
			    updater_fail(e, DFOTA_WHERE_PARTITION,
					 dfota_flash_read(e->part.flash, old_offset + at, old, n));
			for (uint32_t i = 0; !error && i < n; i++)
				e->io[i] = (uint8_t)(e->io[i] + old[i]);
		}
		if (!error && b->compare && memcmp(bytes + at, e->io, n) != 0)
			error = DFOTA_E_READBACK;
		if (!error && !b->compare)
			memcpy(bytes + at, e->io, n);
	}
	return error;
}

static int unit_rebuild(struct rebuild *b, uint32_t unit)
{
	const struct partition *p = &b->e->part;
	uint8_t *bytes = p->segment + (size_t)unit * p->delta.header.unit_bytes;
	const struct recipe *r = b->r;
	uint32_t done = 0;
	int error = copies_pull(b, unit);

	for (uint32_t c = 0; !error && c < r->copy_count; c++)
		error = bytes_rebuild(b, bytes + r->copies[c].at, r->copies[c].bytes,
				      r->copies[c].old_offset);
	for (uint32_t c = 0; !error && c <= r->copy_count; c++) {
		uint32_t end =
		    c < r->copy_count ? r->copies[c].at : (uint32_t)updater_unit_bytes(p, unit);

		error = bytes_rebuild(b, bytes + done, end - done, NONE);
		if (c < r->copy_count)
			done = end + r->copies[c].bytes;
	}
	return error;
}

int recipe_rebuild(struct engine *e, struct recipe *r, size_t bytes, uint32_t skip, bool compare)
{
	uint32_t count = updater_changed_count(&e->part.step);
	struct room room = { r->deflate, r->deflate_bytes };
	struct rebuild b = { .e = e, .r = r, .compare = compare };
	int error = 0;

	b.z = (z_stream){ .zalloc = zlib_take, .zfree = zlib_free, .opaque = &room };
	if (inflateInit2(&b.z, -r->window_bits) != Z_OK)
		return DFOTA_E_MEMORY;
	b.z.next_in = r->out + RECIPE_HEAD_BYTES;
	b.z.avail_in = (uInt)(bytes - RECIPE_HEAD_BYTES);
	for (uint32_t k = 0; !error && k < count; k++) {
		b.skip = k < skip;
		error = unit_rebuild(&b, updater_ring_unit(&e->part, k));
	}
	(void)inflateEnd(&b.z);
	return error;
}

int recipe_make(struct engine *e, struct recipe *r, size_t *ret_bytes)
{
	int error = sources_load(e, r);

	*ret_bytes = 0;
	if (error)
		return error;
	sources_order(e, r);
	*ret_bytes = recipe_write(e, r);
	if (*ret_bytes == 0)
		return 0;
	/* One that did not lead to the segment would be found out when nothing else is left. */
	error = recipe_rebuild(e, r, *ret_bytes, 0, true);
	if (error == DFOTA_E_READBACK) {
		*ret_bytes = 0;
		return 0;
	}
	return error;
}
