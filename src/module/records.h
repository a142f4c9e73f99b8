/* SPDX-License-Identifier: MIT
 *
 * The module's durable state: version record and upgrade flag, each a record store in a file of state/.
 *
 * Not locked: the loop thread uses it while no job runs, the job's thread while one does.
 */
#ifndef DFOTA_MODULE_RECORDS_H
#define DFOTA_MODULE_RECORDS_H

#include "dfota/package.h"
#include "dfota/record.h"
#include "dfota/updater.h"

/* One value in a file. */
struct module_record {
	struct dfota_flash_file file;
	struct dfota_record_store store;
};

/* Opens or creates; writes the newest record once more, as is due after a restart. */
int module_record_open(struct module_record *record, const char *path, uint32_t tag) DFOTA_MUST_CHECK;
void module_record_close(struct module_record *record); /* accepts one whose file.fd is -1 */

/* What runs, and which package led to it. */
struct module_state {
	char project[DFOTA_VERSION_MAX + 1];
	char version[DFOTA_VERSION_MAX + 1];
	uint64_t upgrades; /* completed */
	/* Package of the upgrade that was completed last; zero from the next request on. Tells the end of an upgrade that
	 * a power cut hid from the host apart from a request for a package that is installed already.
	 */
	uint8_t done_sha256[DFOTA_SHA256_BYTES];
};

struct module_records {
	struct module_record version, flag;
	struct module_state state;
};

/* `project` and `version` hold where no version record is there. */
int module_records_open(struct module_records *records, const char *state_folder,
			const char *project, const char *version) DFOTA_MUST_CHECK;
void module_records_close(struct module_records *records);

/* Writes records->state. Durable when it returns 0. */
int module_records_save(struct module_records *records) DFOTA_MUST_CHECK;

#endif
