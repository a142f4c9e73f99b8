/* SPDX-License-Identifier: MIT
 *
 * The journal: one record store whose value says how far which upgrade has come.
 *
 * Payload: format, phase, what the ring holds, a zero byte, partition, step, unit, manifest's
 * SHA-256, bytes of the version, version. Format 2 adds the maps of the partitions, in the
 * manifest's order, each after its 16-bit length; without any map a record is of format 1. Format 3
 * is that of records that tell of a recipe in the ring, with or without maps. The format also
 * stands for the layout of the area.
 */
#include "engine.h"

#define JOURNAL_TAG   0x4c4e524au /* "JRNL" */
#define FORMAT_PLAIN  1
#define FORMAT_MAPS   2
#define FORMAT_RECIPE 3
#define SHA256_AT     16
#define VERSION_AT    (SHA256_AT + DFOTA_SHA256_BYTES)
#define PAYLOAD_BYTES (VERSION_AT + 1 + DFOTA_VERSION_MAX)
#define LENGTH_BYTES  2u /* of a map */

_Static_assert(PAYLOAD_BYTES + UPDATER_MAPS_MAX <= DFOTA_RECORD_PAYLOAD_MAX, "maps fit a record");

static void payload_put(uint8_t p[PAYLOAD_BYTES], const struct journal *journal)
{
	size_t bytes = strnlen(journal->version, DFOTA_VERSION_MAX);

	memset(p, 0, PAYLOAD_BYTES);
	p[0] = journal->ring == UPDATER_RING_RAW ? FORMAT_PLAIN : FORMAT_RECIPE;
	p[1] = (uint8_t)journal->phase;
	p[2] = (uint8_t)journal->ring;
	dfota_put32(p + 4, journal->partition);
	dfota_put32(p + 8, journal->step);
	dfota_put32(p + 12, journal->unit);
	memcpy(p + SHA256_AT, journal->sha256, DFOTA_SHA256_BYTES);
	p[VERSION_AT] = (uint8_t)bytes;
	memcpy(p + VERSION_AT + 1, journal->version, bytes);
}

static int payload_get(const uint8_t *p, size_t bytes, struct journal *ret_journal)
{
	struct journal journal = { 0 };

	if (p[0] > FORMAT_RECIPE)
		return DFOTA_E_FORMAT;
	if (bytes < PAYLOAD_BYTES || p[0] < FORMAT_PLAIN ||
	    (p[0] != FORMAT_RECIPE && (bytes > PAYLOAD_BYTES) != (p[0] == FORMAT_MAPS)) ||
	    (p[0] == FORMAT_RECIPE) != (p[2] != UPDATER_RING_RAW) || p[2] >= UPDATER_RING_COUNT ||
	    p[1] == DFOTA_PHASE_NONE || p[1] >= DFOTA_PHASE_COUNT ||
	    p[VERSION_AT] > DFOTA_VERSION_MAX)
		return DFOTA_E_INTERNAL; /* its CRC was right */
	journal.phase = (enum dfota_updater_phase)p[1];
	journal.ring = (enum updater_ring)p[2];
	journal.partition = dfota_get32(p + 4);
	journal.step = dfota_get32(p + 8);
	journal.unit = dfota_get32(p + 12);
	memcpy(journal.sha256, p + SHA256_AT, DFOTA_SHA256_BYTES);
	memcpy(journal.version, p + VERSION_AT + 1, p[VERSION_AT]);
	*ret_journal = journal;
	return 0;
}

static int journal_load(struct dfota_record_store *store, struct dfota_flash *area,
			struct journal *ret_journal)
{
	const uint8_t *payload;
	size_t bytes;
	int error = dfota_record_store_open(store, area, 0, JOURNAL_TAG);

	if (error)
		return error;
	payload = dfota_record_get(store, &bytes);
	if (!payload) {
		*ret_journal = (struct journal){ .phase = DFOTA_PHASE_NONE };
		return 0;
	}
	return payload_get(payload, bytes, ret_journal);
}

int updater_journal_open(struct engine *e)
{
	return updater_fail(e, DFOTA_WHERE_JOURNAL,
			    journal_load(&e->store, e->config->area, &e->journal));
}

/* ---- maps --------------------------------------------------------------------------------- */

int updater_maps_take(struct engine *e)
{
	uint32_t count = e->manifest->partition_count;
	size_t at = 0;
	bool any = false;

	for (uint32_t i = 0; i < count; i++) {
		uint8_t map[DFOTA_FLASH_MAP_MAX];
		size_t bytes;
		int error = dfota_flash_map_get(e->flashes[i], map, &bytes);

		if (!error && bytes > UPDATER_MAPS_MAX - LENGTH_BYTES * (count - i) - at)
			error = DFOTA_E_SPACE;
		if (error)
			return updater_fail(e, DFOTA_WHERE_JOURNAL, error);
		dfota_put16(e->maps + at, (uint16_t)bytes);
		memcpy(e->maps + at + LENGTH_BYTES, map, bytes);
		at += LENGTH_BYTES + bytes;
		any = any || bytes > 0;
	}
	e->maps_bytes = any ? at : 0;
	return 0;
}

/* What a record of format 1 says of a partition: that it has no map. */
int updater_maps_give(struct engine *e)
{
	uint32_t count = e->manifest->partition_count;
	size_t payload_bytes, at = PAYLOAD_BYTES;
	const uint8_t *payload = dfota_record_get(&e->store, &payload_bytes);
	bool plain = payload_bytes == PAYLOAD_BYTES;

	for (uint32_t i = 0; i < count; i++) {
		size_t bytes = 0;
		int error = 0;

		if (!plain && !dfota_inside(at, LENGTH_BYTES, payload_bytes))
			return updater_fail(e, DFOTA_WHERE_JOURNAL, DFOTA_E_INTERNAL);
		if (!plain) {
			bytes = dfota_get16(payload + at);
			at += LENGTH_BYTES;
		}
		if (!dfota_inside(at, bytes, payload_bytes))
			return updater_fail(e, DFOTA_WHERE_JOURNAL, DFOTA_E_INTERNAL);
		error = dfota_flash_map_set(e->flashes[i], payload + at, bytes);
		if (error)
			return updater_fail(e, DFOTA_WHERE_JOURNAL, error);
		at += bytes;
	}
	e->maps_bytes = payload_bytes - PAYLOAD_BYTES;
	if (at != payload_bytes || e->maps_bytes > sizeof(e->maps))
		return updater_fail(e, DFOTA_WHERE_JOURNAL, DFOTA_E_INTERNAL);
	memcpy(e->maps, payload + PAYLOAD_BYTES, e->maps_bytes);
	return 0;
}

/* ---- writing ------------------------------------------------------------------------------- */

bool updater_journal_mine(const struct engine *e)
{
	return e->journal.phase != DFOTA_PHASE_NONE &&
	       memcmp(e->journal.sha256, e->manifest->sha256, DFOTA_SHA256_BYTES) == 0;
}

static bool may_follow(const struct engine *e, enum dfota_updater_phase phase)
{
	enum dfota_updater_phase before =
	    updater_journal_mine(e) ? e->journal.phase : DFOTA_PHASE_NONE;

	return dfota_updater_phase(phase)->after & (1u << before);
}

int updater_journal_put(struct engine *e, enum dfota_updater_phase phase, uint32_t unit)
{
	struct journal journal = {
		.phase = phase,
		.partition = e->part.index,
		.step = e->part.step_index,
		.unit = unit,
	};
	uint8_t payload[PAYLOAD_BYTES + UPDATER_MAPS_MAX];
	int error;

	if (phase == DFOTA_PHASE_PREPARED || phase == DFOTA_PHASE_UNIT)
		journal.ring = e->part.ring;
	if (!may_follow(e, phase) &&
	    !ANY_MUTANT) /* a rule that is left out must be missed by its effect */
		return updater_fail(e, DFOTA_WHERE_JOURNAL, DFOTA_E_INTERNAL);
	memcpy(journal.sha256, e->manifest->sha256, DFOTA_SHA256_BYTES);
	memcpy(journal.version, e->manifest->to, sizeof(journal.version));
	payload_put(payload, &journal);
	if (e->maps_bytes > 0) {
		if (payload[0] == FORMAT_PLAIN)
			payload[0] = FORMAT_MAPS;
		memcpy(payload + PAYLOAD_BYTES, e->maps, e->maps_bytes);
	}
	e->report->writes++;
	error = dfota_record_put(&e->store, payload, PAYLOAD_BYTES + e->maps_bytes);
	if (error)
		return updater_fail(e, DFOTA_WHERE_JOURNAL, error);
	e->journal = journal;
	return 0;
}

int updater_journal_end(struct engine *e, enum dfota_updater_phase phase)
{
	int error;

	if (updater_journal_mine(e) && e->journal.phase == phase &&
	    (e->journal.unit == 1 || MUTANT(END_ONCE)))
		return 0;
	/* One that was found after a restart may be the one that was in flight. */
	error = updater_journal_put(e, phase, 0);
	return error || MUTANT(END_ONCE) ? error : updater_journal_put(e, phase, 1);
}

int dfota_updater_status(struct dfota_flash *area, struct dfota_updater_status *ret_status)
{
	struct dfota_record_store store;
	struct journal journal;
	int error = journal_load(&store, area, &journal);

	if (error)
		return error;
	*ret_status = (struct dfota_updater_status){
		.phase = journal.phase,
		.partition = journal.partition,
		.step = journal.step,
		.unit = journal.unit,
	};
	memcpy(ret_status->package_sha256, journal.sha256, sizeof(journal.sha256));
	memcpy(ret_status->version, journal.version, sizeof(journal.version));
	return 0;
}
