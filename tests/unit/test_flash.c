/* SPDX-License-Identifier: MIT
 *
 * Flash: bounds and alignment of every call, the file backend, and the simulated flash that other
 * tests rely on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dfota/flash.h"
#include "sim_flash.h"

static char folder[] = "/tmp/dfota-flash-XXXXXX";
static char file_path[64];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(file_path, sizeof(file_path), "%s/image", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(file_path);
	return rmdir(folder);
}

static void file_keeps_what_is_written(void **state)
{
	struct dfota_flash_file file;
	uint8_t data[1000], back[1000];

	(void)state;
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(dfota_flash_file_open(&file, file_path, true), DFOTA_E_NOT_FOUND);
	dfota_flash_file_close(&file);
	assert_int_equal(dfota_flash_file_create(&file, file_path), 0);
	assert_int_equal(file.flash.geometry.size_bytes, 0);
	assert_int_equal(dfota_flash_write(&file.flash, 0, data, 1), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_resize(&file.flash, 3000), 0);
	assert_int_equal(dfota_flash_replace(&file.flash, 2000, data, sizeof(data)), 0);
	assert_int_equal(dfota_flash_flush(&file.flash), 0);
	assert_int_equal(dfota_flash_read_back(&file.flash, 2000, back, sizeof(back)), 0);
	assert_memory_equal(back, data, sizeof(data));
	dfota_flash_file_close(&file);

	assert_int_equal(dfota_flash_file_open(&file, file_path, false), 0);
	assert_int_equal(file.flash.geometry.size_bytes, 3000);
	assert_int_equal(dfota_flash_read(&file.flash, 1500, back, sizeof(back)), 0);
	assert_int_equal(back[499], 0);
	assert_int_equal(back[500], 0x5a);
	assert_int_equal(dfota_flash_write(&file.flash, 0, data, 1), DFOTA_E_WRITE);
	assert_int_equal(dfota_flash_reserve(&file.flash, 4000), DFOTA_E_WRITE);
	dfota_flash_file_close(&file);
	dfota_flash_file_close(&file);
}

static void file_reserves_without_changing_size_or_content(void **state)
{
	struct dfota_flash_file file;
	struct stat status;
	uint8_t byte;

	(void)state;
	assert_int_equal(dfota_flash_file_create(&file, file_path), 0);
	assert_int_equal(dfota_flash_resize(&file.flash, 3000), 0);
	assert_int_equal(dfota_flash_reserve(&file.flash, 1 << 20), 0);
	assert_int_equal(fstat(file.fd, &status), 0);
	assert_int_equal(status.st_size, 3000);
	assert_true(status.st_blocks * 512 >= 1 << 20);
	assert_int_equal(dfota_flash_read(&file.flash, 2999, &byte, 1), 0);
	assert_int_equal(dfota_flash_reserve(&file.flash, UINT64_MAX), DFOTA_E_SPACE);
	assert_int_equal(dfota_flash_reserve(&file.flash, INT64_MAX), DFOTA_E_SPACE);
	dfota_flash_file_close(&file);
	assert_int_equal(stat(file_path, &status), 0);
	assert_int_equal(status.st_size, 3000);
	assert_true(status.st_blocks * 512 < 1 << 20);
}

static void file_refuses_what_is_no_file(void **state)
{
	struct dfota_flash_file file;

	(void)state;
	assert_int_equal(dfota_flash_file_open(&file, folder, false), DFOTA_E_IO);
	assert_int_equal(dfota_flash_file_open(&file, "/dev/null", false), DFOTA_E_IO);
	assert_int_equal(dfota_flash_file_create(&file, "/dev/null/x"), DFOTA_E_IO);
	assert_int_equal(file.fd, -1);
}

static const struct dfota_flash_geometry nand = {
	.size_bytes = 16384,
	.write_bytes = 512,
	.erase_bytes = 4096,
	.erased_value = 0xff,
	.flags = DFOTA_FLASH_NEEDS_ERASE,
};

static void calls_out_of_bounds_or_alignment_are_refused(void **state)
{
	struct sim_power power;
	struct sim_flash sim;
	uint8_t data[8192] = { 1 };
	struct dfota_flash *flash = &sim.flash;

	(void)state;
	sim_power_init(&power, 1);
	sim_flash_init(&sim, &power, "nand", &nand, 16384);
	assert_int_equal(dfota_flash_read(flash, 16384, data, 1), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_read(flash, UINT64_MAX, data, 2), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_read_back(flash, 16383, data, 2), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_write(flash, 1, data, 512), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_write(flash, 0, data, 513), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_replace(flash, 512, data, 512), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_replace(flash, 12288, data, 8192), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_read(flash, 16384, data, 0), 0);
	assert_int_equal(dfota_flash_reserve(flash, 16384), 0);
	assert_int_equal(dfota_flash_reserve(flash, 16385), DFOTA_E_SPACE);
	assert_int_equal(dfota_flash_resize(flash, 16384), 0);
	assert_int_equal(dfota_flash_resize(flash, 8192), DFOTA_E_RESIZE);
	assert_int_equal(power.operations, 0);
	sim_flash_free(&sim);
}

static void replace_erases_whole_blocks_first(void **state)
{
	struct sim_power power;
	struct sim_flash sim;
	uint8_t data[512], back[4096];
	struct dfota_flash *flash = &sim.flash;

	(void)state;
	memset(data, 0, sizeof(data));
	sim_power_init(&power, 1);
	sim_flash_init(&sim, &power, "nand", &nand, 16384);
	for (uint64_t at = 4096; at < 8192; at += 512)
		assert_int_equal(dfota_flash_write(flash, at, data, 512), 0);
	assert_int_equal(dfota_flash_write(flash, 4096, data, 512), DFOTA_E_WRITE);
	memset(data, 3, sizeof(data));
	assert_int_equal(dfota_flash_replace(flash, 4096, data, 512), 0);
	assert_int_equal(dfota_flash_flush(flash), 0);
	assert_int_equal(dfota_flash_read_back(flash, 4096, back, 4096), 0);
	assert_memory_equal(back, data, 512);
	assert_int_equal(back[512], 0xff);
	assert_int_equal(back[4095], 0xff);
	sim_flash_free(&sim);
}

/* ---- the simulated flash itself: a campaign is only as good as it is ------------------------- */

static const struct dfota_flash_geometry plain = {
	.size_bytes = 8192,
	.write_bytes = 1,
	.erase_bytes = 1,
	.flags = DFOTA_FLASH_RESIZABLE,
};

/* Writes A to 0..4095 and flushes, then writes B there under a cut; returns what is left. */
static void cut_over(enum sim_outcome outcome, uint64_t seed, uint8_t *ret_left, int boots)
{
	struct sim_power power;
	struct sim_flash sim;
	uint8_t data[4096];

	sim_power_init(&power, seed);
	sim_flash_init(&sim, &power, "plain", &plain, 8192);
	memset(data, 'A', sizeof(data));
	assert_int_equal(dfota_flash_write(&sim.flash, 0, data, sizeof(data)), 0);
	assert_int_equal(dfota_flash_flush(&sim.flash), 0);
	power.cut_at = 3;
	power.outcome = outcome;
	memset(data, 'B', sizeof(data));
	assert_int_equal(dfota_flash_write(&sim.flash, 0, data, sizeof(data)), DFOTA_E_WRITE);
	assert_int_equal(dfota_flash_read(&sim.flash, 0, data, 1), DFOTA_E_READ);
	assert_int_equal(dfota_flash_flush(&sim.flash), DFOTA_E_FLUSH);
	while (boots-- > 0)
		sim_boot(&power);
	assert_int_equal(dfota_flash_read(&sim.flash, 0, ret_left, 4096), 0);
	sim_flash_free(&sim);
}

static void sim_cut_ends_as_told(void **state)
{
	uint8_t left[4096], again[4096], all_a[4096], all_b[4096];
	bool mixed = false;

	(void)state;
	memset(all_a, 'A', sizeof(all_a));
	memset(all_b, 'B', sizeof(all_b));
	cut_over(SIM_NONE, 1, left, 1);
	assert_memory_equal(left, all_a, sizeof(left));
	cut_over(SIM_DONE, 1, left, 2);
	assert_memory_equal(left, all_b, sizeof(left));
	cut_over(SIM_UNSTABLE, 1, left, 1);
	assert_memory_equal(left, all_b, sizeof(left));
	cut_over(SIM_UNSTABLE, 1, left, 2);
	assert_memory_not_equal(left, all_b, sizeof(left));
	cut_over(SIM_GARBAGE, 1, left, 1);
	cut_over(SIM_GARBAGE, 1, again, 1);
	assert_memory_equal(left, again, sizeof(left));
	assert_memory_not_equal(left, all_a, sizeof(left));
	for (uint64_t seed = 0; seed < 16; seed++) {
		cut_over(SIM_TORN, seed, left, 1);
		for (size_t i = 0; i < sizeof(left); i++)
			assert_true(left[i] == 'A' || left[i] == 'B');
		mixed = mixed || (memcmp(left, all_a, 4096) && memcmp(left, all_b, 4096));
	}
	assert_true(mixed);
}

static void sim_unflushed_writes_end_in_any_way(void **state)
{
	uint32_t lost = 0, kept = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 64; seed++) {
		struct sim_power power;
		struct sim_flash one, two;
		uint8_t byte = 1;

		sim_power_init(&power, seed);
		sim_flash_init(&one, &power, "one", &plain, 8192);
		sim_flash_init(&two, &power, "two", &plain, 8192);
		power.cut_at = 3;
		power.outcome = SIM_NONE;
		assert_int_equal(dfota_flash_write(&one.flash, 0, &byte, 1), 0);
		assert_int_equal(dfota_flash_write(&one.flash, 4096, &byte, 1), 0);
		assert_int_equal(dfota_flash_write(&two.flash, 0, &byte, 1), DFOTA_E_WRITE);
		sim_boot(&power);
		assert_int_equal(sim_flash_view(&two)[0], 0);
		lost += sim_flash_view(&one)[0] == 0;
		kept += sim_flash_view(&one)[0] == 1 && sim_flash_view(&one)[4096] == 0;
		sim_flash_free(&one);
		sim_flash_free(&two);
	}
	assert_in_range(lost, 10, 54);
	assert_in_range(kept, 2, 54);
}

static void sim_faults_hit_as_told(void **state)
{
	struct sim_power power;
	struct sim_flash sim;
	uint8_t byte = 1;

	(void)state;
	sim_power_init(&power, 1);
	sim_flash_init(&sim, &power, "plain", &plain, 8192);
	sim.faults[SIM_WRITE] = (struct sim_fault){ .skip = 1, .times = 2, .end_byte = 4096 };
	assert_int_equal(dfota_flash_write(&sim.flash, 5000, &byte, 1), 0);
	assert_int_equal(dfota_flash_write(&sim.flash, 0, &byte, 1), 0);
	assert_int_equal(dfota_flash_write(&sim.flash, 0, &byte, 1), DFOTA_E_WRITE);
	assert_int_equal(dfota_flash_write(&sim.flash, 0, &byte, 1), DFOTA_E_WRITE);
	assert_int_equal(dfota_flash_write(&sim.flash, 0, &byte, 1), 0);
	sim_flash_free(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_keeps_what_is_written),
		cmocka_unit_test(file_reserves_without_changing_size_or_content),
		cmocka_unit_test(file_refuses_what_is_no_file),
		cmocka_unit_test(calls_out_of_bounds_or_alignment_are_refused),
		cmocka_unit_test(replace_erases_whole_blocks_first),
		cmocka_unit_test(sim_cut_ends_as_told),
		cmocka_unit_test(sim_unflushed_writes_end_in_any_way),
		cmocka_unit_test(sim_faults_hit_as_told),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
