/* SPDX-License-Identifier: MIT
 *
 * Flash that fails on order: a wrapper around a partition's operations, for tests (module.ini: fault-...).
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

/* Returns the flash to use for `partition`: `under` itself when no fault concerns it. */
struct dfota_flash *fault_wrap(struct fault_flash *fault, struct dfota_flash *under,
			       const struct module_config *config, const char *partition);

#endif
