/* SPDX-License-Identifier: MIT
 *
 * A firmware folder as the updater sees it: its partitions, an area beside them, a package.
 *
 * Upgrade state lives in DIR/.dfota/ (lock, area). A folder opened for looking cannot be written at
 * all: its flash answers every write with an error.
 */
#ifndef DFOTA_CLI_SITE_H
#define DFOTA_CLI_SITE_H

#include "dfota/flash.h"
#include "dfota/package.h"
#include "dfota/pkgbuild.h"
#include "dfota/updater.h"

/* Limits that a device would have; 0 = none. */
struct site_limits {
	uint64_t memory, area, package;
};

/* Flash that only looks: reads go through, writes fail, room is judged by the file system's free
 * space. */
struct site_dry {
	struct dfota_flash flash;
	struct dfota_flash *under; /* NULL: an area that is not there yet, empty */
	uint64_t limit;		   /* bytes it may grow to; UINT64_MAX = none */
};

struct site {
	struct dfota_firmware firmware;
	struct dfota_trust *trust;
	struct dfota_package *package;
	struct dfota_updater_config config;
	struct dfota_updater_report report;
	void *memory;
	uint64_t memory_bytes;
	/* private */
	bool writable;
	int folder, lock;
	struct dfota_flash_file files[DFOTA_PARTITIONS_MAX], area_file;
	struct site_dry dry[DFOTA_PARTITIONS_MAX], dry_area;
	struct dfota_updater_partition partitions[DFOTA_PARTITIONS_MAX];
	const char *what; /* static text: more about an error, or NULL */
};

/* Opens package and folder. `trust_path` NULL: signature unchecked, for the builder's own rehearsal
 * only. `site` may be uninitialised; site_close is due after success and after failure. Errors: as
 * of the rooms used; DFOTA_E_BUSY when another process upgrades the folder; DFOTA_E_TOO_LARGE.
 */
int site_open(struct site *site, const char *package, const char *folder, const char *trust_path,
	      const struct site_limits *limits, bool writable) DFOTA_MUST_CHECK;

/* Ends an upgrade that has succeeded: firmware.ini tells the new version, the state is removed. A
 * power cut before it returns is healed by running the upgrade again.
 */
int site_commit(struct site *site, const char *folder) DFOTA_MUST_CHECK;
void site_close(struct site *site);

/* Prints the outcome: for people a sentence on stderr, with json a line on stdout. Returns the exit
 * code. */
int site_report(const char *command, const struct site *site, int error, bool json,
		const char *untouched);

#endif
