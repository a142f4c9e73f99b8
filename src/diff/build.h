/* SPDX-License-Identifier: MIT
 *
 * Private to diff: a delta in the making.
 *
 * Files: build.c aligns, codes and proves every segment; place.c finds order and stash plan, takes from
 * segments what has no room in the stash, and writes the steps.
 */
#ifndef DFOTA_DIFF_BUILD_H
#define DFOTA_DIFF_BUILD_H

#include "dfota/diff.h"
#include "encode.h"
#include "plan.h"

struct build_segment {
	uint64_t start, end;    /* new bytes */
	uint64_t changed_units; /* 0: equal to the old bytes at its place, nothing to code */
	struct diff_pieces pieces;
	struct diff_chunk chunk;
	struct diff_ranges reads; /* old bytes that decoding the chunk reads, normalised */
	bool stale;               /* pieces have changed since it was coded */
	bool literal;             /* reads nothing: the last resort against a full stash */
};

struct build {
	struct diff_images images;
	struct dfota_diff_options options; /* without zeros that mean a default */
	struct diff_index index;
	struct dfota_delta_header header;
	struct build_segment *segments;
	uint32_t count;
	unsigned permille_from, permille_to; /* of the work at hand */
	size_t work; /* items of it */
};

/* Codes the segments that are stale and decodes them again, which tells what they read. */
int build_encode(struct build *build) DFOTA_MUST_CHECK;

/* Order, stash plan and steps from coded segments. */
int build_place(struct build *build, struct dfota_delta_image *ret_delta) DFOTA_MUST_CHECK;

#endif
