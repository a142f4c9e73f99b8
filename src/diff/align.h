/* SPDX-License-Identifier: MIT
 *
 * Private to diff: which old bytes a stretch of the new image is made from.
 *
 * Matching is approximate: a piece may differ from its old bytes here and there. Everything depends
 * on the two images and the stretch only, so stretches may be aligned in any order and at once.
 */
#ifndef DFOTA_DIFF_ALIGN_H
#define DFOTA_DIFF_ALIGN_H

#include "dfota/bytes.h"

/* Longest old image: the suffix array has 32-bit signed numbers. */
#define DIFF_OLD_MAX ((uint64_t)INT32_MAX - 1)

/* Suffix array of the old image: 4 bytes per byte of it. */
struct diff_index {
	const uint8_t *old;
	size_t old_bytes;
	int32_t *suffixes;
	int32_t bucket[(1u << 16) + 1]; /* first suffix for each two leading bytes */
	int32_t lone;                   /* the bucket before which the suffix of one byte stands */
};

/* Errors: DFOTA_E_MEMORY, DFOTA_E_ARGUMENT over DIFF_OLD_MAX. `old` must outlive the index. */
int diff_index_make(struct diff_index *index, const uint8_t *old,
		    size_t old_bytes) DFOTA_MUST_CHECK;
void diff_index_free(struct diff_index *index); /* accepts a zeroed struct */

/* Longest match of text[0, max) among the old bytes, as far as 4 KiB; of equally long ones (some of them) that
 * nearest to old position `wanted`. Returns its length, 0 when there is none of two bytes.
 */
size_t diff_index_find(const struct diff_index *index, const uint8_t *text, size_t max,
		       int64_t wanted, uint32_t *ret_position);

/* New bytes [at, at + bytes) come from old bytes at `at + diagonal`, all of them inside the old
 * image. */
struct diff_piece {
	uint64_t at;
	uint64_t bytes;
	int64_t diagonal;
};

/* Pieces in ascending order without overlap; between them are literals. Zeroed is empty. */
struct diff_pieces {
	struct diff_piece *items;
	size_t count, room;
};

/* Appends. Empty pieces are dropped, one that continues the last is joined to it. DFOTA_E_MEMORY.
 */
int diff_pieces_add(struct diff_pieces *pieces, uint64_t at, uint64_t bytes,
		    int64_t diagonal) DFOTA_MUST_CHECK;
void diff_pieces_free(struct diff_pieces *pieces);

/* Appends pieces for new bytes [start, end). */
int diff_align(const struct diff_index *index, const uint8_t *new_image, uint64_t start,
	       uint64_t end, struct diff_pieces *pieces) DFOTA_MUST_CHECK;

#endif
