/* SPDX-License-Identifier: MIT
 *
 * Names, listing, deletion and upload of the user file system, all relative to one folder descriptor.
 */
#include "ufs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define UPLOAD_TEMPORARY ".upload"
#define WRITE_BACK_BYTES (1u << 20) /* so that the last sync is short */

/* ---- names ----------------------------------------------------------------------------------- */

int ufs_name(const char *text, char *ret_name)
{
	size_t bytes;

	if (strncmp(text, "UFS:", 4) == 0)
		text += 4;
	bytes = strlen(text);
	if (bytes == 0 || bytes > UFS_NAME_MAX || text[0] == '.')
		return UFS_BAD_NAME;
	for (size_t i = 0; i < bytes; i++)
		if (text[i] < 0x20 || text[i] > 0x7e || strchr("/\\\"*?:", text[i]))
			return UFS_BAD_NAME;
	memcpy(ret_name, text, bytes + 1);
	return 0;
}

bool ufs_path_name(const char *text, char *ret_name)
{
	static const char *const prefixes[] = { "cache/ufs/", "data/ufs/", "UFS:" };
	const char *rest = *text == '/' ? text + 1 : text;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t bytes = strlen(prefixes[i]);

		if (strncmp(rest, prefixes[i], bytes) != 0 || (rest != text && i == 2))
			continue;
		/* A second "UFS:" must not pass. */
		if (strncmp(rest + bytes, "UFS:", 4) == 0 || ufs_name(rest + bytes, ret_name))
			*ret_name = '\0';
		return true;
	}
	return false;
}

bool ufs_match(const char *pattern, const char *name)
{
	const char *star = NULL, *resume = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = name;
		} else if (*pattern == '?' || *pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* ---- folder ---------------------------------------------------------------------------------- */

int module_ufs_open(struct module_ufs *ufs, const char *path, uint64_t limit)
{
	memset(ufs, 0, sizeof(*ufs));
	ufs->upload = -1;
	ufs->limit = limit;
	if (mkdir(path, 0755) && errno != EEXIST) {
		ufs->folder = -1;
		return DFOTA_E_IO;
	}
	ufs->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ufs->folder < 0)
		return DFOTA_E_IO;
	(void)unlinkat(ufs->folder, UPLOAD_TEMPORARY, 0); /* usually absent */
	return 0;
}

void module_ufs_close(struct module_ufs *ufs)
{
	ufs_upload_cancel(ufs);
	if (ufs->folder >= 0)
		close(ufs->folder);
	ufs->folder = -1;
}

static int by_name(const void *a, const void *b)
{
	const struct ufs_entry *left = a, *right = b;

	return strcmp(left->name, right->name);
}

/* Calls for each regular file with a valid name, at most UFS_FILES_MAX. entries may be NULL. */
static int scan(const struct module_ufs *ufs, struct ufs_entry *entries, uint32_t *ret_count,
		uint64_t *ret_bytes)
{
	char name[UFS_NAME_MAX + 1];
	struct dirent *item;
	struct stat status;
	int fd = openat(ufs->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);

	*ret_count = 0;
	*ret_bytes = 0;
	if (!folder) {
		if (fd >= 0)
			close(fd);
		return UFS_LIST_FAILED;
	}
	while (*ret_count < UFS_FILES_MAX && (item = readdir(folder))) {
		if (ufs_name(item->d_name, name) || strcmp(name, item->d_name) != 0 ||
		    fstatat(ufs->folder, name, &status, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISREG(status.st_mode))
			continue;
		if (entries) {
			memcpy(entries[*ret_count].name, name, sizeof(name));
			entries[*ret_count].bytes = (uint64_t)status.st_size;
		}
		*ret_bytes += (uint64_t)status.st_size;
		++*ret_count;
	}
	closedir(folder);
	return 0;
}

int ufs_list(const struct module_ufs *ufs, struct ufs_entry *ret_entries, uint32_t *ret_count)
{
	uint64_t bytes;
	int code = scan(ufs, ret_entries, ret_count, &bytes);

	if (!code)
		qsort(ret_entries, *ret_count, sizeof(*ret_entries), by_name);
	return code;
}

int ufs_space(const struct module_ufs *ufs, uint64_t *ret_free, uint64_t *ret_bytes,
	      uint32_t *ret_count)
{
	struct statvfs status;
	uint64_t below;

	if (scan(ufs, NULL, ret_count, ret_bytes) || fstatvfs(ufs->folder, &status))
		return UFS_INFO_FAILED;
	below = (uint64_t)status.f_bavail * status.f_frsize;
	*ret_free = *ret_bytes < ufs->limit ? dfota_min64(ufs->limit - *ret_bytes, below) : 0;
	return 0;
}

int ufs_open_file(const struct module_ufs *ufs, const char *name, int *ret_fd, uint64_t *ret_bytes)
{
	struct stat status;
	int fd = openat(ufs->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? UFS_NOT_FOUND : UFS_OPEN_FAILED;
	if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		close(fd);
		return UFS_OPEN_FAILED;
	}
	*ret_fd = fd;
	*ret_bytes = (uint64_t)status.st_size;
	return 0;
}

int ufs_open_write(const struct module_ufs *ufs, const char *name, bool empty, int *ret_fd)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	uint64_t room, used;
	uint32_t count;
	struct stat status;
	int fd = openat(ufs->folder, name, flags), code;

	if (fd < 0 && errno == ENOENT) {
		code = ufs_space(ufs, &room, &used, &count);
		if (code)
			return code;
		if (count >= UFS_FILES_MAX)
			return UFS_NO_SPACE;
		fd = openat(ufs->folder, name, flags | O_CREAT | O_EXCL, 0600);
		if (fd >= 0)
			(void)fsync(ufs->folder); /* its close tells whether the disk is well */
	}
	if (fd < 0)
		return UFS_OPEN_FAILED;
	code = fstat(fd, &status) || !S_ISREG(status.st_mode) ? UFS_OPEN_FAILED : 0;
	if (!code && status.st_nlink > 1)
		code = UFS_IN_USE;
	if (!code && empty && ftruncate(fd, 0))
		code = UFS_OPEN_FAILED;
	if (code)
		close(fd);
	else
		*ret_fd = fd;
	return code;
}

int ufs_read_file(int fd, uint64_t offset, void *buffer, size_t bytes)
{
	char *to = buffer;

	while (bytes > 0) {
		ssize_t got = pread(fd, to, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return DFOTA_E_READ;
		to += got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}

int ufs_delete(struct module_ufs *ufs, const char *name)
{
	if (unlinkat(ufs->folder, name, 0))
		return errno == ENOENT ? UFS_NOT_FOUND : UFS_DELETE_FAILED;
	return fsync(ufs->folder) ? UFS_DELETE_FAILED : 0;
}

/* ---- upload ---------------------------------------------------------------------------------- */

int ufs_upload_begin(struct module_ufs *ufs, const char *name, uint64_t bytes)
{
	uint64_t room, used;
	uint32_t count;
	struct stat status;
	int code;

	if (ufs->upload >= 0)
		return UFS_IN_USE;
	if (fstatat(ufs->folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return UFS_EXISTS;
	code = ufs_space(ufs, &room, &used, &count);
	if (code)
		return code;
	if (bytes > room || count >= UFS_FILES_MAX)
		return UFS_NO_SPACE;
	ufs->upload = openat(ufs->folder, UPLOAD_TEMPORARY,
			     O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (ufs->upload < 0)
		return UFS_OPEN_FAILED;
	ufs->uploaded = 0;
	ufs->upload_code = 0;
	memcpy(ufs->upload_name, name, strlen(name) + 1);
	return 0;
}

int ufs_upload_add(struct module_ufs *ufs, const uint8_t *data, size_t bytes)
{
	uint64_t before = ufs->uploaded;

	while (bytes > 0) {
		ssize_t done = write(ufs->upload, data, bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			ufs->upload_code = errno == ENOSPC || errno == EDQUOT ? UFS_NO_SPACE
									      : UFS_WRITE_FAILED;
			return ufs->upload_code;
		}
		data += done;
		bytes -= (size_t)done;
		ufs->uploaded += (uint64_t)done;
	}
	if (before / WRITE_BACK_BYTES != ufs->uploaded / WRITE_BACK_BYTES)
		(void)sync_file_range(ufs->upload, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint */
	return 0;
}

static int publish(const struct module_ufs *ufs)
{
	if (renameat2(ufs->folder, UPLOAD_TEMPORARY, ufs->folder, ufs->upload_name,
		      RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST)
		return UFS_EXISTS;
	/* A file system without that flag: nobody else makes files here, and begin has looked. */
	if (errno != EINVAL && errno != ENOSYS)
		return UFS_WRITE_FAILED;
	return renameat(ufs->folder, UPLOAD_TEMPORARY, ufs->folder, ufs->upload_name)
		       ? UFS_WRITE_FAILED
		       : 0;
}

int ufs_upload_end(struct module_ufs *ufs)
{
	int code;

	if (ufs->uploaded == 0 || ufs->upload_code) {
		ufs_upload_cancel(ufs);
		return ufs->upload_code;
	}
	code = fsync(ufs->upload) ? UFS_WRITE_FAILED : 0;
	if (close(ufs->upload))
		code = UFS_WRITE_FAILED;
	ufs->upload = -1;
	if (!code)
		code = publish(ufs);
	if (code)
		(void)unlinkat(ufs->folder, UPLOAD_TEMPORARY, 0);
	else if (fsync(ufs->folder))
		code = UFS_WRITE_FAILED;
	return code;
}

void ufs_upload_cancel(struct module_ufs *ufs)
{
	if (ufs->upload < 0)
		return;
	close(ufs->upload);
	ufs->upload = -1;
	(void)unlinkat(ufs->folder, UPLOAD_TEMPORARY, 0);
}
