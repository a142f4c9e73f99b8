/* SPDX-License-Identifier: MIT
 *
 * Version record: magic-free payload of fixed layout inside a record store, which has CRC and tag.
 */
#include "records.h"

#include <limits.h>
#include <stdio.h>

#define VERSION_TAG   0x53524556u /* "VERS" */
#define NAME_BYTES    (DFOTA_VERSION_MAX + 1)
#define AT_PROJECT    4u
#define AT_VERSION    (AT_PROJECT + NAME_BYTES)
#define AT_UPGRADES   (AT_VERSION + NAME_BYTES)
#define AT_DONE       (AT_UPGRADES + 8u)
#define PAYLOAD_BYTES (AT_DONE + DFOTA_SHA256_BYTES)
#define LAYOUT        1u

int module_record_open(struct module_record *record, const char *path, uint32_t tag)
{
	struct dfota_flash *flash = &record->file.flash;
	uint64_t bytes;
	int error = dfota_flash_file_create(&record->file, path);

	if (error) {
		record->file.fd = -1;
		return error;
	}
	bytes = dfota_record_store_bytes(flash);
	if (flash->geometry.size_bytes < bytes) {
		/* No hole: the flag can be deleted and a failure counted on a full disk too. */
		error = dfota_flash_reserve(flash, bytes);
		if (!error)
			error = dfota_flash_resize(flash, bytes);
		if (!error)
			error = dfota_flash_flush(flash);
	}
	if (!error)
		error = dfota_record_store_open(&record->store, flash, 0, tag);
	if (!error)
		error = dfota_record_refresh(&record->store);
	return error;
}

void module_record_close(struct module_record *record)
{
	dfota_flash_file_close(&record->file);
}

static bool name_get(char *to, const uint8_t *from)
{
	if (!memchr(from, 0, NAME_BYTES) || !*from)
		return false;
	memcpy(to, from, NAME_BYTES);
	return true;
}

static bool state_get(const struct dfota_record_store *store, struct module_state *ret_state)
{
	struct module_state state = { .upgrades = 0 };
	size_t bytes;
	const uint8_t *p = dfota_record_get(store, &bytes);

	if (!p || bytes != PAYLOAD_BYTES || dfota_get32(p) != LAYOUT ||
	    !name_get(state.project, p + AT_PROJECT) || !name_get(state.version, p + AT_VERSION))
		return false;
	state.upgrades = dfota_get64(p + AT_UPGRADES);
	memcpy(state.done_sha256, p + AT_DONE, DFOTA_SHA256_BYTES);
	*ret_state = state;
	return true;
}

int module_records_save(struct module_records *records)
{
	const struct module_state *state = &records->state;
	uint8_t payload[PAYLOAD_BYTES] = { 0 };

	dfota_put32(payload, LAYOUT);
	memcpy(payload + AT_PROJECT, state->project, strlen(state->project));
	memcpy(payload + AT_VERSION, state->version, strlen(state->version));
	dfota_put64(payload + AT_UPGRADES, state->upgrades);
	memcpy(payload + AT_DONE, state->done_sha256, DFOTA_SHA256_BYTES);
	return dfota_record_put(&records->version.store, payload, sizeof(payload));
}

int module_records_open(struct module_records *records, const char *state_folder,
			const char *project, const char *version)
{
	char path[PATH_MAX];
	int error = DFOTA_E_ARGUMENT;

	memset(records, 0, sizeof(*records));
	records->version.file.fd = records->flag.file.fd = -1;
	if (snprintf(path, sizeof(path), "%s/version", state_folder) < (int)sizeof(path))
		error = module_record_open(&records->version, path, VERSION_TAG);
	if (error)
		return error;
	if (snprintf(path, sizeof(path), "%s/flag", state_folder) >= (int)sizeof(path))
		return DFOTA_E_ARGUMENT;
	error = module_record_open(&records->flag, path, DFOTA_FLAG_TAG);
	if (error)
		return error;
	if (!state_get(&records->version.store, &records->state)) {
		memset(&records->state, 0, sizeof(records->state));
		memcpy(records->state.project, project, strlen(project));
		memcpy(records->state.version, version, strlen(version));
	}
	return 0;
}

void module_records_close(struct module_records *records)
{
	module_record_close(&records->version);
	module_record_close(&records->flag);
}
