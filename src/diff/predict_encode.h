/* SPDX-License-Identifier: MIT
 *
 * Private to diff: coding PREDICT, encoder.
 */
#ifndef DFOTA_DIFF_PREDICT_ENCODE_H
#define DFOTA_DIFF_PREDICT_ENCODE_H

#include "../codec/predict.h"
#include "encode.h"
#include "symbols.h"

/* The map of one image pair, shared by the encoders of all segments. */
struct diff_predictor {
	const struct diff_images *images;
	struct map map;
	struct map_piece *pieces;
	struct map_entry *entries;
	struct map_types *types;
	struct symbols *tokens; /* borrowed, or NULL */
	uint8_t *prelude;
	size_t prelude_bytes;
	struct dfota_delta_map room; /* what a reader of the prelude needs */
	uint64_t prelude_cost[PRELUDE_PARTS]; /* in 1/65536 bit */
};

/* Takes regions (borrowed; by_address is made), pieces and symbols (borrowed; NULL: none), and codes the prelude. Errors: DFOTA_E_MEMORY; DFOTA_E_ARGUMENT when
 * the images or the map are too large for this coding.
 */
int diff_predictor_make(struct diff_predictor *predictor, const struct diff_images *images,
			const struct regions *old_regions, const struct regions *new_regions,
			const struct diff_pieces *pieces, const struct diff_symbols *symbols)
	DFOTA_MUST_CHECK;
void diff_predictor_free(struct diff_predictor *predictor); /* accepts a zeroed struct */

/* Codes new bytes [start, end), one segment. RAW when that is not larger. With `symbols`, tables read old ones: those given to
 * diff_predictor_make, or NULL. May be called by several threads.
 */
int diff_predictor_encode(const struct diff_predictor *predictor, uint64_t start, uint64_t end,
			  const struct diff_symbols *symbols, struct diff_chunk *ret_chunk) DFOTA_MUST_CHECK;

#endif
