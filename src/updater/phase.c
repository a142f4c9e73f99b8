/* SPDX-License-Identifier: MIT
 *
 * What each record of the journal means: the table of docs/power-fail.md, held to by
 * updater_journal_put.
 */
#include "engine.h"

#define AFTER(phase) (1u << DFOTA_PHASE_##phase)
#define AFTER_STEP   (AFTER(INTENT) | AFTER(DONE))

static const struct dfota_updater_phase_row rows[DFOTA_PHASE_COUNT] = {
	[DFOTA_PHASE_NONE] = {
		.name = "none",
		.flash = "whole",
		.restart = "a fresh start: every check, a rehearsal of every segment, then INTENT",
	},
	[DFOTA_PHASE_INTENT] = {
		.name = "INTENT",
		.flash = "whole, perhaps with a partition already grown",
		.restart = "the first step",
		.mixed = true,
		.after = AFTER(NONE) | AFTER(COMMIT) | AFTER(ABANDONED) | AFTER(STASHED) | AFTER(PREPARED) | AFTER(UNIT) |
			 AFTER(DONE) | AFTER(VERIFIED), /* the latter by an upgrade that is given up */
	},
	[DFOTA_PHASE_STASHED] = {
		.name = "STASHED(i)",
		.flash = "stash copies of step i durable; a redo step not begun, a direct or atomic one begun perhaps",
		.restart = "step i from 2",
		.mixed = true,
		.after = AFTER_STEP,
	},
	[DFOTA_PHASE_PREPARED] = {
		.name = "PREPARED(i)",
		.flash = "units of step i in any state; the ring holds the new ones or tells how they are made",
		.restart = "made from the ring",
		.mixed = true,
		.after = AFTER_STEP | AFTER(STASHED),
	},
	[DFOTA_PHASE_UNIT] = {
		.name = "UNIT(i, u)",
		.flash = "units up to u, in the ring's order, in place, the one after it in any state",
		.restart = "the remaining units from the ring; the one in flight is written again",
		.mixed = true,
		.after = AFTER(PREPARED) | AFTER(UNIT),
	},
	[DFOTA_PHASE_DONE] = {
		.name = "DONE(i)",
		.flash = "step i in place",
		.restart = "step i + 1",
		.mixed = true,
		.after = AFTER_STEP | AFTER(STASHED) | AFTER(PREPARED) | AFTER(UNIT),
	},
	[DFOTA_PHASE_VERIFIED] = {
		.name = "VERIFIED",
		.flash = "all partitions have their new digests, some perhaps not yet shrunk",
		.restart = "partitions shrunk, then COMMIT",
		.mixed = true,
		.after = AFTER_STEP | AFTER(VERIFIED),
	},
	[DFOTA_PHASE_COMMIT] = {
		.name = "COMMIT",
		.flash = "new",
		.restart = "nothing if it is there twice, else COMMIT twice: success; another package: as none",
		.after = AFTER(NONE) | AFTER(VERIFIED) | AFTER(COMMIT) | AFTER(ABANDONED),
	},
	[DFOTA_PHASE_ABANDONED] = {
		.name = "ABANDONED",
		.flash = "whole and old",
		.restart = "as none",
		.after = AFTER(INTENT) | AFTER(ABANDONED),
	},
};

const struct dfota_updater_phase_row *dfota_updater_phase(enum dfota_updater_phase phase)
{
	return &rows[phase < DFOTA_PHASE_COUNT ? phase : DFOTA_PHASE_NONE];
}

bool dfota_updater_phase_mixed(enum dfota_updater_phase phase)
{
	return dfota_updater_phase(phase)->mixed;
}
