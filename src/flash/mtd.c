/* SPDX-License-Identifier: MIT
 *
 * Backend: raw flash behind an MTD character device.
 *
 * The kernel hands out what it read even if the error correction failed, and says nothing: only its
 * counters tell, so they are asked before and after each read.
 */
#include <errno.h>
#include <fcntl.h>
#include <mtd/mtd-user.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "kernel.h"
#include "mtd_map.h"

#define READ_ATTEMPTS  3
#define WRITE_ATTEMPTS 3
#define PAGE_MAX       65536u
#define BLOCK_MAX      (4u << 20) /* bytes; no unit of a package is larger */

/* ---- pages and blocks of the device ------------------------------------------------------------
 */

static bool ecc_counters(const struct dfota_flash_mtd *mtd, struct mtd_ecc_stats *ret_stats)
{
	*ret_stats = (struct mtd_ecc_stats){ 0 };
	return mtd->nand && mtd->kernel->ioctl(mtd->fd, ECCGETSTATS, ret_stats) == 0;
}

static int exact_read(const struct dfota_flash_mtd *mtd, uint64_t at, uint8_t *out, size_t bytes)
{
	while (bytes > 0) {
		ssize_t got = mtd->kernel->pread(mtd->fd, out, bytes, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return DFOTA_E_READ;
		out += got;
		at += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}

/* Reads inside one block of the device; *ret_flips is the number of bits that were corrected. */
static int device_read(const struct dfota_flash_mtd *mtd, uint64_t at, uint8_t *out, size_t bytes,
		       uint32_t *ret_flips)
{
	for (int i = 0; i < READ_ATTEMPTS; i++) {
		struct mtd_ecc_stats before, after;
		bool counted = ecc_counters(mtd, &before);
		int error = exact_read(mtd, at, out, bytes);

		counted = ecc_counters(mtd, &after) && counted;
		*ret_flips = counted ? after.corrected - before.corrected : 0;
		if (!error && (!counted || after.failed == before.failed))
			return 0;
	}
	return DFOTA_E_READ;
}

static int device_program(const struct dfota_flash_mtd *mtd, uint64_t at, const uint8_t *data,
			  size_t bytes)
{
	/* Not repeated after an error, and no rest after a short one: a page is programmed once. */
	return mtd->kernel->pwrite(mtd->fd, data, bytes, (off_t)at) == (ssize_t)bytes
		   ? 0
		   : DFOTA_E_WRITE;
}

static int device_erase(const struct dfota_flash_mtd *mtd, uint64_t at)
{
	struct erase_info_user64 range = { .start = at, .length = mtd->flash.geometry.erase_bytes };

	return mtd->kernel->ioctl(mtd->fd, MEMERASE64, &range) ? DFOTA_E_ERASE : 0;
}

/* ---- operations --------------------------------------------------------------------------------
 */

/* Place on the device, and bytes from there to the end of its block. */
static uint64_t place(const struct dfota_flash_mtd *mtd, uint64_t offset, size_t *ret_room)
{
	uint32_t block_bytes = mtd->flash.geometry.erase_bytes;
	uint64_t block = mtd_map_block(mtd, (uint32_t)(offset / block_bytes));

	*ret_room = block_bytes - (size_t)(offset % block_bytes);
	return block * block_bytes + offset % block_bytes;
}

static int mtd_read(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	struct dfota_flash_mtd *mtd = context;
	uint8_t *out = buffer;

	while (bytes > 0) {
		size_t room;
		uint64_t at = place(mtd, offset, &room);
		size_t n = (size_t)dfota_min64(bytes, room);
		uint32_t flips;
		int error = device_read(mtd, at, out, n, &flips);

		if (error)
			return error;
		out += n;
		offset += n;
		bytes -= n;
	}
	return 0;
}

/* Reads pages back; *ret_weak when the correction had too much to do. */
static int pages_prove(const struct dfota_flash_mtd *mtd, uint64_t at, const uint8_t *data,
		       size_t bytes, bool *ret_weak)
{
	*ret_weak = false;
	while (bytes > 0) {
		size_t n = (size_t)dfota_min64(bytes, mtd->flash.geometry.write_bytes);
		uint32_t flips;

		if (device_read(mtd, at, mtd->page, n, &flips) || memcmp(mtd->page, data, n) != 0)
			return DFOTA_E_READBACK;
		if (mtd->flips_max && flips >= mtd->flips_max)
			*ret_weak = true;
		at += n;
		data += n;
		bytes -= n;
	}
	return 0;
}

/* From the start of a block, which is erased: so it can be erased and written again. */
static int block_program(const struct dfota_flash_mtd *mtd, uint64_t at, const uint8_t *data,
			 size_t bytes)
{
	for (int i = 1;; i++) {
		bool weak;
		int error = device_program(mtd, at, data, bytes);

		if (!error)
			error = pages_prove(mtd, at, data, bytes, &weak);
		if (error || !weak || i == WRITE_ATTEMPTS)
			return error;
		error = device_erase(mtd, at);
		if (error)
			return error;
	}
}

static int mtd_write(void *context, uint64_t offset, const void *data, size_t bytes)
{
	struct dfota_flash_mtd *mtd = context;
	const uint8_t *in = data;

	while (bytes > 0) {
		size_t room;
		uint64_t at = place(mtd, offset, &room);
		size_t n = (size_t)dfota_min64(bytes, room);
		bool whole = mtd->nand && room == mtd->flash.geometry.erase_bytes;
		int error = whole ? block_program(mtd, at, in, n) : device_program(mtd, at, in, n);

		if (error)
			return error;
		in += n;
		offset += n;
		bytes -= n;
	}
	return 0;
}

static int mtd_erase(void *context, uint64_t offset, uint64_t bytes)
{
	struct dfota_flash_mtd *mtd = context;

	for (uint64_t done = 0; done < bytes; done += mtd->flash.geometry.erase_bytes) {
		size_t room;
		int error = device_erase(mtd, place(mtd, offset + done, &room));

		if (error)
			return error;
	}
	return 0;
}

static int mtd_flush(void *context)
{
	(void)context; /* each program and erase is done when the call returns */
	return 0;
}

static int mtd_map_get(void *context, uint8_t ret_map[DFOTA_FLASH_MAP_MAX], size_t *ret_bytes)
{
	return mtd_map_put(context, ret_map, ret_bytes);
}

static int mtd_map_set(void *context, const uint8_t *map, size_t bytes)
{
	return mtd_map_take(context, map, bytes);
}

static const struct dfota_flash_ops mtd_ops = {
	.read = mtd_read,
	.write = mtd_write,
	.erase = mtd_erase,
	.flush = mtd_flush,
	.map_get = mtd_map_get,
	.map_set = mtd_map_set,
};

/* ---- opening -----------------------------------------------------------------------------------
 */

static int geometry_take(struct dfota_flash_mtd *mtd, const struct mtd_info_user *info,
			 uint64_t device_bytes)
{
	struct dfota_flash_geometry *geometry = &mtd->flash.geometry;

	if (info->writesize == 0 || info->writesize > PAGE_MAX || info->erasesize == 0 ||
	    info->erasesize > BLOCK_MAX || info->erasesize % info->writesize != 0 ||
	    device_bytes / info->erasesize > INT32_MAX)
		return DFOTA_E_IO;
	mtd->nand = info->type == MTD_NANDFLASH;
	mtd->block_count = (uint32_t)(device_bytes / info->erasesize);
	geometry->write_bytes = info->writesize;
	geometry->erase_bytes = info->erasesize;
	geometry->erased_value = 0xff;
	geometry->flags = info->flags & MTD_NO_ERASE ? 0 : DFOTA_FLASH_NEEDS_ERASE;
	return 0;
}

static int geometry_ask(struct dfota_flash_mtd *mtd, bool writable, const char **ret_what)
{
	struct mtd_info_user info = { 0 };
	uint64_t bytes;

	*ret_what = "this is not an MTD device";
	if (mtd->kernel->ioctl(mtd->fd, MEMGETINFO, &info))
		return DFOTA_E_IO;
	*ret_what = "the device is read-only";
	if (writable && !(info.flags & MTD_WRITEABLE))
		return DFOTA_E_IO;
	*ret_what = "this kind of flash is not supported";
	if (info.type == MTD_MLCNANDFLASH || info.type == MTD_UBIVOLUME || info.type == MTD_ABSENT)
		return DFOTA_E_IO;
	/* The structure's size has 32 bits. */
	if (!flash_attribute_number(mtd->kernel, mtd->fd, "size", &bytes))
		bytes = info.size;
	if (!flash_attribute_number(mtd->kernel, mtd->fd, "bitflip_threshold", &mtd->flips_max))
		mtd->flips_max = 0;
	*ret_what = "the device's geometry is not supported";
	return geometry_take(mtd, &info, bytes);
}

static int bad_blocks_find(struct dfota_flash_mtd *mtd, const char **ret_what)
{
	uint32_t block_bytes = mtd->flash.geometry.erase_bytes;

	for (uint32_t block = 0; mtd->nand && block < mtd->block_count; block++) {
		loff_t at = (loff_t)block * block_bytes;
		int bad = mtd->kernel->ioctl(mtd->fd, MEMGETBADBLOCK, &at);

		*ret_what = "the device does not tell which blocks are bad";
		if (bad < 0)
			return DFOTA_E_IO;
		*ret_what = "the device has too many bad blocks";
		if (bad && mtd->bad_count == DFOTA_MTD_BAD_MAX)
			return DFOTA_E_IO;
		if (bad)
			mtd->bad[mtd->bad_count++] = block;
	}
	mtd_map_measure(mtd);
	return 0;
}

static int device_open(struct dfota_flash_mtd *mtd, const char *path, bool writable,
		       const char **ret_what)
{
	struct stat status;

	mtd->fd = mtd->kernel->open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (mtd->fd < 0)
		return flash_open_error(errno, ret_what);
	*ret_what = "this is not a character device of MTD (/dev/mtd<number>)";
	if (mtd->kernel->status(mtd->fd, &status) || !S_ISCHR(status.st_mode))
		return DFOTA_E_IO;
	return 0;
}

int flash_mtd_open(struct dfota_flash_mtd *mtd, const struct flash_kernel *kernel, const char *path,
		   bool writable, const char **ret_what)
{
	int error;

	*mtd = (struct dfota_flash_mtd){
		.flash = { .ops = &mtd_ops, .context = mtd },
		.kernel = kernel,
		.fd = -1,
	};
	error = device_open(mtd, path, writable, ret_what);
	if (!error)
		error = geometry_ask(mtd, writable, ret_what);
	if (!error)
		error = bad_blocks_find(mtd, ret_what);
	if (!error) {
		*ret_what = "there is no memory for its buffer";
		mtd->page = malloc(mtd->flash.geometry.write_bytes);
		error = mtd->page ? 0 : DFOTA_E_MEMORY;
	}
	if (error)
		dfota_flash_mtd_close(mtd);
	else
		*ret_what = NULL;
	return error;
}

int dfota_flash_mtd_open(struct dfota_flash_mtd *mtd, const char *path, bool writable,
			 const char **ret_what)
{
	return flash_mtd_open(mtd, &flash_kernel_linux, path, writable, ret_what);
}

void dfota_flash_mtd_close(struct dfota_flash_mtd *mtd)
{
	if (!mtd->kernel)
		return;
	if (mtd->fd >= 0)
		(void)mtd->kernel->close(mtd->fd); /* nothing is pending */
	free(mtd->page);
	*mtd = (struct dfota_flash_mtd){ .fd = -1 };
}
