/* SPDX-License-Identifier: MIT
 *
 * Backend: a partition or an area in a plain file, overwritten in place.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "dfota/flash.h"

#define PATH_BYTES_MAX 4096

static int file_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct dfota_flash_file *file = context;
	uint8_t *out = buffer;

	while (bytes > 0) {
		ssize_t got = pread(file->fd, out, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return DFOTA_E_READ;
		out += got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}

static int file_read_back(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct dfota_flash_file *file = context;

	/* Advice only: where it is not taken, the bytes come from the cache. */
	(void)posix_fadvise(file->fd, (off_t)offset, (off_t)bytes, POSIX_FADV_DONTNEED);
	return file_read(context, offset, buffer, bytes);
}

static int file_write(void *context, uint64_t offset, const void *data, size_t bytes)
{
	struct dfota_flash_file *file = context;
	const uint8_t *in = data;

	while (bytes > 0) {
		ssize_t put = pwrite(file->fd, in, bytes, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return DFOTA_E_WRITE;
		in += put;
		offset += (uint64_t)put;
		bytes -= (size_t)put;
	}
	return 0;
}

static int file_flush(void *context)
{
	struct dfota_flash_file *file = context;

	/* Not repeated after EINTR or an error: pages that failed are marked clean by then. */
	return fdatasync(file->fd) ? DFOTA_E_FLUSH : 0;
}

/* Where the file system cannot reserve: at least look whether there is room now. */
static int room_check(const struct dfota_flash_file *file, uint64_t size_bytes)
{
	struct statvfs fs;
	struct stat status;
	uint64_t allocated, free_bytes;

	if (fstat(file->fd, &status) || fstatvfs(file->fd, &fs))
		return DFOTA_E_WRITE;
	allocated = (uint64_t)status.st_blocks * 512;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	return size_bytes > allocated && size_bytes - allocated > free_bytes ? DFOTA_E_SPACE : 0;
}

static int file_reserve(void *context, uint64_t size_bytes)
{
	struct dfota_flash_file *file = context;

	if (!file->writable)
		return DFOTA_E_WRITE;
	if (size_bytes > INT64_MAX)
		return DFOTA_E_SPACE;
	if (size_bytes == 0)
		return 0;
	while (fallocate(file->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size_bytes)) {
		switch (errno) {
		case EINTR:
			continue;
		case ENOSPC:
		case EDQUOT:
		case EFBIG:
			return DFOTA_E_SPACE;
		case EOPNOTSUPP:
		case ENOSYS:
			return room_check(file, size_bytes);
		}
		return DFOTA_E_WRITE;
	}
	if (file->reserved_bytes < size_bytes)
		file->reserved_bytes = size_bytes;
	return 0;
}

static int file_resize(void *context, uint64_t size_bytes)
{
	struct dfota_flash_file *file = context;

	if (size_bytes > INT64_MAX)
		return DFOTA_E_RESIZE;
	while (ftruncate(file->fd, (off_t)size_bytes)) {
		if (errno == EINTR)
			continue;
		return errno == ENOSPC || errno == EDQUOT ? DFOTA_E_SPACE : DFOTA_E_RESIZE;
	}
	file->flash.geometry.size_bytes = size_bytes;
	return 0;
}

static const struct dfota_flash_ops file_ops = {
	.read = file_read,
	.read_back = file_read_back,
	.write = file_write,
	.flush = file_flush,
	.reserve = file_reserve,
	.resize = file_resize,
};

static int file_adopt(struct dfota_flash_file *file, int fd, bool writable)
{
	struct stat status;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		close(fd);
		return DFOTA_E_IO;
	}
	*file = (struct dfota_flash_file){
		.flash = {
			.ops = &file_ops,
			.context = file,
			.geometry = {
				.size_bytes = (uint64_t)status.st_size,
				.write_bytes = 1,
				.erase_bytes = 1,
				.flags = DFOTA_FLASH_RESIZABLE,
			},
		},
		.fd = fd,
		.writable = writable,
	};
	return 0;
}

int dfota_flash_file_open(struct dfota_flash_file *file, const char *path, bool writable)
{
	int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);

	file->fd = -1;
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? DFOTA_E_NOT_FOUND : DFOTA_E_IO;
	return file_adopt(file, fd, writable);
}

/* A new file survives a power cut only if its folder was synced too. */
static int folder_sync(const char *path)
{
	char copy[PATH_BYTES_MAX];
	size_t bytes = strlen(path) + 1;
	int fd, error;

	if (bytes > sizeof(copy))
		return DFOTA_E_IO;
	memcpy(copy, path, bytes);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return DFOTA_E_IO;
	error = fsync(fd) ? DFOTA_E_IO : 0;
	close(fd);
	return error;
}

int dfota_flash_file_create(struct dfota_flash_file *file, const char *path)
{
	int error, fd;

	file->fd = -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return DFOTA_E_IO;
	/* Also when it was there: the call that made it may have been cut before this. */
	error = folder_sync(path);
	if (error) {
		close(fd);
		return error;
	}
	return file_adopt(file, fd, true);
}

void dfota_flash_file_close(struct dfota_flash_file *file)
{
	if (file->fd < 0)
		return;
	/* Gives back what was reserved and not used; failure costs only room. */
	if (file->reserved_bytes > file->flash.geometry.size_bytes &&
	    ftruncate(file->fd, (off_t)file->flash.geometry.size_bytes))
		file->reserved_bytes = 0;
	close(file->fd);
	file->fd = -1;
}
