/* SPDX-License-Identifier: MIT
 *
 * Backends of real storage: the block backend on a file that a test's kernel shows as a device, the
 * same on a loop device where one can be had, and the names of kinds.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/flash/kernel.h"

#define DEVICE_BYTES (1u << 20)
#define FDS_MAX	     1024

static char folder[] = "/tmp/dfota-storage-XXXXXX";
static char image_path[64];

/* ---- a kernel that shows a file as a block device ----------------------------------------------
 */

static struct {
	bool direct[FDS_MAX], exclusive_asked;
	int sector, physical;
	mode_t kind;
	unsigned flushes, direct_reads, direct_writes;
	int short_by; /* each direct write does so many bytes less, once */
	int fail_write, fail_flush, fail_open;
} fake;

static int fake_open(const char *path, int flags)
{
	int fd;

	if (fake.fail_open && (flags & O_DIRECT)) {
		errno = fake.fail_open;
		return -1;
	}
	fake.exclusive_asked |= (flags & O_EXCL) != 0;
	fd = open(path, flags & ~(O_DIRECT | O_EXCL));
	if (fd >= 0 && fd < FDS_MAX)
		fake.direct[fd] = (flags & O_DIRECT) != 0;
	return fd;
}

static int fake_status(int fd, struct stat *ret_status)
{
	int error = fstat(fd, ret_status);

	ret_status->st_mode = fake.kind;
	return error;
}

/* What a kernel asks of direct transfers. */
static bool transfer_ok(int fd, const void *buffer, size_t bytes, off_t offset)
{
	size_t sector = (size_t)fake.sector;

	if (!fake.direct[fd] || (bytes % sector == 0 && (size_t)offset % sector == 0 &&
				 (uintptr_t)buffer % sector == 0))
		return true;
	errno = EINVAL;
	return false;
}

static ssize_t fake_pread(int fd, void *buffer, size_t bytes, off_t offset)
{
	fake.direct_reads += fake.direct[fd];
	return transfer_ok(fd, buffer, bytes, offset) ? pread(fd, buffer, bytes, offset) : -1;
}

static ssize_t fake_pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	assert_true(fake.direct[fd]);
	if (fake.fail_write) {
		errno = fake.fail_write;
		return -1;
	}
	if (fake.short_by && bytes > (size_t)fake.short_by) {
		bytes -= (size_t)fake.short_by;
		fake.short_by = 0;
	}
	fake.direct_writes++;
	if ((size_t)offset % (size_t)fake.sector != 0) {
		errno = EINVAL;
		return -1;
	}
	return pwrite(fd, data, bytes, offset);
}

static int fake_fdatasync(int fd)
{
	assert_true(fake.direct[fd]);
	fake.flushes++;
	errno = EIO;
	return fake.fail_flush ? -1 : 0;
}

static int fake_ioctl(int fd, unsigned long request, void *argument)
{
	struct stat status;

	if (fstat(fd, &status))
		return -1;
	if (request == BLKSSZGET)
		*(int *)argument = fake.sector;
	else if (request == BLKPBSZGET)
		*(unsigned *)argument = (unsigned)fake.physical;
	else if (request == BLKGETSIZE64)
		*(uint64_t *)argument = (uint64_t)status.st_size;
	else
		return -1;
	return 0;
}

static const struct flash_kernel fake_kernel = {
	.open = fake_open,
	.close = close,
	.status = fake_status,
	.pread = fake_pread,
	.pwrite = fake_pwrite,
	.fdatasync = fake_fdatasync,
	.ioctl = fake_ioctl,
};

static void image_make(uint64_t bytes)
{
	int fd = open(image_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
	memset(&fake, 0, sizeof(fake));
	fake.sector = fake.physical = 512;
	fake.kind = S_IFBLK | 0600;
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(image_path, sizeof(image_path), "%s/image", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(image_path);
	return rmdir(folder);
}

/* ---- block -------------------------------------------------------------------------------------
 */

static void fill(uint8_t *data, size_t bytes, unsigned seed)
{
	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)((i * 31 + seed * 7 + i / 251) & 0xff);
}

/* Writes at the start, over more than one transfer, and at the end; reads both ways at odd places.
 */
static void write_and_read(struct dfota_flash *flash)
{
	static uint8_t data[400 * 1024], back[400 * 1024];
	uint64_t size = flash->geometry.size_bytes;
	uint32_t page = flash->geometry.write_bytes;

	fill(data, sizeof(data), 1);
	assert_int_equal(dfota_flash_read(flash, page, back, 100), 0); /* now it is cached */
	assert_int_equal(dfota_flash_replace(flash, 0, data, sizeof(data)), 0);
	assert_int_equal(dfota_flash_replace(flash, size - page, data, page), 0);
	assert_int_equal(dfota_flash_flush(flash), 0);
	memset(back, 0, sizeof(back));
	assert_int_equal(dfota_flash_read(flash, 0, back, sizeof(back)), 0);
	assert_memory_equal(back, data, sizeof(back));
	memset(back, 0, sizeof(back));
	assert_int_equal(dfota_flash_read_back(flash, 3, back, sizeof(back) - 3), 0);
	assert_memory_equal(back, data + 3, sizeof(back) - 3);
	assert_int_equal(dfota_flash_read_back(flash, size - 1, back, 1), 0);
	assert_int_equal(back[0], data[page - 1]);
	assert_int_equal(dfota_flash_read(flash, sizeof(data), back, 1), 0);
	assert_int_equal(back[0], 0);
	assert_int_equal(dfota_flash_write(flash, 1, data, page), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_reserve(flash, size), 0);
	assert_int_equal(dfota_flash_reserve(flash, size + 1), DFOTA_E_SPACE);
}

static void block_writes_past_the_cache_in_whole_sectors(void **state)
{
	struct dfota_flash_block block;
	const char *what;

	(void)state;
	image_make(DEVICE_BYTES);
	fake.short_by = 512 * 3;
	assert_int_equal(flash_block_open(&block, &fake_kernel, image_path, true, &what), 0);
	assert_null(what);
	assert_true(fake.exclusive_asked);
	assert_int_equal(block.flash.geometry.size_bytes, DEVICE_BYTES);
	assert_int_equal(block.flash.geometry.write_bytes, 512);
	assert_int_equal(block.flash.geometry.erase_bytes, 512);
	assert_int_equal(block.flash.geometry.flags, 0);
	write_and_read(&block.flash);
	assert_int_equal(fake.flushes, 1);
	assert_int_equal(fake.short_by, 0);
	assert_true(fake.direct_writes >= 5 && fake.direct_reads >= 4);
	dfota_flash_block_close(&block);
	dfota_flash_block_close(&block);
}

static void block_takes_physical_blocks_for_its_geometry(void **state)
{
	static const struct {
		int sector, physical;
		uint32_t write_bytes, erase_bytes;
	} rows[] = {
		{ 512, 512, 512, 512 },	     { 512, 4096, 4096, 4096 }, { 4096, 4096, 4096, 4096 },
		{ 512, 16384, 4096, 16384 }, { 4096, 512, 4096, 4096 }, { 512, 0, 512, 512 },
		{ 512, 1 << 20, 512, 512 },  { 512, 3000, 512, 512 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dfota_flash_block block;
		const char *what;

		image_make(DEVICE_BYTES);
		fake.sector = rows[i].sector;
		fake.physical = rows[i].physical;
		assert_int_equal(flash_block_open(&block, &fake_kernel, image_path, true, &what),
				 0);
		assert_int_equal(block.flash.geometry.write_bytes, rows[i].write_bytes);
		assert_int_equal(block.flash.geometry.erase_bytes, rows[i].erase_bytes);
		dfota_flash_block_close(&block);
	}
}

static void block_tells_what_fails(void **state)
{
	struct dfota_flash_block block;
	uint8_t data[512] = { 1 };
	const char *what;

	(void)state;
	image_make(DEVICE_BYTES);
	fake.fail_open = EBUSY;
	assert_int_equal(flash_block_open(&block, &fake_kernel, image_path, true, &what),
			 DFOTA_E_BUSY);
	assert_non_null(what);
	fake.fail_open = 0;
	fake.kind = S_IFREG | 0600;
	assert_int_equal(flash_block_open(&block, &fake_kernel, image_path, true, &what),
			 DFOTA_E_IO);
	fake.kind = S_IFBLK | 0600;
	fake.sector = 8192;
	assert_int_equal(flash_block_open(&block, &fake_kernel, image_path, true, &what),
			 DFOTA_E_IO);
	fake.sector = 512;
	assert_int_equal(flash_block_open(&block, &fake_kernel, "/nowhere", true, &what),
			 DFOTA_E_NOT_FOUND);
	assert_int_equal(flash_block_open(&block, &fake_kernel, image_path, true, &what), 0);
	fake.fail_write = EIO;
	assert_int_equal(dfota_flash_write(&block.flash, 0, data, 512), DFOTA_E_WRITE);
	fake.fail_write = 0;
	fake.short_by = 100;
	assert_int_equal(dfota_flash_write(&block.flash, 0, data, 512), DFOTA_E_WRITE);
	fake.fail_flush = 1;
	assert_int_equal(dfota_flash_flush(&block.flash), DFOTA_E_FLUSH);
	dfota_flash_block_close(&block);
}

/* A loop device on the image, or -1 with the reason told. */
static int loop_make(char path[64])
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number, device, image;

	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (control >= 0)
		close(control);
	if (number < 0)
		return -1;
	(void)snprintf(path, 64, "/dev/loop%d", number);
	device = open(path, O_RDWR | O_CLOEXEC);
	image = open(image_path, O_RDWR | O_CLOEXEC);
	if (device >= 0 && (image < 0 || ioctl(device, LOOP_SET_FD, image))) {
		close(device);
		device = -1;
	}
	if (image >= 0)
		close(image);
	return device;
}

static void block_on_a_loop_device(void **state)
{
	struct dfota_storage storage, second;
	uint8_t page[4096] = { 0 };
	const char *what;
	char path[64];
	int device;

	(void)state;
	image_make(DEVICE_BYTES);
	device = loop_make(path);
	if (device < 0) {
		print_message("NOT TESTED: no loop device can be set up here\n");
		skip();
	}
	assert_int_equal(
	    dfota_storage_open(&storage, DFOTA_STORAGE_BLOCK, path, DFOTA_STORAGE_WRITE, &what), 0);
	/* In use: by another updater as well as by a mount. */
	assert_int_equal(
	    dfota_storage_open(&second, DFOTA_STORAGE_BLOCK, path, DFOTA_STORAGE_WRITE, &what),
	    DFOTA_E_BUSY);
	assert_null(dfota_storage_flash(&second));
	write_and_read(dfota_storage_flash(&storage));
	dfota_storage_close(&storage);
	assert_null(dfota_storage_flash(&storage));
	assert_int_equal(
	    dfota_storage_open(&storage, DFOTA_STORAGE_BLOCK, path, DFOTA_STORAGE_READ, &what), 0);
	assert_int_equal(
	    dfota_flash_read_back(dfota_storage_flash(&storage), 5, path, sizeof(path)), 0);
	assert_int_equal(dfota_flash_replace(dfota_storage_flash(&storage), 0, page, sizeof(page)),
			 DFOTA_E_WRITE);
	dfota_storage_close(&storage);
	assert_int_equal(ioctl(device, LOOP_CLR_FD, 0), 0);
	close(device);
}

/* ---- names -------------------------------------------------------------------------------------
 */

static void kinds_are_parsed(void **state)
{
	static const struct {
		const char *text, *path;
		enum dfota_storage_kind kind;
	} rows[] = {
		{ "state/area", "state/area", DFOTA_STORAGE_FILE },
		{ "/a:b/c", "/a:b/c", DFOTA_STORAGE_FILE },
		{ "file:x:y", "x:y", DFOTA_STORAGE_FILE },
		{ "block:/dev/mmcblk0p5", "/dev/mmcblk0p5", DFOTA_STORAGE_BLOCK },
		{ "mtd:/dev/mtd3", "/dev/mtd3", DFOTA_STORAGE_MTD },
		{ "ubi:/dev/ubi0_2", "/dev/ubi0_2", DFOTA_STORAGE_UBI },
		{ "block:", NULL, DFOTA_STORAGE_NONE },
		{ "blocks:/dev/x", NULL, DFOTA_STORAGE_NONE },
		{ "bloc:/dev/x", NULL, DFOTA_STORAGE_NONE },
		{ ":/dev/x", NULL, DFOTA_STORAGE_NONE },
		{ "", NULL, DFOTA_STORAGE_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum dfota_storage_kind kind = DFOTA_STORAGE_NONE;
		const char *path = NULL;
		bool good = dfota_storage_parse(rows[i].text, &kind, &path);

		assert_int_equal(good, rows[i].path != NULL);
		if (!good)
			continue;
		assert_int_equal(kind, rows[i].kind);
		assert_string_equal(path, rows[i].path);
	}
}

static void a_file_is_storage_too(void **state)
{
	struct dfota_storage storage;
	const char *what;

	(void)state;
	(void)unlink(image_path);
	assert_int_equal(dfota_storage_open(&storage, DFOTA_STORAGE_FILE, image_path,
					    DFOTA_STORAGE_WRITE, &what),
			 DFOTA_E_NOT_FOUND);
	assert_non_null(what);
	dfota_storage_close(&storage);
	assert_int_equal(dfota_storage_open(&storage, DFOTA_STORAGE_FILE, image_path,
					    DFOTA_STORAGE_CREATE, &what),
			 0);
	assert_int_equal(dfota_flash_resize(dfota_storage_flash(&storage), 100), 0);
	dfota_storage_close(&storage);
	dfota_storage_close(&storage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_writes_past_the_cache_in_whole_sectors),
		cmocka_unit_test(block_takes_physical_blocks_for_its_geometry),
		cmocka_unit_test(block_tells_what_fails),
		cmocka_unit_test(block_on_a_loop_device),
		cmocka_unit_test(kinds_are_parsed),
		cmocka_unit_test(a_file_is_storage_too),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
