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

/* Codes new bytes [start, end), which are one segment, from `pieces` inside that range (ascending; the
 * rest is literal). RAW when nothing is smaller. Errors: DFOTA_E_MEMORY.
 */
int diff_encode(const struct diff_images *images, uint64_t start, uint64_t end,
		uint32_t segment_bytes, const struct diff_piece *pieces, size_t count,
		struct diff_chunk *ret_chunk) DFOTA_MUST_CHECK;

#endif
