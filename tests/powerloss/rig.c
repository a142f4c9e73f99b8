/* SPDX-License-Identifier: MIT
 *
 * The simulated device: four media, traced operations, boots with memory full of garbage.
 */
#include "rig.h"

#include "../../src/updater/engine.h"

#include <stdio.h>
#include <stdlib.h>

#define AREA_BLOCK	4096u
#define RECORD_PHASE_AT 25u /* in a journal's page: src/updater/record.c and journal.c */

const char *const site_names[SITE_COUNT] = {
	[SITE_AREA_RESIZE] = "area-resize",
	[SITE_AREA_FLUSH] = "area-flush",
	[SITE_INTENT] = "intent",
	[SITE_STASHED] = "stashed",
	[SITE_PREPARED] = "prepared",
	[SITE_UNIT] = "unit",
	[SITE_DONE] = "done",
	[SITE_VERIFIED] = "verified",
	[SITE_COMMIT] = "commit",
	[SITE_ABANDONED] = "abandoned",
	[SITE_REFRESH] = "refresh",
	[SITE_AREA_ERASE] = "area-erase",
	[SITE_RING] = "ring",
	[SITE_STASH] = "stash",
	[SITE_UNIT_WRITE] = "unit-write",
	[SITE_UNIT_ERASE] = "unit-erase",
	[SITE_UNIT_FLUSH] = "unit-flush",
	[SITE_GROW] = "grow",
	[SITE_SHRINK] = "shrink",
};

static enum site record_site(struct rig *rig, const uint8_t *page)
{
	static const enum site sites[DFOTA_PHASE_COUNT] = {
		[DFOTA_PHASE_NONE] = SITE_COUNT,	  [DFOTA_PHASE_INTENT] = SITE_INTENT,
		[DFOTA_PHASE_STASHED] = SITE_STASHED,	  [DFOTA_PHASE_PREPARED] = SITE_PREPARED,
		[DFOTA_PHASE_UNIT] = SITE_UNIT,		  [DFOTA_PHASE_DONE] = SITE_DONE,
		[DFOTA_PHASE_VERIFIED] = SITE_VERIFIED,	  [DFOTA_PHASE_COMMIT] = SITE_COMMIT,
		[DFOTA_PHASE_ABANDONED] = SITE_ABANDONED,
	};

	/* An upgrade that goes on writes the record that stands first. */
	if (rig->records++ == 0 && rig->report.started)
		return SITE_REFRESH;
	return sites[page[RECORD_PHASE_AT] % DFOTA_PHASE_COUNT];
}

static enum site site_of(struct rig *rig, const struct sim_flash *flash, enum sim_op op,
			 uint64_t offset, const void *data, uint64_t bytes)
{
	bool area = flash == &rig->area;

	if (op == SIM_FLUSH)
		return area ? SITE_AREA_FLUSH : SITE_UNIT_FLUSH;
	if (op == SIM_RESIZE && area)
		return SITE_AREA_RESIZE;
	if (op == SIM_RESIZE)
		return bytes > flash->flash.geometry.size_bytes ? SITE_GROW : SITE_SHRINK;
	if (op == SIM_ERASE)
		return area ? SITE_AREA_ERASE : SITE_UNIT_ERASE;
	if (!area)
		return SITE_UNIT_WRITE;
	if (offset < rig->ring_at)
		return record_site(rig, data);
	return offset >= rig->stash_at ? SITE_STASH : SITE_RING;
}

static void on_operation(void *context, const struct sim_flash *flash, enum sim_op op,
			 uint64_t offset, const void *data, uint64_t bytes, uint32_t open)
{
	struct rig *rig = context;
	enum site site = site_of(rig, flash, op, offset, data, bytes);

	MUST(site < SITE_COUNT);
	if (rig->trace_count == rig->trace_room) {
		rig->trace_room = rig->trace_room * 2 + 64;
		rig->trace = realloc(rig->trace, rig->trace_room * sizeof(*rig->trace));
		MUST(rig->trace);
	}
	rig->trace[rig->trace_count++] = (struct operation){ op, site, bytes, open };
}

static void on_event(void *context, enum dfota_updater_event event, int64_t a, int64_t b)
{
	struct rig *rig = context;

	(void)b;
	if (event != DFOTA_EVENT_PERCENT)
		return;
	if (a < rig->percent || a > 100)
		rig->percent_fell = true;
	rig->percent = (int)a;
}

/* ---- the device ------------------------------------------------------------------------------ */

static struct dfota_flash_geometry geometry_of(enum shape_medium medium, uint32_t erase_bytes,
					       uint64_t size_bytes)
{
	struct dfota_flash_geometry geometry = { .write_bytes = 512, .erase_bytes = 512 };

	if (medium == MEDIUM_FILE) {
		geometry.write_bytes = geometry.erase_bytes = 1;
		geometry.flags = DFOTA_FLASH_RESIZABLE;
	} else if (medium == MEDIUM_NAND) {
		geometry.erase_bytes = erase_bytes;
		geometry.erased_value = 0xff;
		geometry.flags = DFOTA_FLASH_NEEDS_ERASE;
	} else if (medium == MEDIUM_UBI) {
		geometry.erase_bytes = erase_bytes;
		geometry.erased_value = 0xff;
		geometry.flags = DFOTA_FLASH_ATOMIC_BLOCK;
	}
	geometry.size_bytes = medium == MEDIUM_FILE ? 0 : size_bytes;
	return geometry;
}

static void flash_init(struct rig *rig, struct sim_flash *flash, const char *name,
		       uint32_t erase_bytes, uint64_t bytes)
{
	struct dfota_flash_geometry geometry =
	    geometry_of(rig->upgrade->medium, erase_bytes, bytes);

	sim_flash_init(flash, &rig->power, name, &geometry, bytes);
}

static void area_init(struct rig *rig)
{
	uint32_t block = rig->upgrade->shape->area_block ? rig->upgrade->shape->area_block : AREA_BLOCK;
	struct dfota_flash_geometry geometry = geometry_of(rig->upgrade->medium, block, 0);
	struct layout layout;

	MUST(updater_layout(rig->package, &geometry, rig->memory, rig->memory_bytes, &layout) == 0);
	MUST(layout.bytes == dfota_updater_area(rig->package, &geometry, rig->memory, rig->memory_bytes));
	rig->ring_at = layout.ring_at;
	rig->stash_at = layout.stash_at;
	flash_init(rig, &rig->area, "area", block, layout.bytes);
}

static void partition_init(struct rig *rig, uint32_t i)
{
	const struct upgrade *u = rig->upgrade;
	uint64_t unit = u->shape->unit_bytes, bytes = unit;

	/* As large as the larger image, in whole units. */
	if (bytes < u->partitions[i].old_bytes)
		bytes = dfota_ceil_div64(u->partitions[i].old_bytes, unit) * unit;
	if (bytes < u->partitions[i].new_bytes)
		bytes = dfota_ceil_div64(u->partitions[i].new_bytes, unit) * unit;
	flash_init(rig, &rig->flashes[i], u->partitions[i].name, u->shape->unit_bytes, bytes);
	rig->rows[i] =
	    (struct dfota_updater_partition){ u->partitions[i].name, &rig->flashes[i].flash };
}

void rig_init(struct rig *rig, const struct upgrade *upgrade, const char *folder)
{
	char key[128];

	*rig = (struct rig){ .upgrade = upgrade, .garbage = 1 };
	(void)snprintf(key, sizeof(key), "%s/k.pub", folder);
	MUST(dfota_trust_open(&rig->trust, key) == 0);
	sim_power_init(&rig->power, 1);
	rig->power.watch = on_operation;
	rig->power.watch_context = rig;
	rig_reopen(rig, upgrade->path);
	rig->memory_bytes = dfota_updater_memory(rig->package);
	rig->memory = malloc(rig->memory_bytes);
	MUST(rig->memory && rig->memory_bytes);
	area_init(rig);
	for (uint32_t i = 0; i < upgrade->count; i++)
		partition_init(rig, i);
	rig->config = (struct dfota_updater_config){
		.partitions = rig->rows,
		.partition_count = upgrade->count,
		.area = &rig->area.flash,
		.package = rig->package,
		.project = "P1",
		.version = "v1",
		.hooks = { .event = on_event, .context = rig },
	};
	rig_reset(rig);
}

void rig_free(struct rig *rig)
{
	for (uint32_t i = 0; i < rig->upgrade->count; i++)
		sim_flash_free(&rig->flashes[i]);
	sim_flash_free(&rig->area);
	dfota_package_close(rig->package);
	dfota_trust_close(rig->trust);
	free(rig->trace);
	free(rig->memory);
}

void rig_reopen(struct rig *rig, const char *path)
{
	dfota_package_close(rig->package);
	rig->package = NULL;
	MUST(dfota_package_open(&rig->package, path, rig->trust) == 0);
	rig->config.package = rig->package;
}

void rig_power(struct rig *rig)
{
	sim_boot(&rig->power);
	rig->power.cut_at = 0;
	rig->power.ends = 0;
}

void rig_reset(struct rig *rig)
{
	sim_flash_load(&rig->area, NULL, 0);
	for (uint32_t i = 0; i < rig->upgrade->count; i++)
		sim_flash_load(&rig->flashes[i], rig->upgrade->partitions[i].old_image,
			       rig->upgrade->partitions[i].old_bytes);
	rig->power.off = true; /* nothing to decide */
	rig_power(rig);
}

void rig_copy(struct rig *to, const struct rig *from)
{
	sim_flash_copy(&to->area, &from->area);
	for (uint32_t i = 0; i < from->upgrade->count; i++)
		sim_flash_copy(&to->flashes[i], &from->flashes[i]);
	to->power.off = true;
	rig_power(to);
}

void rig_cut(struct rig *rig, const struct cut *cut)
{
	rig->power.cut_at = cut->at;
	rig->power.outcome = cut->outcome;
	rig->power.tear = cut->tear;
	rig->power.ends = cut->ends;
	rig->power.seed = cut->seed;
}

static void garbage_fill(struct rig *rig)
{
	uint64_t word = sim_random(&rig->garbage);

	for (uint64_t at = 0; at < rig->memory_bytes; at += sizeof(word), word = word * 5 + 1)
		memcpy(rig->memory + at, &word,
		       (size_t)dfota_min64(sizeof(word), rig->memory_bytes - at));
}

static void call_prepare(struct rig *rig)
{
	garbage_fill(rig);
	memset(&rig->report, 0xa5, sizeof(rig->report));
	rig->trace_count = 0;
	rig->records = 0;
	rig->percent = 0;
}

int rig_boot(struct rig *rig)
{
	int error;

	call_prepare(rig);
	error = dfota_updater_run(&rig->config, rig->memory, rig->memory_bytes, &rig->report);
	MUST(rig->report.error == error);
	return error;
}

int rig_check(struct rig *rig)
{
	call_prepare(rig);
	return dfota_updater_check(&rig->config, rig->memory, rig->memory_bytes, &rig->report);
}

/* ---- what is there ----------------------------------------------------------------------------
 */

static const char *image_wrong(const struct rig *rig, bool is_new)
{
	for (uint32_t i = 0; i < rig->upgrade->count; i++) {
		const struct sim_flash *flash = &rig->flashes[i];
		uint64_t bytes = is_new ? rig->upgrade->partitions[i].new_bytes
					: rig->upgrade->partitions[i].old_bytes;
		const uint8_t *image = is_new ? rig->upgrade->partitions[i].new_image
					      : rig->upgrade->partitions[i].old_image;

		if (memcmp(sim_flash_view(flash), image, bytes) != 0)
			return "a partition holds other bytes";
		if ((flash->flash.geometry.flags & DFOTA_FLASH_RESIZABLE) &&
		    flash->flash.geometry.size_bytes != bytes)
			return "a partition has another size";
	}
	return NULL;
}

const char *rig_new_wrong(const struct rig *rig)
{
	return image_wrong(rig, true);
}

const char *rig_old_wrong(const struct rig *rig)
{
	return image_wrong(rig, false);
}

enum dfota_updater_phase rig_phase(struct rig *rig)
{
	struct dfota_updater_status status;

	if (dfota_updater_status(&rig->area.flash, &status))
		return DFOTA_PHASE_COUNT;
	return status.phase;
}

const char *rig_end_wrong(struct rig *rig)
{
	const char *wrong = rig_new_wrong(rig);
	/* A COMMIT that was found may have been in flight: it may have to be written once more. */
	bool found = rig->trace_count == 0;

	if (wrong)
		return wrong;
	if (rig->percent_fell || rig->percent != 100)
		return "percent fell or did not end at 100";
	/* What no flush has covered is lost now. */
	rig->power.ends = 1;
	rig_power(rig);
	wrong = rig_new_wrong(rig);
	if (wrong)
		return "success was told before it was durable";
	if (rig_phase(rig) != DFOTA_PHASE_COMMIT)
		return "the journal does not say COMMIT";
	if (found) {
		if (rig_boot(rig))
			return "another run fails";
		rig_power(rig);
	}
	if (rig_boot(rig))
		return "another run fails";
	if (rig->power.operations || rig->report.writes)
		return "another run writes";
	return NULL;
}

static uint64_t mix(uint64_t state, const uint8_t *bytes, uint64_t count)
{
	uint64_t word;

	for (; count >= sizeof(word); count -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		state = (state ^ word) * 0x9fb21c651e98df25u;
		state ^= state >> 32;
	}
	return state;
}

uint64_t rig_state(const struct rig *rig)
{
	uint64_t state = rig->area.durable_bytes;

	state = mix(state, rig->area.medium, rig->area.capacity);
	for (uint32_t i = 0; i < rig->upgrade->count; i++) {
		const struct sim_flash *flash = &rig->flashes[i];

		state = mix(state ^ flash->durable_bytes, flash->medium, flash->capacity);
	}
	return state;
}
