/* SPDX-License-Identifier: MIT
 *
 * The codings of one partition that are tried, and the smallest of them.
 */
#include "build.h"

#include <stdlib.h>

#define UNIT_DEFAULT    (128u << 10)
#define SEGMENT_DEFAULT (1u << 20)
#define CHEAP_TRIED     (1u << 20) /* bytes of images, both, that are matched with both prices of literals */
#define PLAIN_TRIED     (4u << 20) /* bytes of new images that are built with both codings, */
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

/* Bytes that the delta will have; 0 where there is none. Its copies are known when the index is written. */
static int delta_cost(struct dfota_delta_image *delta, uint64_t *ret_cost)
{
	uint8_t *index = NULL;
	size_t bytes = 0;
	int error = delta->steps ? dfota_delta_write_index(delta, &index, &bytes) : 0;

	free(index);
	*ret_cost = bytes + delta->header.chunk_bytes;
	return error;
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

/* What is there already. */
struct choice {
	const struct diff_images *images;
	const struct dfota_diff_options *options;
	struct dfota_delta_image best;
	uint64_t cost;   /* of the best */
	uint64_t larger; /* bytes of the larger image */
	unsigned told;   /* permille */
};

/* Where prediction has found little, plain matching may do better; small images are quickly tried. */
static bool plain_may_win(const struct choice *choice)
{
	const struct dfota_delta_counts *counts = &choice->best.counts;
	uint64_t predicted = words_predicted(counts);

	if (!choice->best.steps || choice->cost > choice->images->new_bytes / 8)
		return true;
	if (choice->images->new_bytes <= PLAIN_TRIED)
		return predicted <= (counts->missed + counts->literals / 4) * PREDICTED_WELL;
	return predicted + counts->flagged[GUESS_SAME] + counts->missed == 0;
}

/* What is tried and given up has told of its progress already. */
static void on_progress(void *context, unsigned permille)
{
	struct choice *choice = context;

	if (permille < choice->told)
		return;
	choice->told = permille;
	choice->options->progress(choice->options->progress_context, permille);
}

/* As long as there is none, an attempt tells of its progress; afterwards one is kept if it is smaller. */
static int try_way(struct choice *choice, enum dfota_coding coding, bool literals_cheap)
{
	struct dfota_diff_options options = *choice->options;
	struct dfota_delta_image delta = { 0 };
	struct build_attempt attempt = { .coding = coding, .literals_cheap = literals_cheap, .beat = UINT64_MAX };
	uint64_t cost = 0;
	int error;

	if (choice->best.steps)
		attempt.beat = choice->cost;
	if (options.progress) {
		options.progress = choice->best.steps ? NULL : on_progress;
		options.progress_context = choice;
	}
	error = build_delta(choice->images, &options, &attempt, &delta);
	if (!error)
		error = delta_cost(&delta, &cost);
	if (!error && (!choice->best.steps || (delta.steps && cost < choice->cost))) {
		dfota_delta_image_free(&choice->best);
		choice->best = delta;
		choice->cost = cost;
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
	struct choice choice = { .images = &images, .options = &resolved, .larger = old_bytes > new_bytes ? old_bytes : new_bytes };
	int error = options_resolve(&resolved);

	if (!error && old_bytes <= REGION_IMAGE_MAX && new_bytes <= REGION_IMAGE_MAX)
		error = try_way(&choice, DFOTA_CODING_PREDICT, false);
	if (!error && choice.best.counts.missed > 0 && choice.larger <= CHEAP_TRIED)
		error = try_way(&choice, DFOTA_CODING_PREDICT, true);
	if (!error && plain_may_win(&choice))
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
