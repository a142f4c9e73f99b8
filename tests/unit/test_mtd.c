/* SPDX-License-Identifier: MIT
 *
 * The MTD backend against NAND that keeps count of broken rules.
 */
#include <mtd/mtd-user.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim_kernel.h"

#define PAGE   512u
#define BLOCK  (8 * PAGE)
#define BLOCKS 40u
#define PATH   "/dev/mtd3"

static const struct sim_device nand = {
	.path = PATH,
	.kind = SIM_DEVICE_MTD,
	.block_bytes = BLOCK,
	.block_count = BLOCKS,
	.page_bytes = PAGE,
	.type = MTD_NANDFLASH,
	.flags = MTD_CAP_NANDFLASH,
};

static struct sim_device device;
static struct dfota_flash_mtd mtd;
static struct dfota_flash *const flash = &mtd.flash;
static uint8_t data[3 * BLOCK], back[3 * BLOCK];

static int setup(void **state)
{
	(void)state;
	device = nand;
	sim_device_add(&device);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 300);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dfota_flash_mtd_close(&mtd);
	sim_kernel_clear();
	return 0;
}

static int open_it(void)
{
	const char *what;
	int error = flash_mtd_open(&mtd, &sim_kernel_calls, PATH, true, &what);

	assert_int_equal(what != NULL, error != 0);
	return error;
}

static void bad_blocks_are_left_out_and_never_touched(void **state)
{
	(void)state;
	sim_device_mark_bad(&device, 0);
	sim_device_mark_bad(&device, 3);
	sim_device_mark_bad(&device, 4);
	sim_device_mark_bad(&device, BLOCKS - 1);
	assert_int_equal(open_it(), 0);
	assert_int_equal(flash->geometry.size_bytes, (BLOCKS - 4 - 2) * BLOCK);
	assert_int_equal(flash->geometry.write_bytes, PAGE);
	assert_int_equal(flash->geometry.erase_bytes, BLOCK);
	assert_int_equal(flash->geometry.flags, DFOTA_FLASH_NEEDS_ERASE);
	/* Logical blocks 1, 2, 3 are 2, 5, 6 of the device. */
	assert_int_equal(dfota_flash_replace(flash, BLOCK, data, 3 * BLOCK), 0);
	assert_memory_equal(sim_device_block(&device, 2), data, BLOCK);
	assert_memory_equal(sim_device_block(&device, 5), data + BLOCK, BLOCK);
	assert_memory_equal(sim_device_block(&device, 6), data + 2 * BLOCK, BLOCK);
	assert_int_equal(sim_device_block(&device, 3)[0], 0xff);
	assert_int_equal(dfota_flash_flush(flash), 0);
	assert_int_equal(dfota_flash_read_back(flash, BLOCK + 100, back, 2 * BLOCK + 200), 0);
	assert_memory_equal(back, data + 100, 2 * BLOCK + 200);
	/* Again, and a part: the rest of the block is erased. */
	assert_int_equal(dfota_flash_replace(flash, BLOCK, data + PAGE, PAGE), 0);
	assert_int_equal(dfota_flash_write(flash, BLOCK + PAGE, data, PAGE), 0);
	assert_memory_equal(sim_device_block(&device, 2), data + PAGE, PAGE);
	assert_memory_equal(sim_device_block(&device, 2) + PAGE, data, PAGE);
	assert_int_equal(sim_device_block(&device, 2)[2 * PAGE], 0xff);
	assert_int_equal(device.broken_rules, 0);
	/* The counting itself: a page twice. */
	assert_int_equal(dfota_flash_write(flash, BLOCK + PAGE, data, PAGE), 0);
	assert_int_equal(device.broken_rules, 1);
}

static void spare_blocks_are_no_room(void **state)
{
	(void)state;
	for (uint32_t block = 10; block < BLOCKS - 2; block++)
		sim_device_mark_bad(&device, block);
	assert_int_equal(open_it(), 0);
	assert_int_equal(flash->geometry.size_bytes, 10 * BLOCK);
	assert_int_equal(dfota_flash_reserve(flash, 10 * BLOCK + 1), DFOTA_E_SPACE);
	dfota_flash_mtd_close(&mtd);
	for (uint32_t block = 0; block < 9; block++)
		sim_device_mark_bad(&device, block);
	assert_int_equal(open_it(), 0);
	assert_int_equal(flash->geometry.size_bytes, BLOCK);
	dfota_flash_mtd_close(&mtd);
	sim_device_mark_bad(&device, 9);
	assert_int_equal(open_it(), 0);
	assert_int_equal(flash->geometry.size_bytes, 0);
}

static void one_in_a_hundred_is_spare(void **state)
{
	(void)state;
	sim_kernel_clear();
	device = nand;
	device.block_count = 301;
	sim_device_add(&device);
	assert_int_equal(open_it(), 0);
	assert_int_equal(flash->geometry.size_bytes, (301 - 4) * BLOCK);
}

static void a_frozen_map_counts_whatever_the_device_says(void **state)
{
	uint8_t map[DFOTA_FLASH_MAP_MAX], other[DFOTA_FLASH_MAP_MAX];
	size_t bytes, other_bytes;

	(void)state;
	sim_device_mark_bad(&device, 1);
	assert_int_equal(open_it(), 0);
	assert_int_equal(dfota_flash_map_get(flash, map, &bytes), 0);
	assert_int_equal(dfota_flash_replace(flash, BLOCK, data, BLOCK), 0);
	dfota_flash_mtd_close(&mtd);

	sim_device_mark_bad(&device, 0);
	sim_device_mark_bad(&device, 20);
	assert_int_equal(open_it(), 0);
	assert_int_equal(flash->geometry.size_bytes, (BLOCKS - 5) * BLOCK);
	assert_int_equal(dfota_flash_map_set(flash, map, bytes), 0);
	assert_int_equal(flash->geometry.size_bytes, (BLOCKS - 3) * BLOCK);
	assert_int_equal(dfota_flash_read(flash, BLOCK, back, BLOCK), 0);
	assert_memory_equal(back, data, BLOCK);
	assert_int_equal(dfota_flash_map_get(flash, other, &other_bytes), 0);
	assert_int_equal(other_bytes, bytes);
	assert_memory_equal(other, map, bytes);
	/* A block that went bad meanwhile refuses; it does not let its place be taken. */
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), DFOTA_E_ERASE);
}

static void maps_that_are_not_this_devices_are_refused(void **state)
{
	static const struct {
		uint8_t map[6];
		size_t bytes;
	} rows[] = {
		{ { 0 }, 0 },		       /* nothing */
		{ { BLOCKS }, 1 },	       /* cut short */
		{ { BLOCKS, 1 }, 2 },	       /* cut short */
		{ { BLOCKS - 1, 0 }, 2 },      /* of another device */
		{ { BLOCKS, 1, BLOCKS }, 3 },  /* behind the end */
		{ { BLOCKS, 2, 5, 0 }, 4 },    /* the same twice */
		{ { BLOCKS, 2, 30, 20 }, 4 },  /* behind the end */
		{ { BLOCKS, 0, 0 }, 3 },       /* something follows */
		{ { BLOCKS, 0xff, 0xff }, 3 }, /* no number */
		{ { BLOCKS, 121 }, 2 },	       /* too many */
	};
	static const uint8_t good[] = { BLOCKS, 3, 0, 38, 1 };
	uint8_t longest[3 + 240] = { BLOCKS, 0xff, 1 };

	(void)state;
	assert_int_equal(open_it(), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(dfota_flash_map_set(flash, rows[i].map, rows[i].bytes),
				 DFOTA_E_CONTENT);
	assert_int_equal(dfota_flash_map_set(flash, longest, sizeof(longest)), DFOTA_E_CONTENT);
	assert_int_equal(flash->geometry.size_bytes, (BLOCKS - 2) * BLOCK);
	assert_int_equal(dfota_flash_map_set(flash, good, sizeof(good)), 0);
	assert_int_equal(flash->geometry.size_bytes, (BLOCKS - 5) * BLOCK);
}

static void as_many_bad_blocks_as_fit(void **state)
{
	uint8_t map[DFOTA_FLASH_MAP_MAX];
	size_t bytes;

	(void)state;
	sim_kernel_clear();
	device = nand;
	device.page_bytes = device.block_bytes = 512;
	device.block_count = 40000;
	sim_device_add(&device);
	for (uint32_t i = 0; i < DFOTA_MTD_BAD_MAX; i++)
		sim_device_mark_bad(&device, 300 + 200 * i);
	assert_int_equal(open_it(), 0);
	assert_int_equal(dfota_flash_map_get(flash, map, &bytes), 0);
	assert_int_equal(dfota_flash_map_set(flash, map, bytes), 0);
	assert_int_equal(mtd.bad_count, DFOTA_MTD_BAD_MAX);
	dfota_flash_mtd_close(&mtd);
	sim_device_mark_bad(&device, 0);
	assert_int_equal(open_it(), DFOTA_E_IO);
}

static void what_cannot_be_corrected_is_told(void **state)
{
	(void)state;
	assert_int_equal(open_it(), 0);
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), 0);
	device.pages[2] = SIM_PAGE_TORN;
	assert_int_equal(dfota_flash_read(flash, 0, back, 2 * PAGE), 0);
	assert_int_equal(dfota_flash_read(flash, 0, back, 2 * PAGE + 1), DFOTA_E_READ);
	assert_int_equal(dfota_flash_read_back(flash, 2 * PAGE, back, 1), DFOTA_E_READ);
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), 0);
	assert_int_equal(dfota_flash_read(flash, 0, back, BLOCK), 0);
	device.fail_program = 1 + 1;
	assert_int_equal(dfota_flash_replace(flash, BLOCK, data, BLOCK), DFOTA_E_WRITE);
	device.fail_erase = 2 + 1;
	assert_int_equal(dfota_flash_replace(flash, BLOCK * 2, data, BLOCK), DFOTA_E_ERASE);
	assert_int_equal(device.broken_rules, 0);
}

static void a_weak_block_is_written_again(void **state)
{
	(void)state;
	assert_int_equal(open_it(), 0);
	device.flips = 2;
	device.flips_times = 8;
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), 0);
	assert_int_equal(device.erases, 1);
	/* At the threshold: once more, and then it is good. */
	device.flips = 3;
	device.flips_times = 1;
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), 0);
	assert_int_equal(device.erases, 3);
	/* Always: it is taken after three times, for its bytes are right. */
	device.flips_times = 1000;
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), 0);
	assert_int_equal(device.erases, 6);
	assert_int_equal(device.broken_rules, 0);
	assert_int_equal(dfota_flash_read(flash, 0, back, BLOCK), 0);
	assert_memory_equal(back, data, BLOCK);
}

static void nor_has_neither_spare_blocks_nor_counters(void **state)
{
	(void)state;
	device.type = MTD_NORFLASH;
	device.flags = MTD_CAP_NORFLASH;
	device.no_counters = device.no_attributes = true;
	assert_int_equal(open_it(), 0);
	assert_int_equal(flash->geometry.size_bytes, BLOCKS * BLOCK);
	assert_int_equal(dfota_flash_replace(flash, BLOCK, data, BLOCK), 0);
	assert_int_equal(dfota_flash_read_back(flash, BLOCK, back, BLOCK), 0);
	assert_memory_equal(back, data, BLOCK);
	assert_int_equal(device.broken_rules, 0);
}

static void devices_that_will_not_do_are_refused(void **state)
{
	const char *what;

	(void)state;
	assert_int_equal(flash_mtd_open(&mtd, &sim_kernel_calls, "/dev/mtd4", true, &what),
			 DFOTA_E_NOT_FOUND);
	device.type = MTD_MLCNANDFLASH;
	assert_int_equal(open_it(), DFOTA_E_IO);
	device.type = MTD_NANDFLASH;
	device.flags = 0;
	assert_int_equal(open_it(), DFOTA_E_IO);
	assert_int_equal(flash_mtd_open(&mtd, &sim_kernel_calls, PATH, false, &what), 0);
	dfota_flash_mtd_close(&mtd);
	dfota_flash_mtd_close(&mtd);
	assert_int_equal(dfota_flash_mtd_open(&mtd, "/dev/null", true, &what), DFOTA_E_IO);
	assert_int_equal(dfota_flash_mtd_open(&mtd, "/dev/mtd999", true, &what), DFOTA_E_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bad_blocks_are_left_out_and_never_touched),
		TEST(spare_blocks_are_no_room),
		TEST(one_in_a_hundred_is_spare),
		TEST(a_frozen_map_counts_whatever_the_device_says),
		TEST(maps_that_are_not_this_devices_are_refused),
		TEST(as_many_bad_blocks_as_fit),
		TEST(what_cannot_be_corrected_is_told),
		TEST(a_weak_block_is_written_again),
		TEST(nor_has_neither_spare_blocks_nor_counters),
		TEST(devices_that_will_not_do_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
