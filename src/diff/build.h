/* SPDX-License-Identifier: MIT
 *
 * Private to diff: a delta in the making, in one way.
 *
 * Files: build_choose.c tries ways and keeps the smallest delta; build.c aligns every segment and holds all together;
 * build_noise.c tells what is not worth a model; build_code.c codes and proves; place.c finds order and stash plan before anything is
 * coded, takes from segments what has no room in the stash, and writes the steps.
 *
 * What a segment may read follows from its pieces alone (build_reads). So the plan is made first, and coding
 * happens once; the proof afterwards is that the device's decoder reads no more than was planned for.
 */
#ifndef DFOTA_DIFF_BUILD_H
#define DFOTA_DIFF_BUILD_H

#include "dfota/diff.h"
#include "plan.h"
#include "predict_encode.h"

/* One way to build it. */
struct build_attempt {
	enum dfota_coding coding; /* PLAIN or PREDICT */
	bool literals_cheap;      /* PREDICT: see diff_match_input */
	uint64_t beat;            /* bytes; one that is not smaller is of no use */
};

struct build_segment {
	uint64_t start, end;      /* new bytes */
	uint64_t changed_units;   /* 0: equal to the old bytes at its place, nothing to code */
	struct diff_pieces found; /* while aligning */
	struct diff_ranges reads; /* old bytes that it may read, normalised */
	bool without_symbols;     /* its tables of symbols go without old ones */
	struct diff_choice choice; /* PLAIN */
	struct diff_chunk chunk;
};

struct build {
	struct diff_images images;
	struct dfota_diff_options options; /* without zeros that mean a default */
	const struct build_attempt *attempt;
	enum diff_effort effort;           /* PLAIN */
	struct regions old_regions, new_regions;
	struct diff_symbols symbols;
	struct diff_pieces pieces;         /* of the whole new image */
	struct diff_index *index;          /* PLAIN, while aligning */
	struct diff_predictor predictor;
	struct dfota_delta_header header;
	struct build_segment *segments;
	uint32_t count;
	unsigned permille_from, permille_to; /* of the work at hand */
	size_t work; /* items of it */
};

/* The delta in this way; none (no steps) when it has no hope: PREDICT of noise, or not smaller than what is to be beaten. */
int build_delta(const struct diff_images *images, const struct dfota_diff_options *options,
		const struct build_attempt *attempt, struct dfota_delta_image *ret_delta) DFOTA_MUST_CHECK;

/* work(build, item) for items below count, on the options' threads but no more than the larger image has MiB; progress goes up to `to`. The first error. */
int build_items(struct build *build, size_t count, unsigned to, int (*work)(void *context, size_t item)) DFOTA_MUST_CHECK;

/* Code every written segment. PLAIN is given up where it will hardly come below what is to be beaten: its chunks are of no use then. */
int build_encode_predict(struct build *build) DFOTA_MUST_CHECK;
int build_encode_plain(struct build *build, bool *ret_hopeless) DFOTA_MUST_CHECK;
void build_forget_chunks(struct build *build);
uint64_t build_coded_bytes(const struct build *build); /* of prelude and chunks */

/* Completes the header for what was coded, and decodes all of it unless the options say not to. DFOTA_E_INTERNAL when that
 * does not give the new image, or reads what was not planned.
 */
int build_prove(struct build *build) DFOTA_MUST_CHECK;

/* After aligning: is nearly all that changes without counterpart, and looks like random bytes? */
bool build_is_noise(const struct build *build);

/* Fills each written segment's reads from the pieces. */
int build_reads(struct build *build) DFOTA_MUST_CHECK;

/* Order and stash plan; afterwards no segment reads what will not be there. Free with placing_free. */
struct placing;
int build_place(struct build *build, struct placing **ret_placing) DFOTA_MUST_CHECK;
void placing_free(struct placing *placing); /* NULL allowed */

/* Steps from plan and coded segments. */
int build_steps(struct build *build, const struct placing *placing,
		struct dfota_delta_image *ret_delta) DFOTA_MUST_CHECK;

#endif
