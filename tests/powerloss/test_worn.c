/* SPDX-License-Identifier: MIT
 *
 * NAND whose blocks wear out: the updater on the MTD backend, on a kernel that fails to erase or to
 * program one block. Five attempts, each told as an error, then a failure; never a wrong success,
 * and nothing lost: when the block works again, the same package ends in the new images.
 */
#include <mtd/mtd-user.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dfota/updater.h"
#include "shape.h"
#include "sim_kernel.h"

#define PAGE	   512u
#define AREA_BLOCK 4096u
#define BAD	   1u /* block of each partition that is bad from the start */
#define SPARE	   3u /* blocks beyond the larger image: BAD, and those that the backend keeps */

enum trouble { TROUBLE_ERASE, TROUBLE_PROGRAM, TROUBLE_MARKED, TROUBLE_COUNT };
static const char *const trouble_names[] = { "erase fails", "program fails",
					     "erase fails, marked" };
static const char *const paths[] = { "/dev/mtd0", "/dev/mtd1", "/dev/mtd2", "/dev/mtd3" };

static char folder[SCRATCH_MAX];

struct bench {
	struct upgrade upgrade;
	struct dfota_trust *trust;
	struct dfota_package *package;
	struct sim_device devices[1 + SHAPE_PARTITIONS_MAX]; /* the area first */
	struct dfota_updater_report report;
	void *memory;
	uint64_t memory_bytes;
	uint32_t unharmed, whole, mixed; /* upgrades, by how they ended */
};

static int setup(void **state)
{
	(void)state;
	scratch_make(folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scratch_remove(folder);
	return 0;
}

/* ---- the device ------------------------------------------------------------------------------ */

static struct sim_device nand(const char *path, uint32_t block_bytes, uint64_t blocks)
{
	return (struct sim_device){
		.path = path,
		.kind = SIM_DEVICE_MTD,
		.block_bytes = block_bytes,
		.block_count = (uint32_t)blocks,
		.page_bytes = PAGE,
		.type = MTD_NANDFLASH,
		.flags = MTD_CAP_NANDFLASH,
	};
}

/* Cells of the k-th block that was good at the start. */
static uint8_t *cells_of(const struct sim_device *device, uint64_t k)
{
	return device->cells + (k + (k >= BAD)) * device->block_bytes;
}

static void image_load(struct sim_device *device, const uint8_t *image, uint64_t bytes)
{
	uint32_t pages = device->block_bytes / PAGE;

	sim_device_mark_bad(device, BAD);
	for (uint64_t at = 0; at < bytes; at += device->block_bytes) {
		uint8_t *cells = cells_of(device, at / device->block_bytes);
		uint64_t page = (uint64_t)(cells - device->cells) / PAGE;

		memcpy(cells, image + at, dfota_min64(device->block_bytes, bytes - at));
		for (uint32_t i = 0; i < pages; i++)
			device->pages[page + i] = SIM_PAGE_PROGRAMMED;
	}
}

static bool image_is(const struct sim_device *device, const uint8_t *image, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += device->block_bytes)
		if (memcmp(cells_of(device, at / device->block_bytes), image + at,
			   dfota_min64(device->block_bytes, bytes - at)) != 0)
			return false;
	return true;
}

static bool all_are(const struct bench *bench, bool is_new)
{
	const struct upgrade *u = &bench->upgrade;
	bool good = true;

	for (uint32_t i = 0; i < u->count; i++)
		good = good &&
		       image_is(&bench->devices[1 + i],
				is_new ? u->partitions[i].new_image : u->partitions[i].old_image,
				is_new ? u->partitions[i].new_bytes : u->partitions[i].old_bytes);
	return good;
}

/* Old images, an erased area. */
static void devices_make(struct bench *bench)
{
	const struct upgrade *u = &bench->upgrade;
	struct dfota_flash_geometry geometry = { .write_bytes = PAGE,
						 .erase_bytes = AREA_BLOCK,
						 .erased_value = 0xff,
						 .flags = DFOTA_FLASH_NEEDS_ERASE };
	uint64_t area = dfota_updater_area(bench->package, &geometry, bench->memory, bench->memory_bytes) / AREA_BLOCK;

	sim_kernel_clear();
	bench->devices[0] = nand(paths[0], AREA_BLOCK, area + SPARE);
	sim_device_add(&bench->devices[0]);
	sim_device_mark_bad(&bench->devices[0], BAD);
	for (uint32_t i = 0; i < u->count; i++) {
		uint32_t unit = u->shape->unit_bytes;
		uint64_t most = u->partitions[i].old_bytes > u->partitions[i].new_bytes
				    ? u->partitions[i].old_bytes
				    : u->partitions[i].new_bytes;

		bench->devices[1 + i] = nand(paths[1 + i], unit, (most + unit - 1) / unit + SPARE);
		sim_device_add(&bench->devices[1 + i]);
		image_load(&bench->devices[1 + i], u->partitions[i].old_image,
			   u->partitions[i].old_bytes);
	}
}

static void bench_open(struct bench *bench, const struct shape *shape)
{
	char key[64];

	*bench = (struct bench){ 0 };
	upgrade_make(&bench->upgrade, shape, MEDIUM_NAND, 5, folder);
	(void)snprintf(key, sizeof(key), "%s/k.pub", folder);
	assert_int_equal(dfota_trust_open(&bench->trust, key), 0);
	assert_int_equal(dfota_package_open(&bench->package, bench->upgrade.path, bench->trust), 0);
	bench->memory_bytes = dfota_updater_memory(bench->package);
	bench->memory = malloc(bench->memory_bytes);
	assert_non_null(bench->memory);
}

static void bench_close(struct bench *bench)
{
	sim_kernel_clear();
	free(bench->memory);
	dfota_package_close(bench->package);
	dfota_trust_close(bench->trust);
	upgrade_free(&bench->upgrade);
}

/* A restart and one attempt; `ret_abandoned`, if there, is the answer to giving up after it. */
static int boot(struct bench *bench, int *ret_abandoned)
{
	uint32_t count = 1 + bench->upgrade.count;
	struct dfota_flash_mtd mtds[1 + SHAPE_PARTITIONS_MAX];
	struct dfota_updater_partition rows[SHAPE_PARTITIONS_MAX];
	struct dfota_updater_config config = {
		.partitions = rows,
		.partition_count = bench->upgrade.count,
		.area = &mtds[0].flash,
		.package = bench->package,
		.project = "P1",
		.version = "v1",
	};
	const char *what;
	int error;

	sim_kernel_boot();
	memset(bench->memory, 0x5a, bench->memory_bytes);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(flash_mtd_open(&mtds[i], &sim_kernel_calls, paths[i], true, &what),
				 0);
		if (i > 0)
			rows[i - 1] =
			    (struct dfota_updater_partition){ bench->upgrade.partitions[i - 1].name,
							      &mtds[i].flash };
	}
	error = dfota_updater_run(&config, bench->memory, bench->memory_bytes, &bench->report);
	if (ret_abandoned)
		*ret_abandoned = dfota_updater_abandon(&config, bench->memory, bench->memory_bytes);
	for (uint32_t i = 0; i < count; i++) {
		dfota_flash_mtd_close(&mtds[i]);
		assert_int_equal(bench->devices[i].broken_rules, 0);
	}
	return error;
}

/* ---- one block ------------------------------------------------------------------------------- */

static void trouble_set(struct sim_device *device, uint32_t block, enum trouble trouble)
{
	device->fail_erase = trouble == TROUBLE_PROGRAM ? 0 : block + 1;
	device->fail_program = trouble == TROUBLE_PROGRAM ? block + 1 : 0;
}

/* What is told of a failure: a storage error, its place, its code. */
static void error_is_told(const struct bench *bench, uint32_t d, int error, const char *what)
{
	const struct dfota_updater_report *report = &bench->report;
	int code = dfota_error_code(error, report->where, report->partition, report->started);

	if (error != DFOTA_E_ERASE && error != DFOTA_E_WRITE)
		fail_msg("%s: %s", what, dfota_error_name(error));
	if (d == 0 ? report->where == DFOTA_WHERE_PARTITION
		   : report->where != DFOTA_WHERE_PARTITION ||
			 strcmp(report->partition, bench->upgrade.partitions[d - 1].name) != 0)
		fail_msg("%s: told of another place", what);
	if (d == 0 ? code < 540 || code > 546 : code < 520 || code > 530)
		fail_msg("%s: code %d", what, code);
}

/* The block fails from the start of the upgrade to its fifth attempt, and works in the sixth. */
static void block_wears_out(struct bench *bench, uint32_t d, uint32_t block, enum trouble trouble)
{
	struct sim_device *device = &bench->devices[d];
	int error = 0, abandoned = 0;
	char what[96];

	(void)snprintf(what, sizeof(what), "%s: block %u of device %u: %s", bench->upgrade.name,
		       (unsigned)block, (unsigned)d, trouble_names[trouble]);
	devices_make(bench);
	trouble_set(device, block, trouble);
	for (uint8_t failures = 0; failures < DFOTA_FLAG_TRIES; failures++) {
		bool last = failures + 1 == DFOTA_FLAG_TRIES;

		error = boot(bench, last ? &abandoned : NULL);
		if (error == 0)
			break;
		error_is_told(bench, d, error, what);
		if (dfota_flag_judge(&bench->report, failures) !=
		    (last ? DFOTA_VERDICT_FAILED : DFOTA_VERDICT_RETRY))
			fail_msg("%s: attempt %u is judged wrongly", what, failures + 1u);
		/* A driver may mark what it could not erase; places behind it must stay. */
		if (trouble == TROUBLE_MARKED && d > 0)
			sim_device_mark_bad(device, block);
	}
	if (error == 0) {
		bench->unharmed++; /* a block that the upgrade does not change */
	} else {
		/* Whole is said only of what is whole. */
		if (abandoned == 0 && !all_are(bench, false))
			fail_msg("%s: a mixture is called whole", what);
		bench->whole += abandoned == 0;
		bench->mixed += abandoned != 0;
		trouble_set(device, UINT32_MAX, trouble);
		device->bad[block] = false;
		error = boot(bench, NULL);
		if (error)
			fail_msg("%s: afterwards %s", what, dfota_error_name(error));
	}
	if (!all_are(bench, true))
		fail_msg("%s: success, and other images", what);
}

static void each_block_wears_out_once(void **state)
{
	uint32_t ends[3] = { 0 };

	(void)state;
	for (uint32_t s = 0; s < shape_count; s++) {
		struct bench bench;

		bench_open(&bench, &shapes[s]);
		devices_make(&bench);
		assert_int_equal(boot(&bench, NULL), 0);
		assert_true(all_are(&bench, true));
		for (uint32_t d = 0; d <= bench.upgrade.count; d++)
			for (uint32_t block = 0; block < bench.devices[d].block_count; block++)
				for (int t = 0; t < TROUBLE_COUNT && block != BAD; t++)
					block_wears_out(&bench, d, block, (enum trouble)t);
		ends[0] += bench.unharmed;
		ends[1] += bench.whole;
		ends[2] += bench.mixed;
		bench_close(&bench);
	}
	print_message("%u upgrades without harm, %u failed whole, %u failed with a mixture\n",
		      (unsigned)ends[0], (unsigned)ends[1], (unsigned)ends[2]);
	assert_true(ends[0] && ends[1] && ends[2]);
}

/* A block that was marked since the firmware was written moves all behind it: refused, untouched.
 */
static void a_block_marked_before_the_upgrade_is_refused(void **state)
{
	(void)state;
	for (uint32_t s = 0; s < shape_count; s++) {
		struct bench bench;
		uint32_t refused = 0;

		bench_open(&bench, &shapes[s]);
		for (uint32_t i = 0; i < bench.upgrade.count; i++) {
			struct sim_device *device = &bench.devices[1 + i];
			int error, code;

			if (bench.upgrade.partitions[i].old_bytes == 0)
				continue;
			devices_make(&bench);
			sim_device_mark_bad(device, 0);
			error = boot(&bench, NULL);
			code = dfota_error_code(error, bench.report.where, bench.report.partition,
						bench.report.started);
			if (code != 510 && code != 511)
				fail_msg("%s: code %d", bench.upgrade.name, code);
			assert_int_equal(dfota_flag_judge(&bench.report, 0), DFOTA_VERDICT_REFUSE);
			for (uint32_t d = 0; d <= bench.upgrade.count; d++)
				assert_int_equal(
				    bench.devices[d].erases + bench.devices[d].programs, 0);
			assert_true(all_are(&bench, false));
			refused++;
		}
		assert_true(refused > 0);
		bench_close(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_block_wears_out_once),
		cmocka_unit_test(a_block_marked_before_the_upgrade_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
