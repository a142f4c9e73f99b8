/* SPDX-License-Identifier: MIT
 *
 * Applies a delta in place as the format wants it, with no code of the updater: what a step has
 * overwritten can be read only from the stash, and only as long as the plan keeps it. For tests.
 */
#ifndef FUZZ_REPLAY_H
#define FUZZ_REPLAY_H

#include "dfota/codec.h"
#include "dfota/delta.h"

struct replay_counts {
	uint32_t written, direct, redo, stashed; /* steps, and copies made */
	uint32_t codings;			 /* bit per coding seen */
};

/* Writes and reads the delta as a package holds it, checks it, does its steps in order on a copy of
 * the old image and compares with the new one. NULL, or what is wrong. `ret_counts` may be NULL.
 */
const char *replay(struct dfota_delta_image *delta, const uint8_t *old_image, uint64_t old_bytes,
		   const uint8_t *new_image, uint64_t new_bytes, struct replay_counts *ret_counts);

#endif
