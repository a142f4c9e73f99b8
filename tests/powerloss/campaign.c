/* SPDX-License-Identifier: MIT
 *
 * The power-loss campaign: every operation of small upgrades is cut, in every way; 0 may be lost.
 *
 * usage: campaign [--full] [--states N] [--chance N] [--seed N] [--shape NAME] [--no-read-back]
 *                 [--stop-early] [--replay LINE]
 * Without options a slice of under a minute; --full goes deeper, and on with shapes by chance until
 * a million states (--states) and 40 of these shapes (--chance) were visited. rig.h tells what a
 * boot is, explore.h what is demanded of each state. The campaign fails as well when a kind of
 * write was never cut.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "explore.h"

#define STATES_FULL UINT64_C(1000000)
#define NEAR	    12u
#define NEAR_THIRD  4u /* the record again, its flush, the next write, its flush */
#define TRIPLE	    9u /* operations of the largest upgrade for which third cuts are tried */
#define TRIPLE_FULL 40u
#define CHANCE	    6u
#define CHANCE_FULL 40u

struct campaign {
	struct explorer explorer;
	uint64_t states, chance;
	const char *shape, *replay;
	char folder[SCRATCH_MAX];
	uint32_t upgrades;
};

static bool wanted(const struct campaign *campaign, const char *name)
{
	size_t n = campaign->shape ? strlen(campaign->shape) : 0;

	return n == 0 || (strncmp(name, campaign->shape, n) == 0 &&
			  (name[n] == '\0' || name[n] == '-' || name[n] == ':'));
}

static bool done(const struct campaign *campaign)
{
	return campaign->explorer.lost >= campaign->explorer.lost_max;
}

/* Second cuts are exhaustive for small upgrades in the slice and for all in the full campaign,
 * third ones for small upgrades in both.
 */
static void dig_one(struct campaign *campaign, struct dig *dig)
{
	bool full = campaign->explorer.thorough;

	if (campaign->replay) {
		if (!dig_replay(dig, campaign->replay))
			campaign->explorer.lost++;
		return;
	}
	dig_single(dig);
	if (full || dig->clean_count <= 40)
		dig_repeated(dig, NEAR, 1);
	if (dig->clean_count <= (full ? TRIPLE_FULL : TRIPLE))
		dig_repeated(dig, NEAR_THIRD, 2);
	dig_chains(dig, full ? 400 : 60);
}

static void upgrade_explore(struct campaign *campaign, const struct shape *shape,
			    enum shape_medium medium, uint64_t shape_seed)
{
	uint64_t before = campaign->explorer.states;
	struct upgrade upgrade;
	struct dig dig;

	upgrade_make(&upgrade, shape, medium, shape_seed, campaign->folder);
	if (wanted(campaign, upgrade.name)) {
		campaign->upgrades++;
		if (dig_init(&dig, &campaign->explorer, &upgrade, campaign->folder)) {
			dig.shape_seed = shape_seed;
			dig_one(campaign, &dig);
		}
		if (!shape_seed)
			printf("%-14s %4u operations %8" PRIu64 " states\n", upgrade.name,
			       dig.clean_count, campaign->explorer.states - before);
		dig_free(&dig);
	}
	upgrade_free(&upgrade);
}

static void chance_explore(struct campaign *campaign, uint64_t seed, enum shape_medium medium)
{
	char text[SHAPE_PARTITIONS_MAX][64];
	struct shape shape;

	shape_by_chance(&shape, text, seed);
	shape.name = "chance";
	upgrade_explore(campaign, &shape, medium, seed);
}

static void explore(struct campaign *campaign)
{
	uint64_t told = 0;

	for (int m = 0; m < MEDIUM_COUNT; m++)
		for (uint32_t i = 0; i < shape_count && !done(campaign); i++)
			upgrade_explore(campaign, &shapes[i], (enum shape_medium)m, 0);
	if (campaign->shape)
		return;
	for (uint64_t seed = campaign->explorer.seed; !done(campaign); seed++) {
		bool more =
		    campaign->explorer.thorough && campaign->explorer.states < campaign->states;

		if (!more && seed >= campaign->explorer.seed + campaign->chance)
			break;
		chance_explore(campaign, seed, (enum shape_medium)(seed % MEDIUM_COUNT));
		if (campaign->explorer.states / 100000 > told) {
			told = campaign->explorer.states / 100000;
			printf("shapes by chance up to %" PRIu64 ": %" PRIu64 " states\n", seed,
			       campaign->explorer.states);
			(void)fflush(stdout);
		}
	}
}

/* NAME-MEDIUM:SEED/cut/cut... */
static void replay(struct campaign *campaign)
{
	static const char *const media[MEDIUM_COUNT] = { "-file:", "-block:", "-nand:", "-ubi:" };
	uint64_t seed = 0;

	campaign->shape = campaign->replay;
	for (int m = 0; m < MEDIUM_COUNT; m++) {
		const char *at = strstr(campaign->replay, media[m]);

		if (!at)
			continue;
		seed = strtoull(at + strlen(media[m]), NULL, 10);
		for (uint32_t i = 0; i < shape_count && !seed; i++) {
			size_t n = strlen(shapes[i].name);

			if (n == (size_t)(at - campaign->replay) &&
			    strncmp(shapes[i].name, campaign->replay, n) == 0) {
				campaign->shape = NULL;
				upgrade_explore(campaign, &shapes[i], (enum shape_medium)m, 0);
			}
		}
		campaign->shape = NULL;
		if (seed)
			chance_explore(campaign, seed, (enum shape_medium)m);
	}
	if (campaign->upgrades == 0) {
		printf("no such upgrade\n");
		campaign->explorer.lost++;
	}
}

/* The injector's own proof: whatever writes was cut, and in every way that it can end. */
static bool sites_complete(const struct explorer *x)
{
	bool complete = true;

	printf("%-12s %9s %9s %9s %9s %9s\n", "cuts at", "none", "done", "torn", "garbage",
	       "unstable");
	for (int s = 0; s < SITE_COUNT; s++) {
		bool resize = s == SITE_AREA_RESIZE || s == SITE_GROW || s == SITE_SHRINK;
		uint64_t least = UINT64_MAX;

		if (s == SITE_ABANDONED) /* has its own test, faults.c */
			continue;
		for (int i = 0; i < (resize ? SIM_TORN : SIM_OUTCOME_COUNT); i++)
			least = dfota_min64(least, x->sites[s][i]);
		printf("%-12s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "%s\n",
		       site_names[s], x->sites[s][SIM_NONE], x->sites[s][SIM_DONE],
		       x->sites[s][SIM_TORN], x->sites[s][SIM_GARBAGE], x->sites[s][SIM_UNSTABLE],
		       least ? "" : "  NEVER");
		complete &= least > 0;
	}
	return complete;
}

static bool options_read(struct campaign *campaign, int argc, char **argv)
{
	static const struct option options[] = {
		{ "full", no_argument, NULL, 'f' },
		{ "states", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "shape", required_argument, NULL, 'S' },
		{ "no-read-back", no_argument, NULL, 'b' },
		{ "replay", required_argument, NULL, 'r' },
		{ "chance", required_argument, NULL, 'c' },
		{ "stop-early", no_argument, NULL, 'e' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			campaign->explorer.thorough = true;
			break;
		case 'n':
			campaign->states = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			campaign->chance = strtoull(optarg, NULL, 10);
			break;
		case 's':
			campaign->explorer.seed = strtoull(optarg, NULL, 10);
			break;
		case 'S':
			campaign->shape = optarg;
			break;
		case 'b':
			campaign->explorer.no_read_back = true;
			break;
		case 'r':
			campaign->replay = optarg;
			break;
		case 'e':
			campaign->explorer.lost_max = 1;
			break;
		default:
			return false;
		}
	}
	if (!campaign->chance)
		campaign->chance = campaign->explorer.thorough ? CHANCE_FULL : CHANCE;
	return optind == argc && campaign->explorer.seed > 0;
}

int main(int argc, char **argv)
{
	struct campaign campaign = { .explorer = { .seed = 1, .lost_max = 20 },
				     .states = STATES_FULL };
	const struct explorer *x = &campaign.explorer;
	struct timespec begin, end;
	bool good = true;

	if (!options_read(&campaign, argc, argv)) {
		(void)fprintf(stderr, "usage: see the head of tests/powerloss/campaign.c\n");
		return 2;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	scratch_make(campaign.folder);
	if (campaign.replay)
		replay(&campaign);
	else
		explore(&campaign);
	scratch_remove(campaign.folder);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	if (!campaign.replay && !campaign.shape && !done(&campaign))
		good = sites_complete(x);
	printf("seed %" PRIu64 ": %u upgrades, %" PRIu64 " states (%" PRIu64 " distinct), %" PRIu64
	       " boots, %" PRIu64 " lost, %ld s\n",
	       x->seed, campaign.upgrades, x->states, x->distinct, x->boots, x->lost,
	       (long)(end.tv_sec - begin.tv_sec));
	good &= x->lost == 0 && campaign.upgrades > 0;
	explorer_free(&campaign.explorer);
	return good ? 0 : 1;
}
