/* SPDX-License-Identifier: MIT
 *
 * Cuts, one, two or many in a row, and the verdict on each state.
 */
#include "explore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const outcome_names[SIM_OUTCOME_COUNT] = { "none", "done", "torn", "garbage",
							      "unstable" };

/* ---- counting ---------------------------------------------------------------------------------
 */

static bool set_add(uint64_t *set, uint64_t room, uint64_t value)
{
	uint64_t i = value % room;

	while (set[i] && set[i] != value)
		i = (i + 1) % room;
	if (set[i])
		return false;
	set[i] = value;
	return true;
}

static void state_count(struct explorer *x, uint64_t state)
{
	state += state == 0;
	if (x->distinct * 2 >= x->seen_room) {
		uint64_t room = x->seen_room * 2 + 4096;
		uint64_t *seen = calloc(room, sizeof(*seen));

		MUST(seen);
		for (uint64_t i = 0; i < x->seen_room; i++)
			if (x->seen[i])
				(void)set_add(seen, room, x->seen[i]);
		free(x->seen);
		x->seen = seen;
		x->seen_room = room;
	}
	x->states++;
	x->distinct += set_add(x->seen, x->seen_room, state);
}

void explorer_free(struct explorer *explorer)
{
	free(explorer->seen);
	explorer->seen = NULL;
}

/* One line that brings the failure back. */
static void tell_lost(struct dig *dig, const char *what)
{
	struct explorer *x = dig->explorer;

	x->lost++;
	printf("LOST: %s, error %s; --replay ", what, dfota_error_name(dig->rig.report.error));
	printf("%s:%" PRIu64, dig->rig.upgrade->name, dig->shape_seed);
	for (uint32_t i = 0; i < dig->cut_count; i++)
		printf("/%" PRIu64 ",%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64, dig->cuts[i].at,
		       outcome_names[dig->cuts[i].outcome], dig->cuts[i].tear, dig->cuts[i].ends,
		       dig->cuts[i].seed);
	printf("%s\n", x->no_read_back ? " --no-read-back" : "");
	(void)fflush(stdout);
}

static bool enough(const struct dig *dig)
{
	return dig->explorer->lost >= dig->explorer->lost_max;
}

/* ---- boots ------------------------------------------------------------------------------------
 */

static int boot(struct dig *dig)
{
	int error = rig_boot(&dig->rig);

	dig->explorer->boots++;
	dig->bytes += dig->rig.report.bytes_written;
	dig->ring += dig->rig.report.ring_bytes;
	dig->stash += dig->rig.report.stash_bytes;
	return error;
}

static void fresh_start(struct dig *dig)
{
	rig_reset(&dig->rig);
	dig->cut_count = 0;
	dig->bytes = dig->ring = dig->stash = 0;
}

/* One boot with a cut. True when power went, and is back; false when the upgrade came to its end.
 */
static bool boot_cut(struct dig *dig, const struct cut *cut)
{
	struct rig *rig = &dig->rig;
	int error;

	dig->cuts[dig->cut_count++] = *cut;
	rig_cut(rig, cut);
	error = boot(dig);
	if (!rig->power.off) {
		rig->power.cut_at = 0;
		if (error)
			tell_lost(dig, "failed before the cut");
		return false;
	}
	if (error == 0)
		tell_lost(dig, "success without power");
	MUST(cut->at == rig->trace_count);
	dig->explorer->sites[rig->trace[cut->at - 1].site][cut->outcome]++;
	rig_power(rig);
	state_count(dig->explorer, rig_state(rig));
	return true;
}

static const char *replay_wrong(const struct dig *dig)
{
	const struct upgrade *upgrade = dig->rig.upgrade;
	uint64_t n = dig->cut_count;

	if (dig->bytes > dig->clean_bytes + n * upgrade->segment_bytes)
		return "more than a segment was written again";
	if (dig->ring > dig->clean_ring + n * upgrade->ring_most)
		return "more than a ring was written again";
	if (dig->stash > dig->clean_stash + n * upgrade->stash_most)
		return "more than one step was stashed again";
	return NULL;
}

/* The last boot of a chain. */
static void finish(struct dig *dig)
{
	int error = boot(dig);
	const char *wrong = error ? "the upgrade does not go on" : replay_wrong(dig);

	if (!wrong)
		wrong = rig_end_wrong(&dig->rig);
	if (wrong)
		tell_lost(dig, wrong);
}

bool dig_init(struct dig *dig, struct explorer *explorer, const struct upgrade *upgrade,
	      const char *folder)
{
	const char *wrong;

	*dig = (struct dig){ .explorer = explorer };
	rig_init(&dig->rig, upgrade, folder);
	for (uint32_t i = 0; i < MORE_MAX; i++)
		rig_init(&dig->branches[i], upgrade, folder);
	dig->rig.power.no_read_back = explorer->no_read_back;
	fresh_start(dig);
	wrong = boot(dig) ? "the upgrade fails without a cut" : NULL;
	dig->clean_bytes = dig->bytes;
	dig->clean_ring = dig->ring;
	dig->clean_stash = dig->stash;
	dig->clean_count = dig->rig.trace_count;
	dig->clean = malloc((dig->clean_count + 1) * sizeof(*dig->clean));
	MUST(dig->clean);
	if (dig->clean_count)
		memcpy(dig->clean, dig->rig.trace, dig->clean_count * sizeof(*dig->clean));
	if (!wrong && strchr(upgrade->shape->kinds, 'C') && dig->rig.report.recipes == 0)
		wrong = "no recipe was tried";
	if (!wrong)
		wrong = rig_end_wrong(&dig->rig);
	if (wrong)
		tell_lost(dig, wrong);
	return !wrong;
}

void dig_free(struct dig *dig)
{
	rig_free(&dig->rig);
	for (uint32_t i = 0; i < MORE_MAX; i++)
		rig_free(&dig->branches[i]);
	free(dig->clean);
}

/* ---- all ends of one operation ------------------------------------------------------------------
 */

typedef void visitor(struct dig *dig, const struct cut *cut);

static uint64_t power_of(uint64_t base, uint32_t exponent)
{
	uint64_t value = 1;

	while (exponent-- > 0)
		value *= base;
	return value;
}

static uint64_t all_the_same(uint64_t digit, uint32_t count)
{
	uint64_t value = 0;

	while (count-- > 0)
		value = value * SIM_OUTCOME_COUNT + digit;
	return value;
}

/* All combinations of ends for what was not flushed; from three operations on, those in which all
 * end alike, those in which one differs from done or none, and some by chance.
 */
static void ends_visit(struct dig *dig, struct cut cut, uint32_t open, bool of_flush,
		       visitor *visit)
{
	uint64_t all = power_of(SIM_OUTCOME_COUNT, open);
	uint32_t some = dig->explorer->thorough ? 3 : 2;

	for (uint64_t i = 0; i < all && open <= some && !enough(dig); i++) {
		cut.ends = 1 + i;
		if (of_flush)
			cut.outcome = (enum sim_outcome)(i % SIM_OUTCOME_COUNT);
		visit(dig, &cut);
	}
	if (open <= some)
		return;
	MUST(open < 20);
	for (uint64_t i = 0; i < SIM_OUTCOME_COUNT && !enough(dig); i++) {
		cut.ends = 1 + all_the_same(i, open);
		if (of_flush)
			cut.outcome = (enum sim_outcome)i;
		visit(dig, &cut);
	}
	for (uint32_t j = 0; j < 4 * open && !enough(dig); j++) {
		uint64_t rest = all_the_same(j % 2 ? SIM_DONE : SIM_NONE, open);
		uint64_t one = power_of(SIM_OUTCOME_COUNT, j / 4);
		uint64_t digit = rest / one % SIM_OUTCOME_COUNT;
		uint64_t other = j % 4 < 2 ? SIM_GARBAGE : j % 2 ? SIM_NONE : SIM_DONE;

		cut.ends = 1 + rest - digit * one + other * one;
		visit(dig, &cut);
	}
	for (uint32_t j = 0; j < (dig->explorer->thorough ? 40u : 4u) && !enough(dig); j++) {
		cut.ends = 1 + sim_random(&cut.seed) % all;
		visit(dig, &cut);
	}
}

/* Where a write is torn: inside the first sector, at its bounds, in the middle, near the end. */
static void tears_visit(struct dig *dig, struct cut cut, const struct operation *operation,
			visitor *visit)
{
	const uint64_t n = operation->bytes;
	const uint64_t at[] = { 1, 7, 25, 60, 511, 512, n / 2, n - 1 };

	cut.outcome = SIM_TORN;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		if (at[i] == 0 || at[i] >= n || (i >= 6 && at[i] <= 512))
			continue;
		cut.tear = 1 + at[i];
		ends_visit(dig, cut, operation->open, false, visit);
	}
	cut.tear = 0; /* subsets of sectors */
	for (uint32_t i = 0; i < 2 && n > 512; i++, cut.seed++)
		ends_visit(dig, cut, operation->open, false, visit);
}

static void operation_visit(struct dig *dig, uint64_t at, visitor *visit)
{
	const struct operation *operation = &dig->clean[at - 1];
	struct cut cut = { .at = at, .seed = dig->explorer->seed + at };

	if (operation->op == SIM_FLUSH) {
		ends_visit(dig, cut, operation->open, true, visit);
		return;
	}
	for (int i = 0; i < SIM_OUTCOME_COUNT; i++) {
		cut.outcome = (enum sim_outcome)i;
		/* A file's size is the old or the new one. */
		if (operation->op == SIM_RESIZE && i != SIM_NONE && i != SIM_DONE)
			continue;
		if (i == SIM_TORN)
			tears_visit(dig, cut, operation, visit);
		else
			ends_visit(dig, cut, operation->open, false, visit);
	}
}

static void single_visit(struct dig *dig, const struct cut *cut)
{
	fresh_start(dig);
	if (boot_cut(dig, cut))
		finish(dig);
	else
		tell_lost(dig, "the cut was not reached");
}

void dig_single(struct dig *dig)
{
	for (uint64_t at = 1; at <= dig->clean_count && !enough(dig); at++)
		operation_visit(dig, at, single_visit);
}

/* ---- two and three cuts -------------------------------------------------------------------------
 */

static void counts_keep(struct dig *dig, struct counts *ret_counts)
{
	*ret_counts = (struct counts){ dig->cut_count, dig->bytes, dig->ring, dig->stash };
}

static void counts_back(struct dig *dig, const struct counts *counts)
{
	dig->cut_count = counts->cuts;
	dig->bytes = counts->bytes;
	dig->ring = counts->ring;
	dig->stash = counts->stash;
}

/* Power has just come back: cuts each of the next `near` operations, and after each of these cuts
 * `more` times the same.
 */
static void later_visit(struct dig *dig, uint32_t near, uint32_t more)
{
	struct rig *branch = &dig->branches[more];
	struct counts counts;

	counts_keep(dig, &counts);
	rig_copy(branch, &dig->rig);
	for (uint64_t at = 1; at <= near; at++) {
		for (int i = 0; i < SIM_OUTCOME_COUNT && !enough(dig); i++) {
			struct cut cut = { .at = at,
					   .outcome = (enum sim_outcome)i,
					   .seed = dig->cuts[counts.cuts - 1].seed * 31 + at };

			rig_copy(&dig->rig, branch);
			counts_back(dig, &counts);
			if (!boot_cut(dig, &cut)) {
				if (dig->rig.report.error == 0)
					return; /* the upgrade has ended before */
			} else if (more > 0) {
				later_visit(dig, near, more - 1);
			} else {
				finish(dig);
			}
		}
	}
}

void dig_repeated(struct dig *dig, uint32_t near, uint32_t more)
{
	static const uint64_t all[] = { SIM_NONE, SIM_DONE, SIM_GARBAGE, SIM_UNSTABLE };

	MUST(more > 0 && more <= MORE_MAX);
	for (uint64_t at = 1; at <= dig->clean_count; at++) {
		const struct operation *operation = &dig->clean[at - 1];

		for (uint64_t i = 0; i < SIM_OUTCOME_COUNT; i++) {
			for (size_t j = 0; j < (operation->open ? 4 : 1) && !enough(dig); j++) {
				struct cut cut = { .at = at,
						   .outcome = (enum sim_outcome)i,
						   .ends =
						       1 + all_the_same(all[j], operation->open),
						   .seed = dig->explorer->seed + at };

				if (operation->op == SIM_FLUSH && i > 0)
					continue; /* its end is that of what it covers */
				fresh_start(dig);
				if (boot_cut(dig, &cut))
					later_visit(dig, near, more - 1);
			}
		}
	}
}

/* ---- chains -------------------------------------------------------------------------------------
 */

static void chain(struct dig *dig, uint64_t seed)
{
	uint32_t length = 1 + (uint32_t)(sim_random(&seed) % CUTS_MAX);

	fresh_start(dig);
	for (uint32_t i = 0; i < length; i++) {
		bool near = sim_random(&seed) % 3 != 0;
		uint64_t reach = near ? 12 : dig->clean_count + 8;
		struct cut cut = {
			.at = 1 + sim_random(&seed) % reach,
			.outcome = (enum sim_outcome)(sim_random(&seed) % SIM_OUTCOME_COUNT),
			.seed = sim_random(&seed),
		};

		rig_reopen(&dig->rig, dig->rig.upgrade->path);
		if (!boot_cut(dig, &cut))
			break;
	}
	finish(dig);
}

void dig_chains(struct dig *dig, uint64_t count)
{
	uint64_t seed = dig->explorer->seed * 1000003 + dig->shape_seed;

	for (uint64_t i = 0; i < count && !enough(dig); i++)
		chain(dig, sim_random(&seed));
}

/* ---- replay -------------------------------------------------------------------------------------
 */

static bool cut_read(const char *text, struct cut *ret_cut)
{
	char name[16];

	if (sscanf(text, "%" SCNu64 ",%15[a-z],%" SCNu64 ",%" SCNu64 ",%" SCNu64, &ret_cut->at,
		   name, &ret_cut->tear, &ret_cut->ends, &ret_cut->seed) != 5)
		return false;
	for (int i = 0; i < SIM_OUTCOME_COUNT; i++) {
		if (strcmp(name, outcome_names[i]) == 0) {
			ret_cut->outcome = (enum sim_outcome)i;
			return true;
		}
	}
	return false;
}

bool dig_replay(struct dig *dig, const char *text)
{
	struct cut cut;

	fresh_start(dig);
	while ((text = strchr(text, '/'))) {
		text++;
		if (!cut_read(text, &cut) || dig->cut_count == CUTS_MAX)
			return false;
		if (!boot_cut(dig, &cut))
			break;
		printf("cut %u at %s, then the journal says %d\n", dig->cut_count,
		       site_names[dig->rig.trace[cut.at - 1].site], (int)rig_phase(&dig->rig));
	}
	finish(dig);
	printf("goes on: error %s, where %d, step %u, partition %s\n",
	       dfota_error_name(dig->rig.report.error), (int)dig->rig.report.where,
	       dig->rig.report.step, dig->rig.report.partition);
	return true;
}
