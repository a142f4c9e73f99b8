/* SPDX-License-Identifier: MIT
 *
 * The whole upgrade: check, INTENT, steps, VERIFIED, COMMIT; and how it goes on after a restart.
 */
#include "engine.h"

/* Bytes read back against bytes written, for percent. */
#define STEP_WEIGHT 8u

_Static_assert(sizeof(struct engine) <= UPDATER_ENGINE_MAX, "the engine fits its place");

/* ---- telling ----------------------------------------------------------------------------------
 */

int updater_fail(struct engine *e, enum dfota_where where, int error)
{
	if (error == 0 || error == DFOTA_E_STOPPED || e->report->where != DFOTA_WHERE_NONE)
		return error;
	e->report->where = where;
	if (e->part.row && where != DFOTA_WHERE_JOURNAL)
		memcpy(e->report->partition, e->part.row->name, sizeof(e->report->partition));
	return error;
}

void updater_event(struct engine *e, enum dfota_updater_event event, int64_t a, int64_t b)
{
	const struct dfota_updater_hooks *hooks = &e->config->hooks;

	if (hooks->event)
		hooks->event(hooks->context, event, a, b);
}

static void percent_tell(struct engine *e, int percent)
{
	if (percent <= e->percent)
		return;
	e->percent = percent;
	updater_event(e, DFOTA_EVENT_PERCENT, percent, 0);
}

void updater_work(struct engine *e, int from, int to, uint64_t total)
{
	e->percent_from = from;
	e->percent_to = to;
	e->work_done = 0;
	e->work_total = total ? total : 1;
	updater_worked(e, 0);
}

void updater_worked(struct engine *e, uint64_t bytes)
{
	uint64_t span = (uint64_t)(e->percent_to - e->percent_from);

	e->work_done = dfota_min64(e->work_done + bytes, e->work_total);
	percent_tell(e, e->percent_from + (int)(span * e->work_done / e->work_total));
}

int updater_stopped(struct engine *e)
{
	const struct dfota_updater_hooks *hooks = &e->config->hooks;

	return hooks->stop && hooks->stop(hooks->context) ? DFOTA_E_STOPPED : 0;
}

static uint64_t bytes_of(const struct engine *e, uint64_t old_weight, uint64_t new_weight)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < e->manifest->partition_count; i++)
		sum += e->manifest->partitions[i].old_bytes * old_weight +
		       e->manifest->partitions[i].new_bytes * new_weight;
	return sum;
}

/* ---- opening ----------------------------------------------------------------------------------
 */

uint64_t dfota_updater_memory(struct dfota_package *package)
{
	const struct dfota_manifest *manifest = dfota_package_manifest(package);
	uint64_t most = UPDATER_ALIGN + UPDATER_ENGINE_MAX;

	for (uint32_t i = 0; i < manifest->partition_count; i++) {
		struct dfota_delta delta;
		uint64_t bytes;

		if (dfota_package_delta(package, i, &delta))
			return 0;
		bytes = dfota_updater_partition_memory(&delta.header);
		if (bytes == 0)
			return 0;
		if (most < bytes)
			most = bytes;
	}
	return most;
}

/* Places the engine in the caller's memory and reads the journal; close with engine_close. */
static int engine_open(struct engine **ret_engine, const struct dfota_updater_config *config,
		       void *memory, uint64_t memory_bytes, struct dfota_updater_report *report)
{
	struct engine *e;
	int error;

	report->memory_bytes = dfota_updater_memory(config->package);
	if (report->memory_bytes == 0) {
		report->where = DFOTA_WHERE_PACKAGE;
		return DFOTA_E_CORRUPT;
	}
	if (memory_bytes < UPDATER_ALIGN + UPDATER_ENGINE_MAX)
		return DFOTA_E_MEMORY;
	e = (void *)((uint8_t *)memory + (-(uintptr_t)memory & (UPDATER_ALIGN - 1)));
	memset(e, 0, sizeof(*e));
	e->config = config;
	e->manifest = dfota_package_manifest(config->package);
	e->report = report;
	e->memory = (uint8_t *)e + UPDATER_ENGINE_MAX;
	e->percent = -1;
	error = dfota_digest_open(&e->digest);
	if (error)
		return error;
	error = updater_journal_open(e);
	if (error) {
		dfota_digest_close(&e->digest);
		return error;
	}
	report->started = dfota_updater_phase_mixed(e->journal.phase);
	e->mine = report->started && updater_journal_mine(e);
	*ret_engine = e;
	return 0;
}

static int engine_close(struct engine *e, int error)
{
	dfota_digest_close(&e->digest);
	return error;
}

/* ---- before the first write -------------------------------------------------------------------
 */

static int fresh_check(struct engine *e, bool *ret_new)
{
	int error;

	updater_work(e, 0, 10, bytes_of(e, 1, STEP_WEIGHT));
	error = updater_contents_check(e, ret_new);
	if (error || *ret_new)
		return error;
	return updater_rehearse(e);
}

static int resized(struct engine *e, enum dfota_where where, struct dfota_flash *flash,
		   uint64_t bytes)
{
	int error;

	e->report->writes++;
	error = dfota_flash_resize(flash, bytes);
	if (!error)
		error = dfota_flash_flush(flash);
	return updater_fail(e, where, error);
}

static int area_make(struct engine *e)
{
	struct dfota_flash *area = e->config->area;

	if (area->geometry.size_bytes >= e->layout.bytes)
		return 0;
	return resized(e, DFOTA_WHERE_JOURNAL, area, e->layout.bytes);
}

/* The point of no return. */
static int intent(struct engine *e)
{
	int error = area_make(e);

	e->part.index = 0;
	e->part.step_index = 0;
	if (!error)
		error = updater_journal_put(e, DFOTA_PHASE_INTENT, 0);
	if (error)
		return error;
	e->report->started = true;
	updater_event(e, DFOTA_EVENT_STARTED, 0, 0);
	return 0;
}

/* ---- writing ------------------------------------------------------------------------------------
 */

static int partitions_grow(struct engine *e)
{
	for (uint32_t i = 0; i < e->manifest->partition_count; i++) {
		int error;

		e->part.row = &e->manifest->partitions[i];
		if (e->flashes[i]->geometry.size_bytes >= e->part.row->new_bytes)
			continue;
		error = resized(e, DFOTA_WHERE_PARTITION, e->flashes[i], e->part.row->new_bytes);
		if (error)
			return error;
	}
	return 0;
}

static int partitions_shrink(struct engine *e)
{
	for (uint32_t i = 0; i < e->manifest->partition_count; i++) {
		const struct dfota_flash_geometry *geometry = &e->flashes[i]->geometry;
		int error;

		e->part.row = &e->manifest->partitions[i];
		if (!(geometry->flags & DFOTA_FLASH_RESIZABLE) ||
		    geometry->size_bytes == e->part.row->new_bytes)
			continue;
		error = resized(e, DFOTA_WHERE_PARTITION, e->flashes[i], e->part.row->new_bytes);
		if (error)
			return error;
	}
	return 0;
}

/* Steps before this one are done. */
static bool behind(const struct engine *e, const struct journal *from)
{
	if (from->phase == DFOTA_PHASE_INTENT || e->part.index != from->partition)
		return false;
	return e->part.step_index < from->step ||
	       (e->part.step_index == from->step && from->phase == DFOTA_PHASE_DONE);
}

static int partition_do(struct engine *e, uint32_t index, const struct journal *from)
{
	int error = updater_partition_open(e, index);

	while (!error) {
		error = updater_partition_next(e);
		if (error == DFOTA_E_NOT_FOUND)
			return 0;
		if (error)
			return error;
		if (behind(e, from)) {
			error = updater_partition_pass(e);
		} else {
			error = updater_stopped(e);
			if (!error)
				error = updater_step_do(e);
			if (!error)
				updater_event(e, DFOTA_EVENT_STEP, index, e->part.step_index);
		}
		if (!error)
			updater_worked(e, e->part.new_bytes * STEP_WEIGHT);
	}
	return error;
}

static int steps_do(struct engine *e)
{
	const struct journal from = e->journal;
	int error = 0;

	for (uint32_t i = 0; !error && i < e->manifest->partition_count; i++) {
		if (from.phase != DFOTA_PHASE_INTENT && i < from.partition)
			updater_worked(e, e->manifest->partitions[i].new_bytes * STEP_WEIGHT);
		else
			error = partition_do(e, i, &from);
	}
	return error;
}

static int verify(struct engine *e)
{
	uint8_t sha256[DFOTA_SHA256_BYTES];

	for (uint32_t i = 0; i < e->manifest->partition_count; i++) {
		const struct dfota_manifest_partition *row = &e->manifest->partitions[i];
		int error;

		e->part.row = row;
		error = updater_range_digest(e, e->flashes[i], 0, row->new_bytes, true, sha256);
		if (!error && memcmp(sha256, row->new_sha256, sizeof(sha256)) != 0)
			error = updater_fail(e, DFOTA_WHERE_PARTITION, DFOTA_E_VERIFY);
		if (error)
			return error;
		updater_worked(e, row->new_bytes);
	}
	return 0;
}

/* Verified again after every restart; VERIFIED only says that old tails may be gone. */
static int finish(struct engine *e)
{
	int error = verify(e);

	if (!error)
		error = updater_journal_put(e, DFOTA_PHASE_VERIFIED, 0);
	if (!error)
		error = partitions_shrink(e);
	if (!error)
		error = updater_journal_end(e, DFOTA_PHASE_COMMIT);
	if (error)
		return error;
	updater_event(e, DFOTA_EVENT_COMMIT, 0, 0);
	percent_tell(e, 100);
	return 0;
}

static int write_all(struct engine *e)
{
	int error;

	updater_work(e, 10, 99, bytes_of(e, 0, STEP_WEIGHT + 1));
	error = partitions_grow(e);
	if (!error && e->journal.phase != DFOTA_PHASE_VERIFIED)
		error = steps_do(e);
	return error ? error : finish(e);
}

/* The check comes before the first write: should an older record have been taken for the newest,
 * flash contradicts it and the newest is still there.
 */
static int resume(struct engine *e, bool writing)
{
	int error = 0;

	e->resuming = true;
	if (e->journal.phase != DFOTA_PHASE_VERIFIED)
		error = updater_resume_check(e);
	if (error || !writing)
		return error;
	/* The newest record may be one that only reads well this once. */
	e->report->writes++;
	error = updater_fail(e, DFOTA_WHERE_JOURNAL, dfota_record_refresh(&e->store));
	if (error)
		return error;
	updater_event(e, DFOTA_EVENT_RESUMED, e->journal.partition, e->journal.step);
	return write_all(e);
}

/* Nothing to do; but the journal must say so, and not for this once only. */
static int already_new(struct engine *e)
{
	int error = area_make(e);

	if (!error)
		error = updater_journal_end(e, DFOTA_PHASE_COMMIT);
	if (!error)
		percent_tell(e, 100);
	return error;
}

static int attempt(struct engine *e, uint64_t memory_bytes, bool writing)
{
	bool all_new = false;
	int error = updater_fit_check(e, memory_bytes, true);

	if (error)
		return error;
	if (e->mine)
		return resume(e, writing);
	error = fresh_check(e, &all_new);
	if (error || !writing)
		return error;
	if (all_new)
		return already_new(e);
	error = intent(e);
	return error ? error : write_all(e);
}

static int call(const struct dfota_updater_config *config, void *memory, uint64_t memory_bytes,
		bool writing, struct dfota_updater_report *report)
{
	struct dfota_updater_status status;
	struct engine *e;
	int error;

	*report = (struct dfota_updater_report){ 0 };
	error = engine_open(&e, config, memory, memory_bytes, report);
	if (!error)
		error = engine_close(e, attempt(e, memory_bytes, writing));
	else /* what the journal cannot tell may have begun */
		report->started = dfota_updater_status(config->area, &status) != 0 ||
				  dfota_updater_phase_mixed(status.phase);
	report->error = error;
	return error;
}

int dfota_updater_check(const struct dfota_updater_config *config, void *memory,
			uint64_t memory_bytes, struct dfota_updater_report *ret_report)
{
	return call(config, memory, memory_bytes, false, ret_report);
}

int dfota_updater_run(const struct dfota_updater_config *config, void *memory,
		      uint64_t memory_bytes, struct dfota_updater_report *ret_report)
{
	return call(config, memory, memory_bytes, true, ret_report);
}

/* ---- giving up ----------------------------------------------------------------------------------
 */

/* All partitions hold the old image; one that has grown already still counts. */
static int old_prove(struct engine *e)
{
	uint8_t sha256[DFOTA_SHA256_BYTES];

	for (uint32_t i = 0; i < e->manifest->partition_count; i++) {
		const struct dfota_manifest_partition *row = &e->manifest->partitions[i];
		int error;

		e->part.row = row;
		error = updater_range_digest(e, e->flashes[i], 0, row->old_bytes, false, sha256);
		if (!error && memcmp(sha256, row->old_sha256, sizeof(sha256)) != 0)
			error = updater_fail(e, DFOTA_WHERE_PARTITION, DFOTA_E_CONTENT);
		if (error)
			return error;
	}
	return 0;
}

static int sizes_restore(struct engine *e)
{
	for (uint32_t i = 0; i < e->manifest->partition_count; i++) {
		const struct dfota_manifest_partition *row = &e->manifest->partitions[i];
		const struct dfota_flash_geometry *geometry = &e->flashes[i]->geometry;
		int error;

		e->part.row = row;
		if (!(geometry->flags & DFOTA_FLASH_RESIZABLE) ||
		    geometry->size_bytes == row->old_bytes)
			continue;
		error = resized(e, DFOTA_WHERE_PARTITION, e->flashes[i], row->old_bytes);
		if (error)
			return error;
	}
	return 0;
}

/* Before a size changes the journal must say that all is old but for sizes: a step that is told to be done may lie behind the old end. */
static int intent_again(struct engine *e)
{
	if (e->journal.phase == DFOTA_PHASE_INTENT)
		return 0;
	e->part.index = 0;
	e->part.step_index = 0;
	return updater_journal_put(e, DFOTA_PHASE_INTENT, 0);
}

static int abandon(struct engine *e, uint64_t memory_bytes)
{
	int error;

	if (e->journal.phase == DFOTA_PHASE_ABANDONED && updater_journal_mine(e))
		return updater_journal_end(e, DFOTA_PHASE_ABANDONED);
	if (!dfota_updater_phase_mixed(e->journal.phase))
		return 0;
	if (!updater_journal_mine(e))
		return DFOTA_E_CONTENT;
	error = updater_fit_check(e, memory_bytes, false);
	if (!error)
		error = old_prove(e);
	if (!error)
		error = dfota_record_refresh(&e->store);
	if (!error)
		error = intent_again(e);
	if (!error)
		error = sizes_restore(e);
	return error ? error : updater_journal_end(e, DFOTA_PHASE_ABANDONED);
}

int dfota_updater_abandon(const struct dfota_updater_config *config, void *memory,
			  uint64_t memory_bytes)
{
	struct dfota_updater_report report = { 0 };
	struct engine *e;
	int error = engine_open(&e, config, memory, memory_bytes, &report);

	return error ? error : engine_close(e, abandon(e, memory_bytes));
}
