/* SPDX-License-Identifier: MIT
 *
 * The upgrade flag's life, rows E1 to E4: errors are counted, cuts are not, the fifth error is the
 * last; and giving up, which is allowed only when flash is whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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

static const struct shape *shape_named(const char *name)
{
	for (uint32_t i = 0; i < shape_count; i++)
		if (strcmp(shapes[i].name, name) == 0)
			return &shapes[i];
	fail_msg("no shape %s", name);
	return NULL;
}

/* One table for all errors: before and after the start, with every count of failures. */
static void the_verdict_depends_on_class_start_and_count(void **state)
{
	(void)state;
	for (int error = 0; error > DFOTA_E_COUNT_; error--) {
		for (int started = 0; started < 2; started++) {
			for (uint8_t failures = 0; failures < 8; failures++) {
				const struct dfota_updater_report report = { .error = error,
									     .started = started };
				bool give_up =
				    dfota_error_class(error) == DFOTA_CLASS_GIVE_UP && !started;
				enum dfota_verdict expected = DFOTA_VERDICT_RETRY;

				if (error == 0)
					expected = DFOTA_VERDICT_DONE;
				else if (error == DFOTA_E_STOPPED)
					expected = DFOTA_VERDICT_STOP;
				else if (give_up)
					expected = DFOTA_VERDICT_REFUSE;
				else if (failures >= 4)
					expected = DFOTA_VERDICT_FAILED;
				assert_int_equal(dfota_flag_judge(&report, failures), expected);
			}
		}
	}
}

/* The rows that the table above takes from error.c, as the specification has them. */
static void what_cannot_change_is_refused_at_once(void **state)
{
	static const int refused[] = { DFOTA_E_VERSION, DFOTA_E_CONTENT, DFOTA_E_SPACE,
				       DFOTA_E_MEMORY,	DFOTA_E_CORRUPT, DFOTA_E_ZIP,
				       DFOTA_E_FORMAT };
	static const int retried[] = { DFOTA_E_READ,  DFOTA_E_WRITE,	DFOTA_E_ERASE,
				       DFOTA_E_FLUSH, DFOTA_E_READBACK, DFOTA_E_RESIZE,
				       DFOTA_E_VERIFY };

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct dfota_updater_report report = { .error = refused[i] };

		assert_int_equal(dfota_flag_judge(&report, 0), DFOTA_VERDICT_REFUSE);
		report.started = true;
		assert_int_equal(dfota_flag_judge(&report, 3), DFOTA_VERDICT_RETRY);
	}
	for (size_t i = 0; i < sizeof(retried) / sizeof(retried[0]); i++) {
		const struct dfota_updater_report report = { .error = retried[i] };

		assert_int_equal(dfota_flag_judge(&report, 0), DFOTA_VERDICT_RETRY);
		assert_int_equal(dfota_flag_judge(&report, 4), DFOTA_VERDICT_FAILED);
	}
}

/* ---- a module's life ------------------------------------------------------------------------- */

struct life {
	struct upgrade upgrade;
	struct rig rig;
	struct sim_flash flag_flash;
	struct dfota_record_store store;
};

static void life_open(struct life *life, const char *shape, enum shape_medium medium)
{
	static const struct dfota_flash_geometry geometry = { .size_bytes = 3 * 4096,
							      .write_bytes = 512,
							      .erase_bytes = 512 };
	struct dfota_flag flag = { .set = true, .source = "ftp://server/update.zip" };

	upgrade_make(&life->upgrade, shape_named(shape), medium, 9, folder);
	rig_init(&life->rig, &life->upgrade, folder);
	sim_flash_init(&life->flag_flash, &life->rig.power, "flag", &geometry, 3 * 4096);
	life->rig.power.watch = NULL; /* knows no flag */
	assert_int_equal(
	    dfota_record_store_open(&life->store, &life->flag_flash.flash, 0, DFOTA_FLAG_TAG), 0);
	assert_int_equal(dfota_flag_put(&life->store, &flag), 0);
	rig_power(&life->rig);
}

static void life_close(struct life *life)
{
	rig_free(&life->rig);
	sim_flash_free(&life->flag_flash);
	upgrade_free(&life->upgrade);
}

/* Power, flag, one attempt, its count: what a module does in recovery. STOP when power went. */
static enum dfota_verdict attempt(struct life *life, struct dfota_flag *ret_flag)
{
	enum dfota_verdict verdict;

	memset(&life->store, 0x5a, sizeof(life->store));
	if (dfota_record_store_open(&life->store, &life->flag_flash.flash, 0, DFOTA_FLAG_TAG) ||
	    dfota_record_refresh(&life->store))
		return DFOTA_VERDICT_STOP;
	dfota_flag_get(&life->store, ret_flag);
	(void)rig_boot(&life->rig);
	if (life->rig.power.off)
		return DFOTA_VERDICT_STOP;
	verdict = dfota_flag_judge(&life->rig.report, ret_flag->failures);
	if (verdict == DFOTA_VERDICT_RETRY)
		ret_flag->failures++;
	else
		ret_flag->set = false;
	if (dfota_flag_put(&life->store, ret_flag))
		return DFOTA_VERDICT_STOP;
	return verdict;
}

/* `cuts` boots that end without power: none may count. */
static void cut_some(struct life *life, unsigned cuts, uint64_t seed, uint8_t failures)
{
	for (unsigned i = 0; i < cuts; i++) {
		/* Within the flag's refresh, the journal's, or the step that follows. */
		const struct cut cut = { .at = 1 + (seed + i) % 9,
					 .outcome = (enum sim_outcome)(i % SIM_OUTCOME_COUNT),
					 .seed = seed + i };
		struct dfota_flag flag;

		rig_cut(&life->rig, &cut);
		assert_int_equal(attempt(life, &flag), DFOTA_VERDICT_STOP);
		assert_true(life->rig.power.off);
		rig_power(&life->rig);
		assert_int_equal(dfota_record_store_open(&life->store, &life->flag_flash.flash, 0,
							 DFOTA_FLAG_TAG),
				 0);
		dfota_flag_get(&life->store, &flag);
		assert_true(flag.set);
		assert_int_equal(flag.failures, failures);
		assert_string_equal(flag.source, "ftp://server/update.zip");
	}
}

static void five_errors_are_the_end_however_many_cuts(void **state)
{
	(void)state;
	for (unsigned errors = 0; errors < 7; errors++) {
		for (unsigned cuts = 0; cuts < 8; cuts += 3) {
			enum dfota_verdict verdict = DFOTA_VERDICT_RETRY;
			struct dfota_flag flag = { .set = true };
			struct life life;
			unsigned seen = 0;

			life_open(&life, "units", (enum shape_medium)(errors % MEDIUM_COUNT));
			while (verdict == DFOTA_VERDICT_RETRY) {
				cut_some(&life, cuts, errors * 100 + seen * 10, (uint8_t)seen);
				if (seen < errors)
					life.rig.flashes[0].faults[SIM_WRITE].times = 1;
				verdict = attempt(&life, &flag);
				seen += verdict == DFOTA_VERDICT_RETRY;
				rig_power(&life.rig);
			}
			assert_false(flag.set);
			if (errors < 5) {
				assert_int_equal(verdict, DFOTA_VERDICT_DONE);
				assert_int_equal(seen, errors);
				assert_null(rig_new_wrong(&life.rig));
			} else {
				assert_int_equal(verdict, DFOTA_VERDICT_FAILED);
				assert_int_equal(seen, 4); /* and the fifth */
			}
			life_close(&life);
		}
	}
}

/* It may have begun: so it is not refused, but tried again like any other that has. */
static void a_journal_that_cannot_be_read_counts_as_begun(void **state)
{
	const struct cut cut = { .at = 12, .outcome = SIM_DONE, .ends = 1 };
	struct upgrade upgrade;
	struct rig rig;

	(void)state;
	upgrade_make(&upgrade, shape_named("units"), MEDIUM_NAND, 9, folder);
	rig_init(&rig, &upgrade, folder);
	rig_reset(&rig);
	rig_cut(&rig, &cut);
	assert_int_not_equal(rig_boot(&rig), 0);
	rig_power(&rig);
	assert_true(dfota_updater_phase_mixed(rig_phase(&rig)));
	rig.area.faults[SIM_READ] = (struct sim_fault){ .times = UINT64_MAX };
	rig.area.faults[SIM_READ_BACK] = (struct sim_fault){ .times = UINT64_MAX };
	assert_int_not_equal(rig_boot(&rig), 0);
	assert_int_equal(rig.report.where, DFOTA_WHERE_JOURNAL);
	assert_true(rig.report.started);
	assert_int_equal(rig.power.operations, 0);
	rig_power(&rig);
	assert_int_equal(rig_boot(&rig), 0);
	assert_null(rig_end_wrong(&rig));
	rig_free(&rig);
	upgrade_free(&upgrade);
}

/* ---- giving up --------------------------------------------------------------------------------
 */

static int abandon(struct rig *rig)
{
	memset(rig->memory, 0x77, rig->memory_bytes);
	rig->report.started = false;
	rig->records = 0;
	rig->trace_count = 0;
	return dfota_updater_abandon(&rig->config, rig->memory, rig->memory_bytes);
}

/* After a cut in the middle of giving up: it is given up again first, or not, and the same package then leads to its end. */
static void goes_on(struct rig *rig, bool again)
{
	if (again) {
		assert_int_equal(abandon(rig), 0);
		assert_null(rig_old_wrong(rig));
		rig_power(rig);
		assert_int_equal(rig_phase(rig), DFOTA_PHASE_ABANDONED);
		rig_power(rig);
	}
	assert_int_equal(rig_boot(rig), 0);
	assert_null(rig_end_wrong(rig));
}

/* Cut at every operation: afterwards the module may try again, give up again, or go on. */
static void whole_flash_may_be_abandoned(void **state)
{
	uint64_t cuts = 0;

	(void)state;
	for (int m = 0; m < MEDIUM_COUNT; m++) {
		struct upgrade upgrade;
		struct rig rig;

		upgrade_make(&upgrade, shape_named("grow"), (enum shape_medium)m, 9, folder);
		rig_init(&rig, &upgrade, folder);
		for (uint64_t at = 1;; at++) {
			int error;

			rig_reset(&rig);
			/* Fails before anything of the first unit is durable. */
			rig.flashes[0].faults[m == MEDIUM_NAND ? SIM_ERASE : SIM_FLUSH] =
			    (struct sim_fault){ .times = 1 };
			if (m == MEDIUM_BLOCK)
				rig.flashes[0].faults[SIM_WRITE] = (struct sim_fault){ .times = 1 };
			assert_int_not_equal(rig_boot(&rig), 0);
			assert_true(dfota_updater_phase_mixed(rig_phase(&rig)));
			rig.power.ends = 1;
			rig_power(&rig);
			rig.power.cut_at = at;
			rig.power.outcome = (enum sim_outcome)(at * 7 % SIM_OUTCOME_COUNT);
			error = abandon(&rig);
			if (!rig.power.off) {
				assert_int_equal(error, 0);
				break;
			}
			cuts++;
			assert_int_not_equal(error, 0);
			rig_power(&rig);
			goes_on(&rig, at % 2);
		}
		rig_power(&rig);
		assert_null(rig_old_wrong(&rig));
		assert_int_equal(rig_phase(&rig), DFOTA_PHASE_ABANDONED);
		assert_int_equal(rig_check(&rig), 0);
		assert_false(rig.report.started);
		assert_int_equal(rig_boot(&rig), 0);
		assert_null(rig_end_wrong(&rig));
		rig_free(&rig);
		upgrade_free(&upgrade);
	}
	print_message("%u cuts while giving up\n", (unsigned)cuts);
	assert_true(cuts > 15);
}

/* A partition that only grows holds its old bytes to the end, whatever the journal says by then. */
static void grown_flash_may_be_abandoned_at_any_time(void **state)
{
	static const struct shape shape = {
		"append", "D", 512, 1, { { "system", "==***", 2, 0, 0, ORDER_UP } }, SPOIL_NOTHING, 0
	};
	uint32_t phases = 0;
	struct upgrade upgrade;
	struct rig rig;

	(void)state;
	upgrade_make(&upgrade, &shape, MEDIUM_FILE, 9, folder);
	rig_init(&rig, &upgrade, folder);
	for (uint64_t at = 1;; at++) {
		const struct cut first = { .at = at, .outcome = SIM_DONE, .ends = 1 };
		uint64_t second = 0;
		bool cut = true;

		while (cut) {
			int error;

			rig_reset(&rig);
			rig_cut(&rig, &first);
			if (rig_boot(&rig) == 0)
				goto done;
			rig_power(&rig);
			if (!dfota_updater_phase_mixed(rig_phase(&rig)))
				break;
			phases |= 1u << rig_phase(&rig);
			rig.power.cut_at = ++second;
			rig.power.outcome = (enum sim_outcome)(second * 7 % SIM_OUTCOME_COUNT);
			error = abandon(&rig);
			cut = rig.power.off;
			assert_true(cut ? error != 0 : error == 0);
			rig_power(&rig);
			goes_on(&rig, second % 2);
		}
	}
done:
	assert_int_equal(phases, 1u << DFOTA_PHASE_INTENT | 1u << DFOTA_PHASE_DONE | 1u << DFOTA_PHASE_VERIFIED);
	rig_free(&rig);
	upgrade_free(&upgrade);
}

static void a_mixture_is_never_abandoned(void **state)
{
	(void)state;
	for (int m = 0; m < MEDIUM_COUNT; m++) {
		struct upgrade upgrade;
		struct rig rig;
		unsigned mixed = 0;

		upgrade_make(&upgrade, shape_named("several"), (enum shape_medium)m, 9, folder);
		rig_init(&rig, &upgrade, folder);
		for (uint64_t at = 1;; at++) {
			const struct cut cut = { .at = at, .outcome = SIM_DONE, .ends = 1 };
			enum dfota_updater_phase phase;
			bool whole, old_size;
			int error;

			rig_reset(&rig);
			rig_cut(&rig, &cut);
			if (rig_boot(&rig) == 0)
				break;
			rig_power(&rig);
			phase = rig_phase(&rig);
			old_size = rig_old_wrong(&rig) == NULL;
			error = abandon(&rig);
			whole = rig_old_wrong(&rig) == NULL;
			if (error == 0 && dfota_updater_phase_mixed(phase))
				assert_true(whole);
			if (error) {
				mixed++;
				assert_int_equal(error, DFOTA_E_CONTENT);
				assert_false(old_size);
				assert_int_equal(rig.power.operations, 0);
			}
			assert_int_equal(rig_boot(&rig), 0);
			assert_null(rig_end_wrong(&rig));
		}
		assert_true(mixed > 20);
		rig_free(&rig);
		upgrade_free(&upgrade);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_verdict_depends_on_class_start_and_count),
		cmocka_unit_test(what_cannot_change_is_refused_at_once),
		cmocka_unit_test(five_errors_are_the_end_however_many_cuts),
		cmocka_unit_test(a_journal_that_cannot_be_read_counts_as_begun),
		cmocka_unit_test(whole_flash_may_be_abandoned),
		cmocka_unit_test(grown_flash_may_be_abandoned_at_any_time),
		cmocka_unit_test(a_mixture_is_never_abandoned),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
