/* SPDX-License-Identifier: MIT
 *
 * The wire log: every byte of a port with its time, as text. docs/wire-log.md describes the format.
 */
#ifndef DFOTA_CLI_WIRELOG_H
#define DFOTA_CLI_WIRELOG_H

#include <stdio.h>

#include "dfota/host.h"

#define WIRELOG_HEAD	   "# dfota wire log 1"
#define WIRELOG_SECRET_MAX 512 /* bytes: as much as a line to the module holds */
#define WIRELOG_SECRETS	   8
#define WIRELOG_HIDDEN	   "***"

/* Bytes of one direction that may be the beginning of a secret. */
struct wirelog_held {
	char bytes[WIRELOG_SECRET_MAX];
	size_t count;
};

struct wirelog {
	FILE *file;
	uint64_t start_us;
	char secrets[WIRELOG_SECRETS][WIRELOG_SECRET_MAX + 1]; /* are never written */
	size_t secret_count;
	struct wirelog_held held[2];	     /* from the host, from the module */
	struct dfota_host_tap tap;	     /* for the port */
	bool full;			     /* writing has failed; the rest is dropped */
};

/* Creates `path` (mode 0600; a file that is there is replaced). False with errno when it cannot be made. `log` must not move. */
bool wirelog_open(struct wirelog *log, const char *path);

/* Passwords of URLs in `text` (NULL allowed) are never written. False with errno when there are too many of them. */
bool wirelog_hide(struct wirelog *log, const char *text);

/* False when something could not be written. NULL file allowed. */
bool wirelog_close(struct wirelog *log);

#endif
