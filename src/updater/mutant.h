/* SPDX-License-Identifier: MIT
 *
 * Rules that a test build can leave out one at a time, to prove that the power-loss campaign
 * notices (tests/powerloss/mutants). A normal build has none: every MUTANT() is a constant 0.
 */
#ifndef DFOTA_UPDATER_MUTANT_H
#define DFOTA_UPDATER_MUTANT_H

enum updater_mutant {
	UPDATER_MUTANT_NONE,
	UPDATER_MUTANT_NO_CRC,		/* a record's CRC is not compared */
	UPDATER_MUTANT_NO_FLUSH_BEFORE, /* ring, stash and what lies before a record are not flushed
					 */
	UPDATER_MUTANT_NO_FLUSH_AFTER,	/* a record is not flushed */
	UPDATER_MUTANT_NO_FLUSH_UNITS,	/* units in place are not flushed */
	UPDATER_MUTANT_NO_RING,		/* REDO steps leave the ring as it is */
	UPDATER_MUTANT_NO_PREPARED,	/* REDO steps leave the record PREPARED out */
	UPDATER_MUTANT_NO_STASHED,	/* steps with copies leave the record STASHED out */
	UPDATER_MUTANT_TWO_BLOCKS,	/* journal of two blocks */
	UPDATER_MUTANT_NO_REFRESH,	/* the newest record is not written again after a restart */
	UPDATER_MUTANT_SKIP_IF_RIGHT,	/* a unit that reads well is not written */
	UPDATER_MUTANT_ALL_AT_ONCE,	/* steps of one unit do without the ring on any flash */
	UPDATER_MUTANT_NEVER_NEW, /* a unit that may have been changed at once counts as the old one
				   */
	UPDATER_MUTANT_NO_READ_BACK,	   /* what was written is not compared */
	UPDATER_MUTANT_NO_DIGEST,	   /* what was decoded is not compared with its digest */
	UPDATER_MUTANT_RECIPE_OF_ITSELF,   /* the recipe of a unit reads the unit, on any flash */
	UPDATER_MUTANT_RECIPE_NEVER_NEW,   /* atomic flash: the unit in flight counts as the old one
					    */
	UPDATER_MUTANT_RECIPE_OF_THE_DONE, /* the recipe of a unit reads those written before it */
	UPDATER_MUTANT_END_ONCE,	   /* COMMIT and ABANDONED are written once */
};

#ifdef UPDATER_MUTANT
#define MUTANT(rule) (UPDATER_MUTANT == UPDATER_MUTANT_##rule)
#define ANY_MUTANT   1
#else
#define MUTANT(rule) 0
#define ANY_MUTANT   0
#endif

#endif
