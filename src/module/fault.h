/* SPDX-License-Identifier: MIT
 *
 * Failures on order (module.ini: fault-...): flash that fails, by a wrapper around a partition's operations; and the count that all
 * kinds of faults share.
 *
 * How often a fault has struck over all boots is the size of a file in state/, so that restarts count on.
 */
#ifndef DFOTA_MODULE_FAULT_H
#define DFOTA_MODULE_FAULT_H

#include "config.h"
#include "dfota/flash.h"

enum fault_kind { FAULT_READ, FAULT_WRITE, FAULT_FLUSH, FAULT_RESIZE, FAULT_KIND_COUNT };

struct fault_flash {
	struct dfota_flash flash; /* what users get */
	struct dfota_flash *under;
	const struct module_config *config;
	const struct module_fault *faults[FAULT_KIND_COUNT]; /* NULL: none of this kind */
	uint32_t done[FAULT_KIND_COUNT];                     /* operations of this boot */
};

/* True, and counted as state/fault-<name>, while that fault has not yet struck `count` times over all boots. From any thread, one
 * at a time for each name.
 */
bool fault_strike(const struct module_config *config, const char *name, uint32_t count);

/* Returns the flash to use for `partition`: `under` itself when no fault concerns it. */
struct dfota_flash *fault_wrap(struct fault_flash *fault, struct dfota_flash *under,
			       const struct module_config *config, const char *partition);

#endif
