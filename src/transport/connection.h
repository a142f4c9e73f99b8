/* SPDX-License-Identifier: MIT
 *
 * Private to transport: one try to fetch the file, or what is missing of it, over libcurl.
 */
#ifndef DFOTA_TRANSPORT_CONNECTION_H
#define DFOTA_TRANSPORT_CONNECTION_H

#include "part.h"

enum connection_end {
	CONNECTION_OPEN,    /* not ended */
	CONNECTION_DONE,    /* the part is the whole file */
	CONNECTION_DROPPED, /* try again, behind what came */
	CONNECTION_STALE,   /* try again, from the beginning: the part was given up */
	CONNECTION_FAILED,  /* trying again does not help: `error` */
};

struct connection {
	enum connection_end end;
	int error;	 /* CONNECTION_FAILED: DFOTA_E_* */
	const char *why; /* static text; for all but CONNECTION_DONE */
	bool brought;	 /* at least one byte came */
	bool lost;	 /* and it, or the server, made earlier bytes useless */
};

/* Blocks until the connection has ended; asks download->stop at least every 200 ms. */
void connection_run(const struct dfota_download *download, struct part *part,
		    struct connection *ret_connection);

/* Milliseconds of the monotonic clock. */
uint64_t connection_clock(void);

#endif
