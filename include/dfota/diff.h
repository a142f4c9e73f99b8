/* SPDX-License-Identifier: MIT
 *
 * Builder: the delta of one partition from its two images.
 *
 * Aligns new to old, codes every segment, finds the order of steps and the stash plan with which they
 * can be applied in place, and proves the reads: each chunk is decoded with the real decoder, which is
 * given no old byte but those that the plan keeps. Host side: allocates.
 * The result depends on the inputs and options only, never on the number of threads.
 */
#ifndef DFOTA_DIFF_H
#define DFOTA_DIFF_H

#include "dfota/codec.h"
#include "dfota/delta.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dfota_diff_options {
	uint32_t unit_bytes;    /* write unit; 0 = 128 KiB */
	uint32_t segment_bytes; /* coding segment; 0 = as many whole units as fit 1 MiB, at least one, at most 64 */
	uint64_t stash_limit;   /* bytes the stash may take; reads beyond it become literals; 0 must work */
	unsigned threads;       /* 0 = number of CPUs */
	bool unproven;          /* do not decode the chunks again: the caller rehearses the finished package */
	/* Called from the calling thread with 0..1000; may be NULL. */
	void (*progress)(void *context, unsigned permille);
	void *progress_context;
};

#define DFOTA_DIFF_STASH_DEFAULT (1u << 20) /* bytes */

/* Either image may be empty. *ret_delta is filled on success only; free with dfota_delta_image_free.
 * Errors: DFOTA_E_MEMORY, DFOTA_E_ARGUMENT (options or sizes out of delta.h's limits), DFOTA_E_INTERNAL
 * when a chunk does not decode to the new image (never seen; better than a bad package).
 */
int dfota_diff_build(const uint8_t *old_image, uint64_t old_bytes, const uint8_t *new_image,
		     uint64_t new_bytes, const struct dfota_diff_options *options,
		     struct dfota_delta_image *ret_delta) DFOTA_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
