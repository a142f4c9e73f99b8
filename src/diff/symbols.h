/* SPDX-License-Identifier: MIT
 *
 * Private to diff: which kernel symbols of the new image are which of the old one.
 */
#ifndef DFOTA_DIFF_SYMBOLS_H
#define DFOTA_DIFF_SYMBOLS_H

#include "../codec/predict.h"
#include "encode.h"
#include "ranges.h"

struct diff_symbols {
	const struct diff_images *images;
	struct region old_names, new_names, old_sequences, new_sequences, old_offsets, new_offsets; /* bytes 0: none */
	struct symbols *tokens; /* ready */
	struct map map;         /* its runs of symbols, nothing else */
	struct map_types *runs; /* those that keep their names and their order; each is translated exactly */
	uint32_t run_count;
};

/* Finds the tables among the regions and pairs their symbols; no runs where there is nothing to pair. `images` must stay.
 * DFOTA_E_MEMORY.
 */
int diff_symbols_make(struct diff_symbols *symbols, const struct diff_images *images,
		      const struct regions *old_regions, const struct regions *new_regions) DFOTA_MUST_CHECK;
void diff_symbols_free(struct diff_symbols *symbols); /* accepts a zeroed struct */

/* How the new bytes [at, end) of names or sequences go on; what it does not read is not there. */
struct predict_window diff_symbols_window(const struct diff_symbols *symbols, uint32_t at, uint32_t end);

/* Old bytes that the tables of new bytes [start, end) read are added to `ranges`. DFOTA_E_MEMORY. */
int diff_symbols_reads(const struct diff_symbols *symbols, uint64_t start, uint64_t end,
		       struct diff_ranges *ranges) DFOTA_MUST_CHECK;

/* Pieces leave names and sequences; those of offsets follow the runs. DFOTA_E_MEMORY. */
int diff_symbols_pieces(const struct diff_symbols *symbols, struct diff_pieces *pieces) DFOTA_MUST_CHECK;

#endif
