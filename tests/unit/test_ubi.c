/* SPDX-License-Identifier: MIT
 *
 * The UBI backend against a volume that changes a block when its last byte has come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim_kernel.h"

#define BLOCK  15872u /* no power of two, as with 16 KiB erase blocks */
#define BLOCKS 6u
#define PATH   "/dev/ubi0_2"

static const struct sim_device volume = {
	.path = PATH,
	.kind = SIM_DEVICE_UBI,
	.block_bytes = BLOCK,
	.block_count = BLOCKS,
	.volume_type = "dynamic",
};

static struct sim_device device;
static struct dfota_flash_ubi ubi;
static struct dfota_flash *const flash = &ubi.flash;
static uint8_t data[3 * BLOCK], back[3 * BLOCK];

static int setup(void **state)
{
	(void)state;
	device = volume;
	sim_device_add(&device);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 300);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dfota_flash_ubi_close(&ubi);
	sim_kernel_clear();
	return 0;
}

static int open_it(void)
{
	const char *what;
	int error = flash_ubi_open(&ubi, &sim_kernel_calls, PATH, true, &what);

	assert_int_equal(what != NULL, error != 0);
	return error;
}

static void blocks_are_changed_one_by_one(void **state)
{
	(void)state;
	assert_int_equal(open_it(), 0);
	assert_int_equal(flash->geometry.size_bytes, BLOCK * BLOCKS);
	assert_int_equal(flash->geometry.erase_bytes, BLOCK);
	assert_int_equal(flash->geometry.flags, DFOTA_FLASH_ATOMIC_BLOCK);
	assert_int_equal(dfota_flash_replace(flash, BLOCK, data, 2 * BLOCK + 77), 0);
	assert_int_equal(device.changes, 3);
	assert_int_equal(dfota_flash_flush(flash), 0);
	assert_int_equal(dfota_flash_read_back(flash, BLOCK + 5, back, 2 * BLOCK + 72), 0);
	assert_memory_equal(back, data + 5, 2 * BLOCK + 72);
	assert_int_equal(dfota_flash_read(flash, 3 * BLOCK + 77, back, 1), 0);
	assert_int_equal(back[0], 0xff);
	assert_int_equal(dfota_flash_write(flash, BLOCK + 512, data, 512), DFOTA_E_WRITE);
	assert_int_equal(dfota_flash_replace(flash, BLOCK + 512, data, 512), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_reserve(flash, BLOCK * BLOCKS + 1), DFOTA_E_SPACE);
	assert_int_equal(device.changes, 3);
}

static void a_change_that_failed_does_not_block_the_next(void **state)
{
	(void)state;
	assert_int_equal(open_it(), 0);
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), 0);
	device.fail_changes = 1;
	assert_int_equal(dfota_flash_replace(flash, 0, data + BLOCK, BLOCK), DFOTA_E_WRITE);
	assert_memory_equal(sim_device_block(&device, 0), data, BLOCK);
	assert_int_equal(dfota_flash_replace(flash, 0, data + BLOCK, BLOCK), 0);
	assert_memory_equal(sim_device_block(&device, 0), data + BLOCK, BLOCK);
	/* And one that cannot be opened again fails, and harms nothing. */
	device.fail_changes = 1;
	device.busy = true;
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), DFOTA_E_WRITE);
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), DFOTA_E_WRITE);
	assert_int_equal(dfota_flash_read(flash, 0, back, 1), DFOTA_E_READ);
	assert_int_equal(dfota_flash_flush(flash), DFOTA_E_FLUSH);
	device.busy = false;
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), DFOTA_E_WRITE);
	assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), 0);
}

static void a_cut_leaves_the_old_block_or_the_new_one(void **state)
{
	(void)state;
	for (int kind = 0; kind < SIM_CUT_KIND_COUNT; kind++) {
		assert_int_equal(open_it(), 0);
		assert_int_equal(dfota_flash_replace(flash, 0, data, BLOCK), 0);
		sim_kernel_boot();
		assert_int_equal(open_it(), 0);
		sim_kernel.cut_at = 1;
		sim_kernel.cut = (enum sim_cut_kind)kind;
		assert_int_equal(dfota_flash_replace(flash, 0, data + BLOCK, BLOCK), DFOTA_E_WRITE);
		sim_kernel_boot();
		assert_true(memcmp(sim_device_block(&device, 0), data, BLOCK) == 0 ||
			    memcmp(sim_device_block(&device, 0), data + BLOCK, BLOCK) == 0);
	}
}

static void volumes_that_will_not_do_are_refused(void **state)
{
	const char *what;

	(void)state;
	device.volume_type = "static";
	assert_int_equal(open_it(), DFOTA_E_IO);
	device.volume_type = "dynamic";
	device.update_marker = true;
	assert_int_equal(open_it(), DFOTA_E_IO);
	device.update_marker = false;
	device.no_attributes = true;
	assert_int_equal(open_it(), DFOTA_E_IO);
	device.no_attributes = false;
	device.busy = true;
	assert_int_equal(open_it(), DFOTA_E_BUSY);
	device.busy = false;
	assert_int_equal(open_it(), 0);
	assert_int_equal(device.changes, 0);
	dfota_flash_ubi_close(&ubi);
	dfota_flash_ubi_close(&ubi);
	assert_int_equal(dfota_flash_ubi_open(&ubi, "/dev/null", true, &what), DFOTA_E_IO);
	assert_int_equal(dfota_flash_ubi_open(&ubi, "/dev/ubi9_99", true, &what),
			 DFOTA_E_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(blocks_are_changed_one_by_one),
		TEST(a_change_that_failed_does_not_block_the_next),
		TEST(a_cut_leaves_the_old_block_or_the_new_one),
		TEST(volumes_that_will_not_do_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
