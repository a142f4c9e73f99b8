/* SPDX-License-Identifier: MIT
 *
 * Walks through crash states of one upgrade and counts what it has seen.
 *
 * A state is reached by one or more cuts. From it the upgrade goes on without further cuts and must
 * end in exactly the new images, with COMMIT in the journal, and another run must write nothing.
 * What was written in all boots together may exceed a run without cuts by one segment, its ring and
 * one step's stash copies for each cut.
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include "rig.h"

#define CUTS_MAX 50
#define MORE_MAX 2 /* cuts after the first, each close to the restart before it */

struct explorer {
	/* set by the caller */
	uint64_t seed;
	bool no_read_back, thorough;
	uint64_t lost_max; /* stop after so many */
	/* found out */
	uint64_t states, distinct, boots, lost;
	uint64_t sites[SITE_COUNT][SIM_OUTCOME_COUNT]; /* cuts */
	uint64_t *seen;				       /* hash set of rig_state */
	uint64_t seen_room;
};

void explorer_free(struct explorer *explorer);

/* Since the last fresh start. */
struct counts {
	uint32_t cuts;
	uint64_t bytes, ring, stash;
};

/* An upgrade that is being explored. */
struct dig {
	struct explorer *explorer;
	struct rig rig, branches[MORE_MAX];
	uint64_t shape_seed; /* of a shape by chance; 0 = of the table */
	struct operation *clean;
	uint32_t clean_count;
	uint64_t clean_bytes, clean_ring, clean_stash;
	/* since the last fresh start */
	struct cut cuts[CUTS_MAX];
	uint32_t cut_count;
	uint64_t bytes, ring, stash;
};

/* Runs the upgrade once without a cut. False when that fails already. */
bool dig_init(struct dig *dig, struct explorer *explorer, const struct upgrade *upgrade,
	      const char *folder);
void dig_free(struct dig *dig);

/* Every operation, every end of it, every end of what was not flushed. */
void dig_single(struct dig *dig);
/* Every operation, and after it `more` times every one of the first `near` operations since the
 * restart.
 */
void dig_repeated(struct dig *dig, uint32_t near, uint32_t more);
/* `count` chains of up to CUTS_MAX cuts by chance; the package is opened anew at each boot. */
void dig_chains(struct dig *dig, uint64_t count);
/* The cuts of a line that was printed for a failure; false when it cannot be read. */
bool dig_replay(struct dig *dig, const char *text);

#endif
