/* SPDX-License-Identifier: MIT
 *
 * What is compressed or encrypted anew: no model finds anything in it, but loses seconds a megabyte.
 */
#include "build.h"

#define NOISE_MIN  16384u /* bytes that say something about all */
#define NOISE_PART 16u    /* of what changes, less than one in so many may have a counterpart */

struct tally {
	uint64_t of[256], bytes;
};

/* Bytes [at, end) have no counterpart; those of unchanged segments are not coded. */
static void tally_gap(const struct build *build, uint64_t at, uint64_t end, struct tally *tally)
{
	while (at < end) {
		const struct build_segment *segment =
			&build->segments[at / build->options.segment_bytes];
		uint64_t to = dfota_min64(segment->end, end);

		if (segment->changed_units) {
			tally->bytes += to - at;
			for (uint64_t i = at; i < to; i++)
				tally->of[build->images.new_image[i]]++;
		}
		at = to;
	}
}

/* Would two bytes that are picked be the same hardly more often than by chance? 5 percent more are 7.93 bits a byte. */
static bool is_flat(const struct tally *tally)
{
	uint64_t same = 0, chance = tally->bytes * (tally->bytes - 1) / 256; /* of bytes below 2^31 */

	for (unsigned i = 0; i < 256; i++)
		same += tally->of[i] * (tally->of[i] - (tally->of[i] > 0));
	return same <= chance + chance / 20;
}

bool build_is_noise(const struct build *build)
{
	struct tally tally = { 0 };
	uint64_t at = 0, changed = 0;

	for (uint32_t i = 0; i < build->count; i++)
		if (build->segments[i].changed_units)
			changed += build->segments[i].end - build->segments[i].start;
	for (size_t i = 0; i < build->pieces.count; i++) {
		tally_gap(build, at, build->pieces.items[i].at, &tally);
		at = build->pieces.items[i].at + build->pieces.items[i].bytes;
	}
	tally_gap(build, at, build->images.new_bytes, &tally);
	return tally.bytes >= NOISE_MIN && changed - tally.bytes < changed / NOISE_PART && is_flat(&tally);
}
