/* SPDX-License-Identifier: MIT
 *
 * Private to the room: the recipe of a segment, which takes the units' place in the ring.
 *
 * The new bytes of a unit are mostly old bytes from elsewhere in the partition, and those are on
 * flash until a unit that holds them is written. So the ring need not hold the units: it is enough
 * to tell which old bytes go where, and what is to be added to them. Nothing that a unit's recipe
 * reads may be gone or in doubt when power comes back: not the units written before it, and not the
 * unit itself unless flash changes it atomically.
 *
 * Bytes: 32-bit size of it all; then, as a raw deflate stream, for each changed unit in the order
 * in which they are written: 16-bit number of copies; for each copy 32-bit gap since the end of the
 * one before it, 32-bit size and 64-bit distance from its place to the old bytes; what is to be
 * added to each byte of the copies; the bytes between them.
 */
#ifndef DFOTA_UPDATER_RECIPE_H
#define DFOTA_UPDATER_RECIPE_H

#include "engine.h"

#define RECIPE_HEAD_BYTES  4u
#define RECIPE_COPY_BYTES  16u
#define RECIPE_COPIES_MAX  2048u
#define RECIPE_MATCH_BYTES 16u /* fewer are not worth a copy */

struct recipe_copy {
	uint32_t at, bytes; /* in the unit */
	uint64_t old_offset;
	uint32_t window_at;
};

/* Old bytes that lie in the window. */
struct recipe_piece {
	uint64_t old_offset;
	uint32_t window_at, bytes;
};

/* Where everything is in the memory that the codec lends between two segments. */
struct recipe {
	uint8_t *out; /* the recipe */
	size_t out_max;
	uint8_t *deflate; /* for zlib */
	size_t deflate_bytes;
	int window_bits;
	struct recipe_copy *copies; /* of the unit at hand */
	uint32_t copies_max, copy_count;
	struct recipe_piece *pieces; /* by old_offset */
	uint32_t pieces_max, piece_count;
	uint32_t *table; /* hash of old bytes -> where they lie in the window, plus 1 */
	unsigned table_bits;
	uint8_t *window;
	uint32_t window_max, window_bytes;
	uint64_t dead; /* bit per unit of the segment: not to be read any more */
};

/* False when there is too little memory for any. */
bool recipe_place(struct engine *e, struct recipe *ret_recipe);

/* Makes the recipe in r->out, units in the order that it sets in the partition; *ret_bytes 0 when
 * it would be too long. */
int recipe_make(struct engine *e, struct recipe *r, size_t *ret_bytes) DFOTA_MUST_CHECK;

/* Fills all changed units of the segment but the first `skip`, or compares them, by the recipe in
 * r->out, which may be anything; DFOTA_E_READBACK when it is none.
 */
int recipe_rebuild(struct engine *e, struct recipe *r, size_t bytes, uint32_t skip,
		   bool compare) DFOTA_MUST_CHECK;

/* ---- sources.c ---------------------------------------------------------------------------- */

/* Reads the old bytes that the segment was decoded from and that are still on flash. */
int sources_load(struct engine *e, struct recipe *r) DFOTA_MUST_CHECK;
/* Sets the partition's `ring` to the order in which units had better be written, and makes old
 * bytes known by their hash. */
void sources_order(struct engine *e, struct recipe *r);
/* Finds copies for a unit in what is not dead. */
void sources_match(const struct engine *e, struct recipe *r, uint32_t unit);

#endif
