/* SPDX-License-Identifier: MIT
 *
 * Backend: a block device.
 *
 * Writes are direct, because a write through the page cache would write whole pages, neighbours of
 * the range included, at a time of the kernel's choosing. The kernel drops cached pages of what is
 * written directly, so that cached reads see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "kernel.h"

#define BOUNCE_BYTES 131072u /* of one direct transfer */
#define BOUNCE_ALIGN 4096u   /* no device asks for more */
#define WRITE_MAX    4096u   /* bytes; what a record store takes as its page */
#define ERASE_MAX    65536u /* bytes; physical blocks that are said to be larger are not believed */

static int exact_read(const struct flash_kernel *kernel, int fd, uint8_t *out, size_t bytes,
		      uint64_t offset)
{
	while (bytes > 0) {
		ssize_t got = kernel->pread(fd, out, bytes, (off_t)offset);

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

static int block_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct dfota_flash_block *block = context;

	return exact_read(block->kernel, block->cached_fd, buffer, bytes, offset);
}

static int block_read_back(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct dfota_flash_block *block = context;
	uint8_t *out = buffer;

	while (bytes > 0) {
		uint32_t before = (uint32_t)(offset % block->sector_bytes);
		size_t n = (size_t)dfota_min64(bytes, BOUNCE_BYTES - before);
		uint64_t sectors = dfota_ceil_div64(before + n, block->sector_bytes);
		int error = exact_read(block->kernel, block->fd, block->bounce,
				       (size_t)(sectors * block->sector_bytes), offset - before);

		if (error)
			return error;
		memcpy(out, block->bounce + before, n);
		out += n;
		offset += n;
		bytes -= n;
	}
	return 0;
}

static int bounce_write(struct dfota_flash_block *block, uint64_t offset, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t put = block->kernel->pwrite(block->fd, block->bounce + done, bytes - done,
						    (off_t)(offset + done));

		if (put < 0 && errno == EINTR)
			continue;
		/* What is left of a short write must start on a sector again. */
		if (put <= 0 || (size_t)put % block->sector_bytes != 0)
			return DFOTA_E_WRITE;
		done += (size_t)put;
	}
	return 0;
}

/* Whole sectors: write_bytes is a multiple of the sector, and so is the size. */
static int block_write(void *context, uint64_t offset, const void *data, size_t bytes)
{
	struct dfota_flash_block *block = context;
	const uint8_t *in = data;

	while (bytes > 0) {
		size_t n = (size_t)dfota_min64(bytes, BOUNCE_BYTES);
		int error;

		memcpy(block->bounce, in, n);
		error = bounce_write(block, offset, n);
		if (error)
			return error;
		in += n;
		offset += n;
		bytes -= n;
	}
	return 0;
}

static int block_flush(void *context)
{
	struct dfota_flash_block *block = context;

	/* Not repeated after an error: what failed may be forgotten by then. */
	return block->kernel->fdatasync(block->fd) ? DFOTA_E_FLUSH : 0;
}

static const struct dfota_flash_ops block_ops = {
	.read = block_read,
	.read_back = block_read_back,
	.write = block_write,
	.flush = block_flush,
};

static bool power_of_two(uint32_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

static int geometry_ask(struct dfota_flash_block *block, const char **ret_what)
{
	const struct flash_kernel *kernel = block->kernel;
	struct dfota_flash_geometry *geometry = &block->flash.geometry;
	uint64_t bytes = 0;
	unsigned physical = 0;
	int sector = 0;

	*ret_what = "the device does not tell its geometry";
	if (kernel->ioctl(block->fd, BLKSSZGET, &sector) ||
	    kernel->ioctl(block->fd, BLKGETSIZE64, &bytes))
		return DFOTA_E_IO;
	*ret_what = "the device's sectors are of a size that is not supported";
	if (sector < 512 || (unsigned)sector > WRITE_MAX || !power_of_two((uint32_t)sector) ||
	    bytes % (unsigned)sector != 0)
		return DFOTA_E_IO;
	if (kernel->ioctl(block->fd, BLKPBSZGET, &physical) || physical < (unsigned)sector ||
	    physical > ERASE_MAX || !power_of_two(physical))
		physical = (unsigned)sector;
	block->sector_bytes = (uint32_t)sector;
	geometry->size_bytes = bytes;
	geometry->write_bytes = physical < WRITE_MAX ? physical : WRITE_MAX;
	geometry->erase_bytes = physical;
	return 0;
}

/* The same device twice: once past the page cache, and if to be written, for us alone; once through
 * it. */
static int devices_open(struct dfota_flash_block *block, const char *path, bool writable,
			const char **ret_what)
{
	const struct flash_kernel *kernel = block->kernel;
	struct stat direct, cached;

	block->cached_fd = kernel->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (block->cached_fd < 0)
		return flash_open_error(errno, ret_what);
	*ret_what = "this is not a block device";
	if (kernel->status(block->cached_fd, &cached) || !S_ISBLK(cached.st_mode))
		return DFOTA_E_IO;
	block->fd = kernel->open(path, (writable ? O_RDWR | O_EXCL : O_RDONLY) | O_DIRECT |
					   O_CLOEXEC | O_NONBLOCK);
	if (block->fd < 0)
		return flash_open_error(errno, ret_what);
	*ret_what = "the device changed while it was opened";
	if (kernel->status(block->fd, &direct) || !S_ISBLK(direct.st_mode) ||
	    direct.st_rdev != cached.st_rdev)
		return DFOTA_E_IO;
	return 0;
}

static int bounce_make(struct dfota_flash_block *block, const char **ret_what)
{
	*ret_what = "there is no memory for its buffer";
	block->bounce = aligned_alloc(BOUNCE_ALIGN, BOUNCE_BYTES);
	return block->bounce ? 0 : DFOTA_E_MEMORY;
}

int flash_block_open(struct dfota_flash_block *block, const struct flash_kernel *kernel,
		     const char *path, bool writable, const char **ret_what)
{
	int error;

	*block = (struct dfota_flash_block){
		.flash = { .ops = &block_ops, .context = block },
		.kernel = kernel,
		.fd = -1,
		.cached_fd = -1,
	};
	error = devices_open(block, path, writable, ret_what);
	if (!error)
		error = geometry_ask(block, ret_what);
	if (!error)
		error = bounce_make(block, ret_what);
	if (error)
		dfota_flash_block_close(block);
	else
		*ret_what = NULL;
	return error;
}

int dfota_flash_block_open(struct dfota_flash_block *block, const char *path, bool writable,
			   const char **ret_what)
{
	return flash_block_open(block, &flash_kernel_linux, path, writable, ret_what);
}

void dfota_flash_block_close(struct dfota_flash_block *block)
{
	if (!block->kernel)
		return;
	if (block->fd >= 0)
		(void)block->kernel->close(block->fd); /* all that counts was flushed */
	if (block->cached_fd >= 0)
		(void)block->kernel->close(block->cached_fd);
	free(block->bounce);
	*block = (struct dfota_flash_block){ .fd = -1, .cached_fd = -1 };
}
