/* SPDX-License-Identifier: MIT
 *
 * Refused means untouched: 504, 505, 510 and 511 come before the first write, on every medium; and
 * once an upgrade has begun nothing foreign is written into the mixture.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

static char folder[SCRATCH_MAX];

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

struct bench {
	struct upgrade upgrade;
	struct rig rig;
	unsigned refused;
};

static void bench_open(struct bench *bench, const struct shape *shape, int medium, uint64_t seed)
{
	*bench = (struct bench){ 0 };
	upgrade_make(&bench->upgrade, shape, (enum shape_medium)medium, seed, folder);
	rig_init(&bench->rig, &bench->upgrade, folder);
}

static void bench_close(struct bench *bench)
{
	rig_free(&bench->rig);
	upgrade_free(&bench->upgrade);
}

static const struct shape *shape_named(const char *name)
{
	for (uint32_t i = 0; i < shape_count; i++)
		if (strcmp(shapes[i].name, name) == 0)
			return &shapes[i];
	fail_msg("no shape %s", name);
	return NULL;
}

/* Check and run say the same, and neither changes a byte of a partition or of the area. */
static void expect_refused(struct bench *bench, int code)
{
	struct rig *rig = &bench->rig;
	uint64_t before = rig_state(rig);
	int error = rig_check(rig);

	assert_int_not_equal(error, 0);
	assert_int_equal(rig_boot(rig), error);
	assert_int_equal(
	    dfota_error_code(error, rig->report.where, rig->report.partition, rig->report.started),
	    code);
	assert_int_equal(rig->report.writes, 0);
	assert_int_equal(rig->power.operations, 0);
	assert_true(rig_state(rig) == before);
	assert_int_equal(dfota_flag_judge(&rig->report, 0),
			 rig->report.started ? DFOTA_VERDICT_RETRY : DFOTA_VERDICT_REFUSE);
	bench->refused++;
}

/* The refusal was for that reason only. */
static void expect_accepted(struct bench *bench)
{
	assert_int_equal(rig_check(&bench->rig), 0);
	assert_int_equal(bench->rig.power.operations, 0);
	assert_int_equal(rig_boot(&bench->rig), 0);
	assert_null(rig_end_wrong(&bench->rig));
}

typedef void with_bench(struct bench *bench);

static void on_all(with_bench *test)
{
	unsigned refused = 0;

	for (int m = 0; m < MEDIUM_COUNT; m++) {
		for (uint32_t s = 0; s < shape_count; s++) {
			struct bench bench;

			bench_open(&bench, &shapes[s], m, 3);
			test(&bench);
			refused += bench.refused;
			bench_close(&bench);
		}
	}
	print_message("%u times refused\n", refused);
	assert_true(refused > 0);
}

static void versions(struct bench *bench)
{
	struct dfota_updater_config *config = &bench->rig.config;

	config->project = "P2";
	expect_refused(bench, 505);
	config->project = "P1";
	config->version = "v0";
	expect_refused(bench, 505);
	config->version = "v2"; /* no journal says that it leads there */
	expect_refused(bench, 505);
	config->version = "v1";
	expect_accepted(bench);
	config->version = "v2";
	assert_int_equal(rig_boot(&bench->rig), 0); /* now one does */
}

static void wrong_versions_are_505(void **state)
{
	(void)state;
	on_all(versions);
}

static void flash_flip(struct sim_flash *flash, uint64_t at, uint8_t bit)
{
	flash->medium[at] ^= (uint8_t)(1u << bit);
	flash->view[at] ^= (uint8_t)(1u << bit);
}

static void contents(struct bench *bench)
{
	const struct upgrade *u = &bench->upgrade;

	for (uint32_t i = 0; i < u->count; i++) {
		struct sim_flash *flash = &bench->rig.flashes[i];

		/* An image of no bytes is on every flash that has no size of its own. */
		if (u->partitions[i].new_bytes == 0 && u->medium != MEDIUM_FILE)
			continue;
		for (uint64_t at = 0; at < u->partitions[i].old_bytes;
		     at += at + 1 < u->partitions[i].old_bytes && at % 256 == 255 ? 1 : 255) {
			flash_flip(flash, at, (uint8_t)(at % 8));
			expect_refused(bench, 510);
			flash_flip(flash, at, (uint8_t)(at % 8));
		}
		if (u->medium == MEDIUM_FILE && u->partitions[i].old_bytes > 0) {
			flash->flash.geometry.size_bytes--;
			expect_refused(bench, 510);
			flash->flash.geometry.size_bytes++;
		}
	}
	bench->rig.config.partition_count--;
	expect_refused(bench, 510);
	bench->rig.config.partition_count++;
	expect_accepted(bench);
}

static void other_contents_are_510(void **state)
{
	(void)state;
	on_all(contents);
}

static void space(struct bench *bench)
{
	struct rig *rig = &bench->rig;
	struct dfota_flash_geometry *area = &rig->area.flash.geometry;
	uint64_t need = dfota_updater_area(rig->package, area, rig->memory, rig->memory_bytes);
	uint64_t memory = rig->memory_bytes;

	for (uint64_t less = 1; less < 3 * 4096; less = less * 4 + 3) {
		if (bench->upgrade.medium == MEDIUM_FILE)
			rig->area.limit_bytes = need - less;
		else
			area->size_bytes = need - less;
		expect_refused(bench, 511);
	}
	rig->area.limit_bytes = need;
	if (bench->upgrade.medium != MEDIUM_FILE)
		area->size_bytes = need;
	for (rig->memory_bytes = memory - 1; rig->memory_bytes > 100; rig->memory_bytes /= 3)
		expect_refused(bench, 511);
	rig->memory_bytes = memory;
	rig->config.memory_limit_bytes = memory - 1;
	expect_refused(bench, 511);
	rig->config.memory_limit_bytes = memory;
	for (uint32_t i = 0; i < bench->upgrade.count; i++) {
		uint64_t old_bytes = bench->upgrade.partitions[i].old_bytes;
		uint64_t new_bytes = bench->upgrade.partitions[i].new_bytes;
		uint64_t size = rig->flashes[i].flash.geometry.size_bytes;

		if (new_bytes <= old_bytes)
			continue;
		rig->flashes[i].limit_bytes = new_bytes - 1;
		if (bench->upgrade.medium != MEDIUM_FILE)
			rig->flashes[i].flash.geometry.size_bytes = new_bytes - 1;
		expect_refused(bench, 511);
		rig->flashes[i].limit_bytes = rig->flashes[i].capacity;
		rig->flashes[i].flash.geometry.size_bytes = size;
	}
	expect_accepted(bench);
}

static void too_little_space_or_memory_is_511(void **state)
{
	(void)state;
	on_all(space);
}

/* Flips a byte of the first delta's chunks; the first entry of the zip is that delta. */
static void chunk_flip(const struct bench *bench, uint64_t within)
{
	const struct dfota_manifest *m = dfota_package_manifest(bench->rig.package);
	uint8_t head[30], byte;
	off_t at;
	int file = open(bench->upgrade.path, O_RDWR);

	assert_true(file >= 0);
	assert_int_equal(pread(file, head, sizeof(head), 0), sizeof(head));
	at = (off_t)(sizeof(head) + dfota_get16(head + 26) + dfota_get16(head + 28) +
		     m->partitions[0].index_bytes + within);
	assert_int_equal(pread(file, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(file, &byte, 1, at), 1);
	close(file);
}

static void chunks(struct bench *bench)
{
	const struct dfota_manifest *m = dfota_package_manifest(bench->rig.package);
	uint64_t bytes = m->partitions[0].delta_bytes - m->partitions[0].index_bytes;

	for (uint64_t within = 0; within < bytes; within += 1 + bytes / 23) {
		chunk_flip(bench, within);
		rig_reopen(&bench->rig, bench->upgrade.path);
		expect_refused(bench, 504);
		chunk_flip(bench, within);
	}
	rig_reopen(&bench->rig, bench->upgrade.path);
	expect_accepted(bench);
}

static void damaged_chunks_are_504(void **state)
{
	(void)state;
	on_all(chunks);
}

static void contradictions_are_504(void **state)
{
	/* Which shapes a spoil does something to. */
	static const char *const harmed[SPOIL_COUNT] = { "", "R", "S", "", "DR" };
	unsigned refused = 0;

	(void)state;
	for (int spoil = 1; spoil < SPOIL_COUNT; spoil++) {
		for (uint32_t s = 0; s < shape_count; s++) {
			struct shape shape = shapes[s];
			struct bench bench;

			if (spoil == SPOIL_UNITS ? strcmp(shape.name, "units") != 0
						 : !strpbrk(shape.kinds, harmed[spoil]))
				continue;
			shape.spoil = (enum shape_spoil)spoil;
			shape.kinds = "";
			bench_open(&bench, &shape, (int)s % MEDIUM_COUNT, 3);
			expect_refused(&bench, 504);
			refused += bench.refused;
			bench_close(&bench);
		}
	}
	print_message("%u packages refused\n", refused);
	assert_true(refused >= 16);
}

/* ---- on the resumed path ------------------------------------------------------------------------
 */

/* Leaves the upgrade cut at `at`; false when it ends before. */
static bool leave_cut(struct bench *bench, uint64_t at, enum sim_outcome outcome)
{
	struct cut cut = { .at = at, .outcome = outcome, .ends = 1, .seed = at };

	rig_reset(&bench->rig);
	rig_cut(&bench->rig, &cut);
	if (rig_boot(&bench->rig) == 0)
		return false;
	rig_power(&bench->rig);
	return true;
}

static void another_package_does_not_touch_a_mixture(void **state)
{
	(void)state;
	for (int m = 0; m < MEDIUM_COUNT; m++) {
		struct shape other_shape = *shape_named("several");
		struct bench bench, other;

		bench_open(&bench, shape_named("several"), m, 3);
		other_shape.name = "other";
		bench_open(&other, &other_shape, m, 4);
		for (uint64_t at = 1; leave_cut(&bench, at, SIM_DONE); at++) {
			struct rig *rig = &bench.rig;
			bool mixed = dfota_updater_phase_mixed(rig_phase(rig));

			if (mixed) {
				rig_reopen(rig, other.upgrade.path);
				expect_refused(&bench, 546);
				rig_reopen(rig, bench.upgrade.path);
				rig->config.version = "v0";
				expect_refused(&bench, 505);
				rig->config.version = "v1";
			}
			assert_int_equal(rig_boot(rig), 0);
			assert_null(rig_end_wrong(rig));
		}
		assert_true(bench.refused > 20);
		bench_close(&other);
		bench_close(&bench);
	}
}

/* Either it does not matter, or it is told and nothing that is right gets lost. */
static void after_a_flip(struct bench *bench, struct sim_flash *flash, uint64_t at, uint8_t bit,
			 struct rig *before, unsigned *told)
{
	struct rig *rig = &bench->rig;
	int error;

	rig_copy(rig, before);
	flash_flip(flash, at, bit);
	error = rig_boot(rig);
	if (error == 0) {
		assert_null(rig_end_wrong(rig));
		return;
	}
	++*told;
	assert_int_not_equal(rig->report.where, DFOTA_WHERE_NONE);
	assert_int_not_equal(
	    dfota_error_code(error, rig->report.where, rig->report.partition, rig->report.started),
	    502);
	if (rig->power.operations > 0)
		return; /* the step in flight was done again, and is told apart by its result */
	flash_flip(flash, at, bit);
	rig_power(rig);
	assert_int_equal(rig_boot(rig), 0);
	assert_null(rig_end_wrong(rig));
}

static void a_byte_changed_behind_the_modules_back(void **state)
{
	(void)state;
	for (uint32_t s = 0; s < shape_count; s++) {
		struct bench bench;
		struct rig before;
		unsigned told = 0;

		bench_open(&bench, &shapes[s], (int)s % MEDIUM_COUNT, 3);
		rig_init(&before, &bench.upgrade, folder);
		for (uint64_t at = 1; leave_cut(&bench, at, SIM_GARBAGE); at += 3) {
			rig_copy(&before, &bench.rig);
			for (uint32_t i = 0; i < bench.upgrade.count; i++) {
				struct sim_flash *flash = &bench.rig.flashes[i];

				for (uint64_t b = 5; b < flash->durable_bytes; b += 256)
					after_a_flip(&bench, flash, b, 3, &before, &told);
			}
		}
		print_message("%-14s told %u times\n", bench.upgrade.name, told);
		assert_true(told > 0 || bench.upgrade.partitions[0].new_bytes == 0);
		rig_free(&before);
		bench_close(&bench);
	}
}

/* Journal, ring and stash. */
static void a_bit_flipped_in_the_area(void **state)
{
	static const char *const names[] = { "units", "swap", "several", "ahead", "behind" };

	(void)state;
	for (size_t s = 0; s < sizeof(names) / sizeof(names[0]); s++) {
		struct bench bench;
		struct rig before;
		unsigned told = 0;

		bench_open(&bench, shape_named(names[s]), (int)s % MEDIUM_COUNT, 3);
		rig_init(&before, &bench.upgrade, folder);
		for (uint64_t at = 4; leave_cut(&bench, at, SIM_NONE); at += 5) {
			struct sim_flash *area = &bench.rig.area;

			rig_copy(&before, &bench.rig);
			for (uint64_t block = 0; block < 3; block++)
				for (uint64_t bit = 0; bit < 130 * 8; bit += 7)
					if (block * 4096 + 130 < area->durable_bytes)
						after_a_flip(&bench, area, block * 4096 + bit / 8,
							     (uint8_t)(bit % 8), &before, &told);
			for (uint64_t b = 3 * 4096; b < area->durable_bytes; b += 61)
				after_a_flip(&bench, area, b, 5, &before, &told);
		}
		print_message("%-14s told %u times\n", bench.upgrade.name, told);
		assert_true(told > 0);
		rig_free(&before);
		bench_close(&bench);
	}
}

/* Four stash blocks of one step in one block of the area, where that is as large; else each has its own. */
static void stash_blocks_of_a_step_share_a_block(void **state)
{
	static const struct {
		uint32_t area_block, blocks;
	} rows[] = { { 4096, 4 }, { 8192, 2 }, { 12288, 2 }, { 16384, 1 }, { 131072, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct shape shape = *shape_named("wide");
		struct bench bench;
		uint64_t stash;

		shape.area_block = rows[i].area_block;
		bench_open(&bench, &shape, MEDIUM_NAND, 7);
		stash = bench.rig.area.flash.geometry.size_bytes - bench.rig.stash_at;
		assert_int_equal(stash, (uint64_t)rows[i].blocks * rows[i].area_block);
		assert_int_equal(rig_boot(&bench.rig), 0);
		bench_close(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stash_blocks_of_a_step_share_a_block),
		cmocka_unit_test(wrong_versions_are_505),
		cmocka_unit_test(other_contents_are_510),
		cmocka_unit_test(too_little_space_or_memory_is_511),
		cmocka_unit_test(damaged_chunks_are_504),
		cmocka_unit_test(contradictions_are_504),
		cmocka_unit_test(another_package_does_not_touch_a_mixture),
		cmocka_unit_test(a_byte_changed_behind_the_modules_back),
		cmocka_unit_test(a_bit_flipped_in_the_area),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
