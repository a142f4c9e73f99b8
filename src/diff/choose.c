/* SPDX-License-Identifier: MIT
 *
 * The codings of one partition that are tried, and the smallest of them.
 */
#include "build.h"

#define UNIT_DEFAULT    (128u << 10)
#define SEGMENT_DEFAULT (1u << 20)
#define CHEAP_TRIED     (1u << 20) /* bytes of images that are matched with both prices of literals */
#define PLAIN_TRIED     (4u << 20) /* bytes of images that are built with both codings, */
#define PREDICTED_WELL  4u         /* unless so many words are predicted for each that is not */

static int options_resolve(struct dfota_diff_options *options)
{
	if (options->unit_bytes == 0)
		options->unit_bytes = UNIT_DEFAULT;
	if (options->segment_bytes == 0) {
		uint32_t units = SEGMENT_DEFAULT / options->unit_bytes;

		units = units < 1 ? 1 : units;
		units = units > DFOTA_DELTA_UNITS_MAX ? DFOTA_DELTA_UNITS_MAX : units;
		options->segment_bytes = units * options->unit_bytes;
	}
	if (options->unit_bytes < DFOTA_DELTA_UNIT_MIN ||
	    options->unit_bytes > DFOTA_DELTA_UNIT_MAX ||
	    options->unit_bytes % DFOTA_DELTA_UNIT_MIN != 0 ||
	    options->segment_bytes > DFOTA_DELTA_SEGMENT_MAX ||
	    options->segment_bytes < options->unit_bytes ||
	    options->segment_bytes % options->unit_bytes != 0 ||
	    options->segment_bytes / options->unit_bytes > DFOTA_DELTA_UNITS_MAX)
		return DFOTA_E_ARGUMENT;
	return 0;
}

static uint64_t delta_cost(const struct dfota_delta_image *delta)
{
	return dfota_delta_index_bytes(&delta->header) + delta->header.chunk_bytes;
}

/* Words that are another than the old one at their place, and were foreseen. */
static uint64_t words_predicted(const struct dfota_delta_counts *counts)
{
	uint64_t words = 0;

	for (unsigned k = 0; k < GUESS_KINDS; k++)
		if (k != GUESS_SAME)
			words += counts->clean[k] + counts->flagged[k];
	return words;
}

/* Where prediction has found little, plain matching may do better; small images are quickly tried. */
static bool plain_may_win(const struct dfota_delta_image *delta)
{
	const struct dfota_delta_counts *counts = &delta->counts;
	uint64_t predicted = words_predicted(counts);

	if (!delta->steps || delta_cost(delta) > delta->header.new_bytes / 8)
		return true;
	if (delta->header.new_bytes <= PLAIN_TRIED)
		return predicted <= (counts->missed + counts->literals / 4) * PREDICTED_WELL;
	return predicted + counts->flagged[GUESS_SAME] + counts->missed == 0;
}

/* What is there already. */
struct choice {
	const struct diff_images *images;
	const struct dfota_diff_options *options;
	struct dfota_delta_image best;
};

/* The first attempt tells of its progress; a later one is kept if it is smaller. */
static int try_way(struct choice *choice, enum dfota_coding coding, bool literals_cheap)
{
	struct dfota_diff_options options = *choice->options;
	struct dfota_delta_image delta = { 0 };
	struct build_attempt attempt = { .coding = coding, .literals_cheap = literals_cheap, .beat = UINT64_MAX };
	int error;

	if (choice->best.steps) {
		attempt.beat = delta_cost(&choice->best);
		options.progress = NULL;
	}
	error = build_delta(choice->images, &options, &attempt, &delta);
	if (!error && (!choice->best.steps || (delta.steps && delta_cost(&delta) < attempt.beat))) {
		dfota_delta_image_free(&choice->best);
		choice->best = delta;
		return 0;
	}
	dfota_delta_image_free(&delta);
	return error;
}

int dfota_diff_build(const uint8_t *old_image, uint64_t old_bytes, const uint8_t *new_image,
		     uint64_t new_bytes, const struct dfota_diff_options *options,
		     struct dfota_delta_image *ret_delta)
{
	struct diff_images images = { old_image, new_image, old_bytes, new_bytes };
	struct dfota_diff_options resolved = *options;
	struct choice choice = { .images = &images, .options = &resolved };
	int error = options_resolve(&resolved);

	if (!error && old_bytes <= REGION_IMAGE_MAX && new_bytes <= REGION_IMAGE_MAX)
		error = try_way(&choice, DFOTA_CODING_PREDICT, false);
	if (!error && choice.best.counts.missed > 0 && new_bytes <= CHEAP_TRIED)
		error = try_way(&choice, DFOTA_CODING_PREDICT, true);
	if (!error && plain_may_win(&choice.best))
		error = try_way(&choice, DFOTA_CODING_PLAIN, false);
	if (error) {
		dfota_delta_image_free(&choice.best);
		return error;
	}
	if (options->progress)
		options->progress(options->progress_context, 1000);
	*ret_delta = choice.best;
	return 0;
}
