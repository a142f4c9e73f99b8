/* SPDX-License-Identifier: MIT
 *
 * The data call of a download: an ops struct per kind, chosen by module.ini.
 *
 * claim and release run in the loop and never block; up and down run in the download's thread.
 */
#ifndef DFOTA_MODULE_BEARER_H
#define DFOTA_MODULE_BEARER_H

#include "config.h"
#include "contexts.h"

struct bearer {
	const struct module_config *config;
	struct contexts *contexts;
	bool (*stop)(void *context); /* ends a wait in up and down */
	void *stop_context;
};

/* Any of the operations may be NULL: nothing to do. */
struct bearer_ops {
	/* DFOTA_E_BUSY: not now, the host holds it; it is asked again when that may have changed. */
	int (*claim)(struct bearer *bearer);
	int (*up)(struct bearer *bearer);
	void (*down)(struct bearer *bearer);
	void (*release)(struct bearer *bearer);
};

const struct bearer_ops *bearer_choose(enum module_call call);

#endif
