/* SPDX-License-Identifier: MIT
 *
 * Everything that can be refused, before the first write; and what is believed after a restart.
 */
#include "engine.h"

/* Bytes hashed against bytes decoded, for percent. */
#define DECODE_WEIGHT 8u

/* ---- does the package belong here ---------------------------------------------------------- */

static int version_check(const struct engine *e)
{
	const struct dfota_updater_config *config = e->config;
	const struct dfota_manifest *manifest = e->manifest;
	bool begun = updater_journal_mine(e) && e->journal.phase != DFOTA_PHASE_ABANDONED;

	if (strcmp(config->project, manifest->project) != 0)
		return DFOTA_E_VERSION;
	if (strcmp(config->version, manifest->from) == 0)
		return 0;
	/* Power may have gone between COMMIT and whatever else remembers the version. */
	return begun && strcmp(config->version, manifest->to) == 0 ? 0 : DFOTA_E_VERSION;
}

static struct dfota_flash *flash_named(const struct engine *e, const char *name)
{
	for (uint32_t i = 0; i < e->config->partition_count; i++)
		if (strcmp(e->config->partitions[i].name, name) == 0)
			return e->config->partitions[i].flash;
	return NULL;
}

/* Another package was interrupted: harmless only if this one proves every partition whole. */
static int other_upgrade_check(struct engine *e)
{
	uint32_t covered = 0;

	if (!dfota_updater_phase_mixed(e->journal.phase) || updater_journal_mine(e))
		return 0;
	for (uint32_t i = 0; i < e->manifest->partition_count; i++)
		covered += flash_named(e, e->manifest->partitions[i].name) != NULL;
	return covered == e->config->partition_count
		   ? 0
		   : updater_fail(e, DFOTA_WHERE_JOURNAL, DFOTA_E_CONTENT);
}

/* Size and blocks; exact sizes of resizable partitions belong to the contents. */
static int geometry_check(const struct dfota_flash_geometry *geometry,
			  const struct dfota_manifest_partition *row)
{
	uint64_t larger = row->old_bytes > row->new_bytes ? row->old_bytes : row->new_bytes;

	if (row->unit_bytes % geometry->erase_bytes != 0 ||
	    row->unit_bytes % geometry->write_bytes != 0)
		return DFOTA_E_VERSION; /* made for another kind of flash */
	if (!(geometry->flags & DFOTA_FLASH_RESIZABLE) && geometry->size_bytes < larger)
		return DFOTA_E_SPACE;
	return 0;
}

static int partitions_bind(struct engine *e)
{
	for (uint32_t i = 0; i < e->manifest->partition_count; i++) {
		e->part.row = &e->manifest->partitions[i];
		e->flashes[i] = flash_named(e, e->part.row->name);
		if (!e->flashes[i])
			return updater_fail(e, DFOTA_WHERE_PARTITION, DFOTA_E_CONTENT);
	}
	e->part.row = NULL;
	return e->mine ? updater_maps_give(e) : updater_maps_take(e);
}

static int geometries_check(struct engine *e)
{
	for (uint32_t i = 0; i < e->manifest->partition_count; i++) {
		int error;

		e->part.row = &e->manifest->partitions[i];
		error = geometry_check(&e->flashes[i]->geometry, e->part.row);
		if (error)
			return updater_fail(e, DFOTA_WHERE_PARTITION, error);
	}
	e->part.row = NULL;
	return 0;
}

static int room_check(struct engine *e)
{
	int error = updater_layout(e->config->package, &e->config->area->geometry, e->memory,
				   e->report->memory_bytes - UPDATER_ALIGN - UPDATER_ENGINE_MAX,
				   &e->layout);

	if (error)
		return updater_fail(e, DFOTA_WHERE_PACKAGE, error);
	e->report->area_bytes = e->layout.bytes;
	error = dfota_flash_reserve(e->config->area, e->layout.bytes);
	if (error)
		return updater_fail(e, DFOTA_WHERE_JOURNAL, error);
	for (uint32_t i = 0; i < e->manifest->partition_count; i++) {
		const struct dfota_manifest_partition *row = &e->manifest->partitions[i];
		struct dfota_flash *flash = e->flashes[i];
		uint64_t size = flash->geometry.size_bytes;

		e->part.row = row;
		error = dfota_flash_reserve(flash, size > row->new_bytes ? size : row->new_bytes);
		if (error)
			return updater_fail(e, DFOTA_WHERE_PARTITION, error);
	}
	e->part.row = NULL;
	return 0;
}

int updater_fit_check(struct engine *e, uint64_t memory_bytes, bool writes)
{
	uint64_t limit = e->config->memory_limit_bytes, need = e->report->memory_bytes;
	int error = version_check(e);

	if (error)
		return updater_fail(e, DFOTA_WHERE_PACKAGE, error);
	error = other_upgrade_check(e);
	if (!error)
		error = partitions_bind(e);
	if (!error)
		error = geometries_check(e);
	if (error)
		return error;
	if (need > memory_bytes || (limit && need > limit))
		return updater_fail(e, DFOTA_WHERE_NONE, DFOTA_E_MEMORY);
	return writes ? room_check(e) : 0;
}

/* ---- contents ------------------------------------------------------------------------------ */

/* Whether the partition holds exactly these bytes. */
static int image_is(struct engine *e, uint32_t i, uint64_t bytes, const uint8_t *sha256,
		    bool *ret_is)
{
	struct dfota_flash *flash = e->flashes[i];
	uint64_t size = flash->geometry.size_bytes;
	uint8_t found[DFOTA_SHA256_BYTES];
	int error;

	*ret_is = false;
	if (flash->geometry.flags & DFOTA_FLASH_RESIZABLE ? size != bytes : size < bytes)
		return 0;
	error = updater_range_digest(e, flash, 0, bytes, false, found);
	if (error)
		return error;
	*ret_is = memcmp(found, sha256, sizeof(found)) == 0;
	return 0;
}

int updater_contents_check(struct engine *e, bool *ret_new)
{
	uint32_t count = e->manifest->partition_count, new_count = 0, wrong = count;

	for (uint32_t i = 0; i < count; i++) {
		const struct dfota_manifest_partition *row = &e->manifest->partitions[i];
		bool is_old, is_new = false;
		int error;

		e->part.row = row;
		error = image_is(e, i, row->old_bytes, row->old_sha256, &is_old);
		/* New counts only while all before are new too. */
		if (!error && new_count == i)
			error = image_is(e, i, row->new_bytes, row->new_sha256, &is_new);
		if (error)
			return error;
		new_count += is_new;
		if (!is_old && wrong == count)
			wrong = i;
		if (wrong < count && new_count <= i)
			break;
		updater_worked(e, row->old_bytes);
	}
	*ret_new = new_count == count;
	if (*ret_new || wrong == count)
		return 0;
	e->part.row = &e->manifest->partitions[wrong];
	return updater_fail(e, DFOTA_WHERE_PARTITION, DFOTA_E_CONTENT);
}

/* ---- rehearsal ----------------------------------------------------------------------------- */

static int copies_rehearse(struct engine *e)
{
	struct dfota_delta_copy copy;
	int error;

	while (!(error = updater_partition_copy(e, &copy))) {
		while (copy.bytes > 0) {
			uint32_t n = (uint32_t)dfota_min64(copy.bytes, sizeof(e->io));

			error = updater_old_read(e, copy.old_offset, e->io, n);
			if (error)
				return error;
			copy.old_offset += n;
			copy.bytes -= n;
		}
	}
	return error == DFOTA_E_NOT_FOUND ? 0 : error;
}

static int step_rehearse(struct engine *e)
{
	struct partition *p = &e->part;
	bool direct = p->step.kind == DFOTA_STEP_DIRECT;
	int error = updater_stopped(e);

	if (!error)
		error = updater_source_prove(e);
	if (!error && p->step.kind == DFOTA_STEP_UNCHANGED)
		error = updater_target_prove(e);
	if (error || !updater_written(&p->step))
		return error;
	error = copies_rehearse(e);
	if (error)
		return error;
	if (direct)
		updater_partition_gone(e);
	error = updater_partition_decode(e);
	if (!error)
		error = updater_rest_prove(e);
	if (!direct)
		updater_partition_gone(e);
	return error;
}

static int partition_rehearse(struct engine *e, uint32_t index)
{
	int error = updater_partition_open(e, index);

	while (!error) {
		error = updater_partition_next(e);
		if (error == DFOTA_E_NOT_FOUND)
			return 0;
		if (!error)
			error = step_rehearse(e);
		if (!error)
			updater_worked(e, e->part.new_bytes * DECODE_WEIGHT);
	}
	/* The images are known to be right, so it is the package that contradicts itself. */
	if (error == DFOTA_E_CONTENT) {
		error = DFOTA_E_CORRUPT;
		e->report->where = DFOTA_WHERE_PACKAGE;
	}
	return error;
}

int updater_rehearse(struct engine *e)
{
	int error = 0;

	e->rehearsing = true;
	for (uint32_t i = 0; !error && i < e->manifest->partition_count; i++)
		error = partition_rehearse(e, i);
	e->rehearsing = false;
	return error;
}

/* ---- after a restart ------------------------------------------------------------------------ */

static bool is_done(const struct engine *e)
{
	const struct journal *journal = &e->journal;

	if (journal->phase == DFOTA_PHASE_INTENT || e->part.index > journal->partition)
		return false;
	if (e->part.index < journal->partition || e->part.step_index < journal->step)
		return true;
	return e->part.step_index == journal->step && journal->phase == DFOTA_PHASE_DONE;
}

static int step_resume_check(struct engine *e, bool *in_flight_seen)
{
	const struct dfota_delta_step *step = &e->part.step;

	if (step->kind == DFOTA_STEP_UNCHANGED || (updater_written(step) && is_done(e)))
		return updater_target_prove(e);
	/* The first written step that is not done may have been in flight: its result proves it. */
	if (updater_written(step) && !*in_flight_seen) {
		*in_flight_seen = true;
		if (!updater_step_untouched(e))
			return 0;
	}
	return updater_source_prove(e);
}

int updater_resume_check(struct engine *e)
{
	bool in_flight_seen = false;

	for (uint32_t i = 0; i < e->manifest->partition_count; i++) {
		int error = updater_partition_open(e, i);

		while (!error) {
			error = updater_partition_next(e);
			if (!error)
				error = step_resume_check(e, &in_flight_seen);
		}
		if (error != DFOTA_E_NOT_FOUND)
			return error;
	}
	return 0;
}
