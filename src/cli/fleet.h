/* SPDX-License-Identifier: MIT
 *
 * The same upgrade of many modules at a time, a thread each, some at once.
 */
#ifndef DFOTA_CLI_FLEET_H
#define DFOTA_CLI_FLEET_H

#include "choose.h"

#include "dfota/host.h"

#define FLEET_JOBS     16 /* at once, unless told otherwise */
#define FLEET_JOBS_MAX 64

struct fleet_options {
	const char *command;	      /* its name, for messages */
	struct dfota_upgrade upgrade; /* all but port, event, context and stop */
	unsigned int jobs;
	bool json;
	bool (*stopped)(void);
};

/* Upgrades them all; shows a table with a line each where stderr is a terminal that it fits on,
 * else a line per event; then a summary. Returns the exit code: 0 when all succeeded, else the
 * first of 2, 3, 1 and 4 that one of them ended with.
 */
int fleet_run(const struct fleet_options *options, const struct chosen *modules, size_t count);

#endif
