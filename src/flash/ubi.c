/* SPDX-License-Identifier: MIT
 *
 * Backend: a dynamic UBI volume, changed block by block.
 *
 * UBI writes a changed block elsewhere and keeps the old one until the new one is whole: a cut
 * leaves one or the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <mtd/ubi-user.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "kernel.h"

#define READ_ATTEMPTS 3
#define BLOCK_MAX     (4u << 20) /* bytes; no unit of a package is larger */
#define DTYPE_UNKNOWN 3		 /* for old kernels, which ask for it */
#define OPEN_FLAGS    (O_CLOEXEC | O_NONBLOCK)

static int ubi_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct dfota_flash_ubi *ubi = context;
	uint8_t *out = buffer;
	int attempts = 0;

	while (bytes > 0) {
		ssize_t got = ubi->kernel->pread(ubi->fd, out, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 && ++attempts == READ_ATTEMPTS)
			return DFOTA_E_READ;
		if (got <= 0)
			continue;
		out += got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}

/* A change that failed stays open, and refuses the next one, until the volume is closed. */
static void reopen(struct dfota_flash_ubi *ubi)
{
	if (ubi->fd >= 0)
		(void)ubi->kernel->close(ubi->fd);
	ubi->fd = ubi->kernel->open(ubi->path, O_RDWR | OPEN_FLAGS);
}

static int block_change(struct dfota_flash_ubi *ubi, uint64_t block, const uint8_t *data,
			size_t bytes)
{
	struct ubi_leb_change_req change = {
		.lnum = (int32_t)block,
		.bytes = (int32_t)bytes,
		.dtype = DTYPE_UNKNOWN,
	};

	if (ubi->kernel->ioctl(ubi->fd, UBI_IOCEBCH, &change))
		return DFOTA_E_WRITE;
	while (bytes > 0) {
		ssize_t put = ubi->kernel->write(ubi->fd, data, bytes);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return DFOTA_E_WRITE;
		data += put;
		bytes -= (size_t)put;
	}
	return 0;
}

static int ubi_write(void *context, uint64_t offset, const void *data, size_t bytes)
{
	struct dfota_flash_ubi *ubi = context;
	uint32_t block_bytes = ubi->flash.geometry.erase_bytes;
	const uint8_t *in = data;

	if (offset % block_bytes != 0)
		return DFOTA_E_WRITE;
	while (bytes > 0) {
		size_t n = (size_t)dfota_min64(bytes, block_bytes);
		int error = block_change(ubi, offset / block_bytes, in, n);

		if (error) {
			reopen(ubi);
			return error;
		}
		in += n;
		offset += n;
		bytes -= n;
	}
	return 0;
}

static int ubi_flush(void *context)
{
	struct dfota_flash_ubi *ubi = context;

	return ubi->kernel->fsync(ubi->fd) ? DFOTA_E_FLUSH : 0;
}

static const struct dfota_flash_ops ubi_ops = {
	.read = ubi_read,
	.write = ubi_write,
	.flush = ubi_flush,
};

static bool number(const struct dfota_flash_ubi *ubi, const char *name, uint64_t *ret_value)
{
	return flash_attribute_number(ubi->kernel, ubi->fd, name, ret_value);
}

static int volume_ask(struct dfota_flash_ubi *ubi, const char **ret_what)
{
	struct dfota_flash_geometry *geometry = &ubi->flash.geometry;
	uint64_t block_bytes, blocks, marker;
	char type[16];

	*ret_what = "this is not a UBI volume (/dev/ubi<device>_<volume>)";
	if (ubi->kernel->attribute(ubi->fd, "type", type, sizeof(type)) ||
	    !number(ubi, "usable_eb_size", &block_bytes) || !number(ubi, "reserved_ebs", &blocks) ||
	    !number(ubi, "upd_marker", &marker))
		return DFOTA_E_IO;
	*ret_what = "the volume is static: its blocks cannot be changed one by one";
	if (strcmp(type, "dynamic") != 0)
		return DFOTA_E_IO;
	*ret_what = "an update of the volume was interrupted: it holds nothing that can be read";
	if (marker != 0)
		return DFOTA_E_IO;
	*ret_what = "the volume's geometry is not supported";
	if (block_bytes == 0 || block_bytes > BLOCK_MAX || blocks > INT32_MAX)
		return DFOTA_E_IO;
	geometry->size_bytes = block_bytes * blocks;
	geometry->write_bytes = 1;
	geometry->erase_bytes = (uint32_t)block_bytes;
	geometry->erased_value = 0xff;
	geometry->flags = DFOTA_FLASH_ATOMIC_BLOCK;
	return 0;
}

static int volume_open(struct dfota_flash_ubi *ubi, const char *path, bool writable,
		       const char **ret_what)
{
	size_t bytes = strlen(path) + 1;
	struct stat status;

	*ret_what = "the path is too long";
	if (bytes > sizeof(ubi->path))
		return DFOTA_E_IO;
	memcpy(ubi->path, path, bytes);
	ubi->fd = ubi->kernel->open(path, (writable ? O_RDWR : O_RDONLY) | OPEN_FLAGS);
	if (ubi->fd < 0)
		return flash_open_error(errno, ret_what);
	*ret_what = "this is not a UBI volume (/dev/ubi<device>_<volume>)";
	return ubi->kernel->status(ubi->fd, &status) || !S_ISCHR(status.st_mode) ? DFOTA_E_IO : 0;
}

int flash_ubi_open(struct dfota_flash_ubi *ubi, const struct flash_kernel *kernel, const char *path,
		   bool writable, const char **ret_what)
{
	int error;

	*ubi = (struct dfota_flash_ubi){
		.flash = { .ops = &ubi_ops, .context = ubi },
		.kernel = kernel,
		.fd = -1,
	};
	error = volume_open(ubi, path, writable, ret_what);
	if (!error)
		error = volume_ask(ubi, ret_what);
	if (error)
		dfota_flash_ubi_close(ubi);
	else
		*ret_what = NULL;
	return error;
}

int dfota_flash_ubi_open(struct dfota_flash_ubi *ubi, const char *path, bool writable,
			 const char **ret_what)
{
	return flash_ubi_open(ubi, &flash_kernel_linux, path, writable, ret_what);
}

void dfota_flash_ubi_close(struct dfota_flash_ubi *ubi)
{
	if (!ubi->kernel)
		return;
	if (ubi->fd >= 0)
		(void)ubi->kernel->close(ubi->fd); /* all that counts was flushed */
	*ubi = (struct dfota_flash_ubi){ .fd = -1 };
}
