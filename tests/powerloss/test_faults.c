/* SPDX-License-Identifier: MIT
 *
 * Errors instead of cuts: every call of every flash fails once, or one bit flips in what it reads
 * or writes. It is reported with its place and a code of its own, is never a wrong success, and the
 * next attempt ends well (E2). The same for calls after a restart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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
	struct rig rig, start;
	uint64_t faults, errors, hidden;
};

static struct sim_flash *flash_of(struct rig *rig, uint32_t i)
{
	return i == 0 ? &rig->area : &rig->flashes[i - 1];
}

/* What must hold for an attempt with a fault, and for the one after it. */
static void attempt(struct bench *bench, const char *what)
{
	struct rig *rig = &bench->rig;
	uint64_t before = rig_state(rig);
	int error = rig_boot(rig), code;

	bench->faults++;
	if (error == 0) {
		bench->hidden++;
		if (rig_new_wrong(rig))
			fail_msg("%s: a wrong success", what);
	} else {
		bench->errors++;
		code = dfota_error_code(error, rig->report.where, rig->report.partition,
					rig->report.started);
		if (rig->report.where == DFOTA_WHERE_NONE || code == 0 || code == 502)
			fail_msg("%s: %s at no place, code %d", what, dfota_error_name(error),
				 code);
		if (dfota_error_class(error) == DFOTA_CLASS_GIVE_UP && !rig->report.started &&
		    (rig->power.operations || rig_state(rig) != before))
			fail_msg("%s: refused after a write", what);
	}
	rig->power.seed++;
	rig_power(rig); /* clears the fault, and decides what was not flushed */
	error = rig_boot(rig);
	if (error)
		fail_msg("%s: the next attempt fails with %s", what, dfota_error_name(error));
	what = rig_end_wrong(rig);
	if (what)
		fail_msg("%s after an error", what);
}

/* One fault at each call that the attempt from `start` makes. */
static void every_call(struct bench *bench, uint64_t flip)
{
	static const char *const names[SIM_OP_COUNT] = { "read",  "read back", "write", "erase",
							 "flush", "reserve",   "resize" };
	uint64_t calls[SHAPE_PARTITIONS_MAX + 1][SIM_OP_COUNT];
	uint32_t count = bench->upgrade.count + 1;
	char what[96];

	rig_copy(&bench->rig, &bench->start);
	assert_int_equal(rig_boot(&bench->rig), 0);
	for (uint32_t i = 0; i < count; i++)
		memcpy(calls[i], flash_of(&bench->rig, i)->calls, sizeof(calls[i]));
	for (uint32_t i = 0; i < count; i++) {
		for (int op = 0; op < SIM_OP_COUNT; op++) {
			bool bits = op == SIM_READ || op == SIM_READ_BACK || op == SIM_WRITE;

			for (uint64_t n = 0; n < calls[i][op] && (bits || !flip); n++) {
				rig_copy(&bench->rig, &bench->start);
				flash_of(&bench->rig, i)->faults[op] = (struct sim_fault){
					.skip = n, .times = 1, .flip = flip ? flip * (n + 1) : 0
				};
				(void)snprintf(what, sizeof(what), "%s: %s %s %u of %s",
					       bench->upgrade.name, flip ? "bit in" : "failed",
					       names[op], (unsigned)n,
					       flash_of(&bench->rig, i)->name);
				attempt(bench, what);
			}
		}
	}
}

static void bench_open(struct bench *bench, const struct shape *shape, int medium)
{
	*bench = (struct bench){ 0 };
	upgrade_make(&bench->upgrade, shape, (enum shape_medium)medium, 5, folder);
	rig_init(&bench->rig, &bench->upgrade, folder);
	rig_init(&bench->start, &bench->upgrade, folder);
}

static void bench_close(struct bench *bench)
{
	print_message("%-14s %5u faults, %5u told as errors, %5u without harm\n",
		      bench->upgrade.name, (unsigned)bench->faults, (unsigned)bench->errors,
		      (unsigned)bench->hidden);
	assert_true(bench->errors > 0);
	rig_free(&bench->rig);
	rig_free(&bench->start);
	upgrade_free(&bench->upgrade);
}

static void every_call_fails_once(void **state)
{
	(void)state;
	for (int m = 0; m < MEDIUM_COUNT; m++) {
		for (uint32_t s = 0; s < shape_count; s++) {
			struct bench bench;

			bench_open(&bench, &shapes[s], m);
			every_call(&bench, 0);
			bench_close(&bench);
		}
	}
}

static void a_bit_flips_in_every_call(void **state)
{
	(void)state;
	for (int m = 0; m < MEDIUM_COUNT; m++) {
		for (uint32_t s = 0; s < shape_count; s++) {
			struct bench bench;

			bench_open(&bench, &shapes[s], m);
			every_call(&bench, 1);
			every_call(&bench, 7919);
			bench_close(&bench);
		}
	}
}

/* Errors of an attempt that goes on after a cut, for a cut at every third operation. */
static void errors_after_a_restart(void **state)
{
	static const char *const names[] = { "units", "several", "grow" };

	(void)state;
	for (uint32_t s = 0; s < shape_count; s++) {
		for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
			struct bench bench;
			uint64_t operations;

			if (strcmp(shapes[s].name, names[j]) != 0)
				continue;
			bench_open(&bench, &shapes[s], (int)j % MEDIUM_COUNT);
			assert_int_equal(rig_boot(&bench.start), 0);
			operations = bench.start.trace_count;
			for (uint64_t at = 1; at <= operations; at += 3) {
				struct cut cut = { .at = at, .outcome = SIM_GARBAGE, .seed = at };

				rig_reset(&bench.start);
				rig_cut(&bench.start, &cut);
				assert_int_not_equal(rig_boot(&bench.start), 0);
				rig_power(&bench.start);
				every_call(&bench, 0);
				every_call(&bench, 61);
			}
			bench_close(&bench);
		}
	}
}

/* One reading of the attempt from `start` fails, and power goes at operation `at` of it. False when there are less. */
static bool fault_and_cut(struct bench *bench, uint64_t reading, uint64_t at)
{
	struct rig *rig = &bench->rig;
	bool cut;

	rig_copy(rig, &bench->start);
	rig->flashes[0].faults[SIM_READ_BACK] = (struct sim_fault){ .skip = reading, .times = 1 };
	rig_cut(rig, &(struct cut){ .at = at, .outcome = SIM_GARBAGE, .seed = at });
	(void)!rig_boot(rig);
	cut = rig->power.off;
	bench->faults++;
	bench->errors += cut;
	rig_power(rig);
	if (rig_boot(rig))
		fail_msg("%s: reading %u fails, cut %u: never again", bench->upgrade.name, (unsigned)reading, (unsigned)at);
	assert_null(rig_end_wrong(rig));
	return cut;
}

/* What a recipe reads must not be written without a record of it, whatever a reading says. */
static void a_reading_fails_and_then_the_power(void **state)
{
	static const char *const names[] = { "ahead", "behind" };

	(void)state;
	for (uint32_t s = 0; s < shape_count; s++) {
		for (size_t j = 0; j < 2 * sizeof(names) / sizeof(names[0]); j++) {
			struct bench bench;
			uint64_t operations;

			if (strcmp(shapes[s].name, names[j / 2]) != 0)
				continue;
			bench_open(&bench, &shapes[s], j % 2 ? MEDIUM_NAND : MEDIUM_BLOCK);
			assert_int_equal(rig_boot(&bench.start), 0);
			operations = bench.start.trace_count;
			for (uint64_t at = 2; at <= operations; at += 5) {
				const struct cut cut = { .at = at, .outcome = SIM_GARBAGE, .seed = at };

				rig_reset(&bench.start);
				rig_cut(&bench.start, &cut);
				assert_int_not_equal(rig_boot(&bench.start), 0);
				rig_power(&bench.start);
				for (uint64_t reading = 0; reading < 12; reading++)
					for (uint64_t next = 1; next < 12 && fault_and_cut(&bench, reading, next); next++)
						;
			}
			bench_close(&bench);
		}
	}
}

/* A fault that stays is no wrong success; once it is gone the upgrade goes on. */
static void a_fault_that_stays_does_no_harm(void **state)
{
	static const enum sim_op ops[] = { SIM_WRITE, SIM_FLUSH, SIM_READ, SIM_READ_BACK };

	(void)state;
	for (uint32_t s = 0; s < shape_count; s++) {
		struct bench bench;

		bench_open(&bench, &shapes[s], MEDIUM_BLOCK);
		for (uint32_t i = 0; i <= bench.upgrade.count; i++) {
			for (size_t o = 0; o < sizeof(ops) / sizeof(ops[0]); o++) {
				rig_reset(&bench.rig);
				for (int turn = 0; turn < 3; turn++) {
					int error;

					flash_of(&bench.rig, i)->faults[ops[o]] =
					    (struct sim_fault){ .skip = turn ? 0 : 3,
								.times = 1000000 };
					error = rig_boot(&bench.rig);
					/* An unreadable block of an empty journal is done without.
					 */
					if (error == 0)
						assert_null(rig_new_wrong(&bench.rig));
					bench.errors += error != 0;
					rig_power(&bench.rig);
				}
				assert_int_equal(rig_boot(&bench.rig), 0);
				assert_null(rig_end_wrong(&bench.rig));
			}
		}
		bench_close(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fails_once),
		cmocka_unit_test(a_bit_flips_in_every_call),
		cmocka_unit_test(errors_after_a_restart),
		cmocka_unit_test(a_reading_fails_and_then_the_power),
		cmocka_unit_test(a_fault_that_stays_does_no_harm),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
