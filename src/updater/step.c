/* SPDX-License-Identifier: MIT
 *
 * One step: the only place that overwrites a partition's old bytes.
 *
 * Order, each line durable before the next: stash copies, STASHED; (REDO) changed units in the
 * ring, PREPARED; units in place, (REDO) UNIT after each; DONE. A restart takes up behind the
 * newest record. Until PREPARED a REDO step has written nothing, and a DIRECT step reads nothing
 * that it writes: both can be decoded again. What may have been in flight when power went is
 * written again even if it reads well.
 */
#include "engine.h"

#define TRIES 3u /* where the old unit is the only other source of the new one */

static int unit_compare(struct engine *e, uint32_t unit)
{
	struct partition *p = &e->part;
	size_t within = (size_t)unit * p->delta.header.unit_bytes;

	return updater_compare(e, p->flash, p->offset + within, p->segment + within,
			       updater_unit_bytes(p, unit));
}

static int unit_write(struct engine *e, uint32_t unit)
{
	struct partition *p = &e->part;
	const struct dfota_flash_geometry *geometry = &p->flash->geometry;
	size_t within = (size_t)unit * p->delta.header.unit_bytes;
	size_t bytes = updater_unit_bytes(p, unit);
	uint64_t room =
	    geometry->size_bytes - dfota_min64(geometry->size_bytes, p->offset + within);
	size_t whole = (size_t)dfota_min64(updater_round_up(bytes, geometry->write_bytes), room);

	if (MUTANT(SKIP_IF_RIGHT) && unit_compare(e, unit) == 0)
		return 0;
	e->report->writes++;
	e->report->bytes_written += bytes;
	if (whole > bytes)
		memset(p->segment + within + bytes, geometry->erased_value, whole - bytes);
	return updater_fail(
	    e, DFOTA_WHERE_PARTITION,
	    dfota_flash_replace(p->flash, p->offset + within, p->segment + within, whole));
}

static int flush(struct engine *e)
{
	return updater_fail(e, DFOTA_WHERE_PARTITION,
			    MUTANT(NO_FLUSH_UNITS) ? 0 : dfota_flash_flush(e->part.flash));
}

static int units_write(struct engine *e)
{
	struct partition *p = &e->part;
	int error = 0;

	for (uint32_t u = 0; !error && u < updater_units(p); u++)
		if (updater_changed(p, u))
			error = unit_write(e, u);
	return error ? error : flush(e);
}

static int units_compare(struct engine *e)
{
	struct partition *p = &e->part;
	int error = 0;

	for (uint32_t u = 0; !error && u < updater_units(p); u++)
		if (updater_changed(p, u))
			error = unit_compare(e, u);
	return error;
}

static int units_write_together(struct engine *e)
{
	int error = units_write(e);

	return error ? error : updater_fail(e, DFOTA_WHERE_PARTITION, units_compare(e));
}

/* One unit, durably. Where its recipe may read the unit itself it is written again while the new
 * bytes are at hand. */
static int unit_write_surely(struct engine *e, uint32_t unit)
{
	uint32_t tries = updater_ring_counted(e) ? 1 : TRIES;
	int error = DFOTA_E_READBACK;

	for (uint32_t i = 0; error == DFOTA_E_READBACK && i < tries; i++) {
		error = unit_write(e, unit);
		if (!error)
			error = flush(e);
		if (!error)
			error = unit_compare(e, unit);
	}
	return updater_fail(e, DFOTA_WHERE_PARTITION, error);
}

/* The first units are in place already, says the journal: written only if they do not read so. Not where the ring holds a recipe that
 * needs them: it has just found them right, and were one written again without a record, a cut would take it away from the recipe.
 */
static int units_write_singly(struct engine *e, uint32_t in_place)
{
	uint32_t count = updater_changed_count(&e->part.step);

	for (uint32_t k = 0; k < count; k++) {
		uint32_t u = updater_ring_unit(&e->part, k);
		int error;

		if (k < in_place && ((e->part.ring != UPDATER_RING_RAW && updater_ring_counted(e)) ||
				     unit_compare(e, u) == 0))
			continue;
		error = unit_write_surely(e, u);
		if (!error && k >= in_place && k + 1 < count && updater_ring_counted(e))
			error = updater_journal_put(e, DFOTA_PHASE_UNIT, u);
		if (error)
			return error;
	}
	return 0;
}

static int direct_do(struct engine *e)
{
	int error;

	/* Before decoding: a step that reads what it writes is no DIRECT one. */
	updater_partition_gone(e);
	error = updater_partition_decode(e);
	if (!error)
		error = updater_rest_prove(e);
	return error ? error : units_write_together(e);
}

/* On flash that changes units atomically a step that changes one unit needs no ring: that unit is
 * whole, old or new. */
static bool changes_at_once(const struct engine *e)
{
	return updater_changed_count(&e->part.step) <= 1 &&
	       (MUTANT(ALL_AT_ONCE) || updater_atomic(e));
}

/* What was written badly is written again while the new bytes are at hand: there is no other copy
 * of them. */
static int at_once_do(struct engine *e)
{
	int error = updater_partition_decode(e);

	if (!error)
		error = updater_rest_prove(e);
	if (error)
		return error;
	updater_partition_gone(e);
	for (unsigned i = 0; i < TRIES; i++) {
		error = units_write(e);
		if (!error)
			error = units_compare(e);
		if (error != DFOTA_E_READBACK)
			break;
	}
	return updater_fail(e, DFOTA_WHERE_PARTITION, error);
}

/* So many units of the step come up to the one that the journal tells of. */
static uint32_t units_in_place(const struct partition *p, const struct journal *left)
{
	uint32_t count = updater_changed_count(&p->step), k = 0;

	if (left->phase != DFOTA_PHASE_UNIT)
		return 0;
	while (k < count && updater_ring_unit(p, k) != left->unit)
		k++;
	return k < count ? k + 1 : 0;
}

static int redo_do(struct engine *e, const struct journal *left)
{
	uint32_t in_place = 0;
	int error;

	e->part.ring = left->ring;
	if (left->phase == DFOTA_PHASE_PREPARED || left->phase == DFOTA_PHASE_UNIT) {
		in_place = units_in_place(&e->part, left);
		error = updater_ring_load(e, &in_place);
	} else {
		error = updater_partition_decode(e);
		if (!error)
			error = updater_rest_prove(e);
		if (!error && !MUTANT(NO_RING))
			error = updater_ring_stage(e);
		if (!error && !MUTANT(NO_PREPARED))
			error = updater_journal_put(e, DFOTA_PHASE_PREPARED, 0);
	}
	if (error)
		return error;
	updater_partition_gone(e);
	return units_write_singly(e, in_place);
}

/* Remembers the copies; makes them unless the journal says that they are there. */
static int copies_do(struct engine *e, bool stashed)
{
	struct dfota_delta_copy copy;
	int error;

	if (e->part.step.copies > 0 && !stashed) {
		error = updater_stash_make(e);
		return error || MUTANT(NO_STASHED) ? error
						   : updater_journal_put(e, DFOTA_PHASE_STASHED, 0);
	}
	do
		error = updater_partition_copy(e, &copy);
	while (!error);
	return error == DFOTA_E_NOT_FOUND ? 0 : error;
}

/* What the journal tells of this step: its phase, or NONE. */
static struct journal left_here(const struct engine *e)
{
	const struct journal *journal = &e->journal;
	bool within = journal->phase == DFOTA_PHASE_STASHED ||
		      journal->phase == DFOTA_PHASE_PREPARED || journal->phase == DFOTA_PHASE_UNIT;

	if (e->resuming && within && journal->partition == e->part.index &&
	    journal->step == e->part.step_index)
		return *journal;
	return (struct journal){ .phase = DFOTA_PHASE_NONE };
}

static bool is_prepared(const struct journal *left)
{
	return left->phase == DFOTA_PHASE_PREPARED || left->phase == DFOTA_PHASE_UNIT;
}

/* A DIRECT step, or one that changes a unit at once, may have begun to write once its copies were
 * made, without a record of it.
 */
bool updater_step_untouched(const struct engine *e)
{
	struct journal left = left_here(e);

	if (!e->resuming)
		return true;
	if (e->part.step.kind == DFOTA_STEP_REDO && !changes_at_once(e))
		return !is_prepared(&left);
	return e->part.step.copies > 0 && left.phase == DFOTA_PHASE_NONE;
}

/* Whether the one unit of the step in flight was changed before power went. Nothing is unstable
 * behind an atomic change. */
static int at_once_resume(struct engine *e)
{
	uint8_t sha256[DFOTA_SHA256_BYTES];
	int error =
	    updater_range_digest(e, e->part.flash, e->part.offset, e->part.new_bytes, true, sha256);

	if (error)
		return error;
	if (MUTANT(NEVER_NEW) || memcmp(sha256, e->part.step.target, UPDATER_DIGEST_PART) != 0)
		return at_once_do(e);
	updater_partition_gone(e);
	return 0;
}

static int write_do(struct engine *e, const struct journal *left, bool resuming)
{
	if (e->part.step.kind != DFOTA_STEP_REDO)
		return direct_do(e);
	if (!changes_at_once(e))
		return redo_do(e, left);
	return resuming ? at_once_resume(e) : at_once_do(e);
}

static int written_step_do(struct engine *e)
{
	struct journal left = left_here(e);
	bool redo = e->part.step.kind == DFOTA_STEP_REDO, resuming = e->resuming;
	bool stashed = left.phase != DFOTA_PHASE_NONE;
	bool prepared = is_prepared(&left), untouched = updater_step_untouched(e);
	int error;

	if (prepared && (!redo || changes_at_once(e)))
		return updater_fail(e, DFOTA_WHERE_JOURNAL, DFOTA_E_INTERNAL);
	e->resuming = false;
	if (untouched) {
		error = updater_source_prove(e);
		if (error)
			return error;
	}
	error = copies_do(e, stashed);
	if (!error)
		error = write_do(e, &left, resuming);
	return error ? error : updater_journal_put(e, DFOTA_PHASE_DONE, 0);
}

int updater_step_do(struct engine *e)
{
	switch ((enum dfota_step_kind)e->part.step.kind) {
	case DFOTA_STEP_UNCHANGED:
		return updater_target_prove(e);
	case DFOTA_STEP_TAIL:
		return updater_source_prove(e);
	case DFOTA_STEP_DIRECT:
	case DFOTA_STEP_REDO:
		return written_step_do(e);
	case DFOTA_STEP_KIND_COUNT:
		break;
	}
	return updater_fail(e, DFOTA_WHERE_PACKAGE, DFOTA_E_CORRUPT);
}
