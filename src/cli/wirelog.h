/* SPDX-License-Identifier: MIT
 *
 * The wire log: every byte of a port with its time, as text. docs/wire-log.md describes the format.
 */
#ifndef DFOTA_CLI_WIRELOG_H
#define DFOTA_CLI_WIRELOG_H

#include <stdio.h>

#include "dfota/host.h"

#define WIRELOG_HEAD	   "# dfota wire log 1"
#define WIRELOG_SECRET_MAX 128
#define WIRELOG_HIDDEN	   "***"

/* Bytes of one direction that may be the beginning of the secret. */
struct wirelog_held {
	char bytes[WIRELOG_SECRET_MAX];
	size_t count;
};

struct wirelog {
	FILE *file;
	uint64_t start_us;
	char secret[WIRELOG_SECRET_MAX + 1]; /* is never written; "" = there is none */
	struct wirelog_held held[2];	     /* from the host, from the module */
	struct dfota_host_tap tap;	     /* for the port */
	bool full;			     /* writing has failed; the rest is dropped */
};

/* Creates `path` (mode 0600; a file that is there is replaced). `url`: its password is never
 * written; may be NULL. False with errno when it cannot be made. `log` must not move.
 */
bool wirelog_open(struct wirelog *log, const char *path, const char *url);

/* False when something could not be written. NULL file allowed. */
bool wirelog_close(struct wirelog *log);

#endif
