/* SPDX-License-Identifier: MIT
 *
 * The second half of an upgrade: one attempt of the updater, and what becomes of it. A worker's job.
 */
#ifndef DFOTA_MODULE_UPGRADE_H
#define DFOTA_MODULE_UPGRADE_H

#include "config.h"
#include "records.h"

struct upgrade {
	const struct module_config *config;
	struct module_records *records;
	bool (*stop)(void *context);
	void (*percent)(void *context, int percent);
	void *context;
	/* result */
	struct dfota_updater_report report;
	enum dfota_verdict verdict;
	int code;          /* for END */
	bool whole;        /* flash is all old or all new */
	bool unrecorded;   /* the result could not be made durable: no reboot, it would go on for ever */
};

/* Makes durable: DONE the version record; RETRY the count of failures. The flag stays set in every case. */
void upgrade_run(struct upgrade *upgrade);

/* Deletes the flag; then, and only then, the end may be told. */
int upgrade_flag_delete(struct module_records *records) DFOTA_MUST_CHECK;

/* Text for the log. */
const char *upgrade_verdict_name(enum dfota_verdict verdict);

#endif
