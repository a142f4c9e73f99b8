/* SPDX-License-Identifier: MIT
 *
 * The first half of an upgrade: get the package into state/package.zip and set the flag. A worker's job.
 *
 * The upgrade owns its copy: what happens to the file in the store afterwards does no harm.
 */
#ifndef DFOTA_MODULE_FETCH_H
#define DFOTA_MODULE_FETCH_H

#include "bearer.h"
#include "dfota/transport.h"
#include "records.h"

#define FETCH_PACKAGE "state/package.zip"

struct fetch {
	const struct module_config *config;
	struct module_records *records;
	const struct bearer_ops *bearer_ops;
	struct bearer bearer;
	bool local;
	int file;             /* local: the package, open; fetch_run closes it */
	struct dfota_url url; /* otherwise */
	char source[DFOTA_FLAG_SOURCE_MAX + 1]; /* for the log and the flag: without password */
	uint64_t stall_timeout_s;
	bool (*stop)(void *context);
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
	/* result */
	int error;
	int code;        /* to be told instead of 601 or 701; 0 = none: fault-download */
	const char *why; /* static text, or NULL */
	uint64_t bytes;
};

/* On success the package and then the flag are durable. A cut or an error before leaves no flag; the part of a download is kept. */
void fetch_run(struct fetch *fetch);

/* Removes package and unfinished copies: when no flag is set. */
void fetch_clean(const struct module_config *config);

#endif
