/* SPDX-License-Identifier: MIT
 *
 * The module's storage as the updater sees it: its partitions, the area, the trusted keys, and the package.
 */
#ifndef DFOTA_MODULE_BOARD_H
#define DFOTA_MODULE_BOARD_H

#include "config.h"
#include "fault.h"
#include "records.h"

/* What opening found out; the upgrade's report is made of it. */
struct board {
	struct dfota_storage storages[DFOTA_PARTITIONS_MAX], area;
	struct fault_flash faults[DFOTA_PARTITIONS_MAX];
	struct dfota_updater_partition partitions[DFOTA_PARTITIONS_MAX];
	char names[DFOTA_PARTITIONS_MAX][DFOTA_PARTITION_NAME_MAX + 1];
	uint32_t partition_count;
	struct dfota_trust *trust;
	struct dfota_package *package;
	void *memory;
	uint64_t memory_bytes;
};

/* Call before the others; board_close is then due whatever they return. */
void board_init(struct board *board);
void board_close(struct board *board);

/* Partitions for writing, by name: those that module.ini places, and flash/<name>.img for all others. `ret_what` gets the name of
 * the one concerned or ""; what is wrong is logged.
 */
int board_open_partitions(struct board *board, const struct module_config *config,
			  char ret_what[DFOTA_PARTITION_NAME_MAX + 1]) DFOTA_MUST_CHECK;
int board_open_area(struct board *board, const struct module_config *config) DFOTA_MUST_CHECK;

/* Trusted keys and package; DFOTA_E_TOO_LARGE is told before a byte of it is read. Then the work memory for it. */
int board_open_package(struct board *board, const struct module_config *config,
		       const char *path) DFOTA_MUST_CHECK;

/* Whether flash may be a mixture of old and new, by the journal alone; `status` is that of the area. */
int board_status(struct board *board, struct dfota_updater_status *ret_status) DFOTA_MUST_CHECK;

#endif
