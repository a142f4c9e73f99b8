/* SPDX-License-Identifier: MIT
 *
 * Private to diff: the map of a pair of images, as cheap to code as can be found.
 *
 * Old and new are aligned by dynamic programming over diagonals (old position - new position),
 * first by what does not change when code moves, then again with addresses predicted from the
 * alignment before. The result depends on images and regions only, never on the number of threads.
 */
#ifndef DFOTA_DIFF_MATCH_H
#define DFOTA_DIFF_MATCH_H

#include "../codec/region.h"
#include "encode.h"

struct diff_match_input {
	const struct diff_images *images;
	const struct regions *old_regions, *new_regions; /* by_address need not be there */
	bool literals_cheap; /* bytes without counterpart are preferred to counterparts that differ much */
	unsigned threads;				 /* 0 = number of CPUs */
	/* Called on the calling thread with 0..1000; may be NULL. */
	void (*progress)(void *context, unsigned permille);
	void *progress_context;
};

/* Pieces of the whole new image, ascending, at most MAP_PIECES_MAX; where nothing old helps there
 * is none. ret_pieces is filled on success only; free with diff_pieces_free. Needs up to 13 bytes
 * of memory for each byte of the larger image, beside the images. Errors: DFOTA_E_MEMORY;
 * DFOTA_E_ARGUMENT when an image is larger than REGION_IMAGE_MAX.
 */
int diff_match(const struct diff_match_input *input,
	       struct diff_pieces *ret_pieces) DFOTA_MUST_CHECK;

#endif
