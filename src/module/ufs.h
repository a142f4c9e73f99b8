/* SPDX-License-Identifier: MIT
 *
 * The user file system: folder ufs/, flat, bounded in bytes and in number of files. Names come from the AT port.
 *
 * Functions return 0 or the CME code that the port answers (400..). Files that an upload has not completed
 * carry a reserved name, are not listed, and are removed by module_ufs_open.
 */
#ifndef DFOTA_MODULE_UFS_H
#define DFOTA_MODULE_UFS_H

#include "dfota/bytes.h"

#define UFS_NAME_MAX  80  /* bytes */
#define UFS_FILES_MAX 128

enum ufs_code { /* CME codes of the file commands */
	UFS_INVALID_VALUE = 400,
	UFS_BEYOND_END = 401,
	UFS_NOTHING_READ = 402,
	UFS_NOT_FOUND = 405,
	UFS_BAD_NAME = 406,
	UFS_EXISTS = 407,
	UFS_WRITE_FAILED = 409,
	UFS_OPEN_FAILED = 410,
	UFS_READ_FAILED = 411,
	UFS_TOO_MANY = 413,
	UFS_READ_ONLY = 414,
	UFS_BAD_HANDLE = 416,
	UFS_LIST_FAILED = 417,
	UFS_DELETE_FAILED = 418,
	UFS_INFO_FAILED = 419,
	UFS_NO_SPACE = 420,
	UFS_IN_USE = 426
};

struct module_ufs {
	int folder;     /* descriptor, -1 when closed */
	uint64_t limit; /* bytes */
	/* upload */
	int upload;     /* descriptor, -1 when none runs */
	uint64_t uploaded;
	int upload_code; /* of the first failure */
	char upload_name[UFS_NAME_MAX + 1];
};

struct ufs_entry {
	char name[UFS_NAME_MAX + 1];
	uint64_t bytes;
};

/* Creates the folder when it is missing; removes what a power cut left of uploads. DFOTA_E_IO. */
int module_ufs_open(struct module_ufs *ufs, const char *path, uint64_t limit) DFOTA_MUST_CHECK;
void module_ufs_close(struct module_ufs *ufs);

/* "name" or "UFS:name" to the bare name: 1..80 bytes of printable ASCII without / \ " * ? :, not starting with a
 * dot. UFS_BAD_NAME otherwise. `ret_name` has UFS_NAME_MAX + 1 bytes.
 */
int ufs_name(const char *text, char *ret_name) DFOTA_MUST_CHECK;

/* The same for what AT+QFOTADL takes: /cache/ufs/, cache/ufs/, /data/ufs/, data/ufs/ or UFS: before the name.
 * False when none of these leads it; a bad name gives an empty *ret_name.
 */
bool ufs_path_name(const char *text, char *ret_name);

/* True when `name` matches `pattern`, in which * and ? are wildcards. */
bool ufs_match(const char *pattern, const char *name);

/* All files, by name. `ret_entries` has room for UFS_FILES_MAX. */
int ufs_list(const struct module_ufs *ufs, struct ufs_entry *ret_entries, uint32_t *ret_count)
	DFOTA_MUST_CHECK;

/* Free bytes (of the limit, and of the file system below), bytes and number of files. */
int ufs_space(const struct module_ufs *ufs, uint64_t *ret_free, uint64_t *ret_bytes,
	      uint32_t *ret_count) DFOTA_MUST_CHECK;

/* Opens a regular file for reading; the caller closes it. */
int ufs_open_file(const struct module_ufs *ufs, const char *name, int *ret_fd, uint64_t *ret_bytes)
	DFOTA_MUST_CHECK;

/* Opens for reading and writing; makes the file when it is missing, empties it when asked to. UFS_IN_USE for the
 * package of an upgrade: its bytes have a second name in state/ and must stay as they are.
 */
int ufs_open_write(const struct module_ufs *ufs, const char *name, bool empty, int *ret_fd)
	DFOTA_MUST_CHECK;

/* Exactly so many bytes, or DFOTA_E_READ. */
int ufs_read_file(int fd, uint64_t offset, void *buffer, size_t bytes) DFOTA_MUST_CHECK;

int ufs_delete(struct module_ufs *ufs, const char *name) DFOTA_MUST_CHECK;

/* Upload: begin, add any number of times, end. The file appears under its name, synced, in ufs_upload_end; nothing
 * appears when no byte came or one could not be kept. A power cut before leaves nothing of that name. cancel may be called at any time.
 */
int ufs_upload_begin(struct module_ufs *ufs, const char *name, uint64_t bytes) DFOTA_MUST_CHECK;
int ufs_upload_add(struct module_ufs *ufs, const uint8_t *data, size_t bytes) DFOTA_MUST_CHECK;
int ufs_upload_end(struct module_ufs *ufs) DFOTA_MUST_CHECK;
void ufs_upload_cancel(struct module_ufs *ufs);

#endif
