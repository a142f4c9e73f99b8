/* SPDX-License-Identifier: MIT
 *
 * Private to diff: one segment's pieces coded as a chunk.
 */
#ifndef DFOTA_DIFF_ENCODE_H
#define DFOTA_DIFF_ENCODE_H

#include "align.h"
#include "../codec/plain.h"
#include "../codec/predict.h"
#include "dfota/codec.h"

struct diff_images {
	const uint8_t *old_image, *new_image;
	uint64_t old_bytes, new_bytes;
};

struct diff_chunk {
	uint8_t *bytes; /* malloc'ed; NULL for RAW: the segment itself is the chunk */
	uint32_t count;
	uint8_t coding;
	uint32_t moved, changed, literal; /* bytes of the segment; see delta.h */
	uint32_t streams[PLAIN_STREAMS];  /* PLAIN: packed bytes */
	struct predict_counts counts;     /* PREDICT */
};

#define DIFF_PACKINGS 2u /* of each stream, that are tried */

/* QUICKLY finds the choice, and a size that is not far above the one WELL takes many times as long for. */
enum diff_effort { DIFF_QUICKLY, DIFF_WELL };

struct diff_choice {
	uint8_t packing[PLAIN_STREAMS]; /* DIFF_PACKINGS: stored */
	bool words;                     /* the difference is of words, not of bytes */
};

/* Codes new bytes [start, end), which are one segment, from `pieces` inside that range (ascending; the
 * rest is literal). RAW when nothing is smaller. *choice is filled by QUICKLY and followed by WELL; both give up, RAW, where control has no room. Errors: DFOTA_E_MEMORY.
 */
int diff_encode(const struct diff_images *images, uint64_t start, uint64_t end,
		uint32_t segment_bytes, const struct diff_piece *pieces, size_t count,
		enum diff_effort effort, struct diff_choice *choice, struct diff_chunk *ret_chunk)
	DFOTA_MUST_CHECK;

#endif
