/* SPDX-License-Identifier: MIT
 *
 * Files of the store that AT+QFOPEN keeps open: a few handles, each with its position. They end
 * with the boot.
 *
 * Functions return 0 or the CME code that the port answers. What was written is durable after
 * handles_flush or handles_close; a power cut before leaves a prefix, or an older state, of the
 * file.
 */
#ifndef DFOTA_MODULE_HANDLES_H
#define DFOTA_MODULE_HANDLES_H

#include "ufs.h"

#define HANDLES_MAX 10 /* open at a time; they are numbered from 1 */

enum handle_mode {
	HANDLE_KEEP,   /* made when missing, read and written */
	HANDLE_EMPTY,  /* made or emptied, read and written */
	HANDLE_READ,   /* must exist, read only */
	HANDLE_APPEND, /* made when missing, read, and written at its end */
	HANDLE_MODE_COUNT
};

enum handle_from { HANDLE_START, HANDLE_CURRENT, HANDLE_END, HANDLE_FROM_COUNT };

struct handle {
	int fd; /* -1 = free */
	enum handle_mode mode;
	uint64_t position;
	char name[UFS_NAME_MAX + 1];
};

struct handles {
	struct module_ufs *ufs;
	struct handle files[HANDLES_MAX];
	struct handle *transfer; /* whose data the port carries now */
	uint64_t start;		 /* its position at the beginning of that */
};

void handles_init(struct handles *handles, struct module_ufs *ufs);

/* Closes all without waiting for the disk. */
void handles_drop(struct handles *handles);

/* Opens `name` (from ufs_name) in `mode`; 426 when it is open already, 413 when all handles are in
 * use. A power cut afterwards leaves a new file empty or absent.
 */
int handles_open(struct handles *handles, const char *name, enum handle_mode mode,
		 uint64_t *ret_number) DFOTA_MUST_CHECK;

/* NULL when there is no such handle. */
struct handle *handles_find(struct handles *handles, uint64_t number);
bool handles_has(const struct handles *handles, const char *name);
bool handles_writes(const struct handles *handles, const char *name); /* may write to it */

int handle_size(const struct handle *handle, uint64_t *ret_bytes) DFOTA_MUST_CHECK;

/* Moves the position: forward from the start or where it is, backward from the end; never out of
 * the file (401). */
int handle_seek(struct handle *handle, uint64_t offset, enum handle_from from) DFOTA_MUST_CHECK;

/* Cuts the file at the position. */
int handle_truncate(struct handle *handle) DFOTA_MUST_CHECK;
int handle_flush(struct handle *handle) DFOTA_MUST_CHECK;
int handle_close(struct handle *handle) DFOTA_MUST_CHECK;

/* Begins a transfer of `bytes`: looks whether that many may be written, or makes *bytes what can be
 * read (402: nothing). */
int handles_write_begin(struct handles *handles, struct handle *handle,
			uint64_t bytes) DFOTA_MUST_CHECK;
int handles_read_begin(struct handles *handles, struct handle *handle,
		       uint64_t *bytes) DFOTA_MUST_CHECK;

/* The data of the transfer: write appends at the position, read takes from `offset` behind its
 * start; both move the position. */
int handles_write(struct handles *handles, const uint8_t *data, size_t bytes) DFOTA_MUST_CHECK;
int handles_read(struct handles *handles, uint64_t offset, void *buffer,
		 size_t bytes) DFOTA_MUST_CHECK;

#endif
