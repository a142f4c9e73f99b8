/* SPDX-License-Identifier: MIT
 *
 * Record store: newest valid record wins, and no cut, tear or fault loses more than the write in
 * flight.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dfota/record.h"
#include "sim_flash.h"

#define TAG    0x54534554u
#define OFFSET 8192u

static const struct dfota_flash_geometry geometries[] = {
	{ .size_bytes = 32768, .write_bytes = 1, .erase_bytes = 1, .flags = DFOTA_FLASH_RESIZABLE },
	{ .size_bytes = 32768, .write_bytes = 512, .erase_bytes = 512 },
	{ .size_bytes = 32768, .write_bytes = 4096, .erase_bytes = 4096 },
	{ .size_bytes = 32768,
	  .write_bytes = 512,
	  .erase_bytes = 4096,
	  .erased_value = 0xff,
	  .flags = DFOTA_FLASH_NEEDS_ERASE },
	{ .size_bytes = 65536,
	  .write_bytes = 2048,
	  .erase_bytes = 8192,
	  .erased_value = 0xff,
	  .flags = DFOTA_FLASH_NEEDS_ERASE },
};

#define GEOMETRIES (sizeof(geometries) / sizeof(geometries[0]))

struct bench {
	struct sim_power power;
	struct sim_flash sim;
	struct dfota_record_store store;
};

static void bench_open(struct bench *bench, const struct dfota_flash_geometry *geometry,
		       uint64_t seed)
{
	sim_power_init(&bench->power, seed);
	sim_flash_init(&bench->sim, &bench->power, "records", geometry, 65536);
	assert_int_equal(dfota_record_store_open(&bench->store, &bench->sim.flash, OFFSET, TAG), 0);
}

/* Value `number`, of a length that depends on it. */
static size_t value_make(uint32_t number, uint8_t *ret_payload)
{
	size_t bytes = 4 + number * 37 % 900;

	memset(ret_payload, (int)(number & 0xff), bytes);
	dfota_put32(ret_payload, number);
	return bytes;
}

static int value_put(struct bench *bench, uint32_t number)
{
	uint8_t payload[DFOTA_RECORD_PAYLOAD_MAX];
	size_t bytes = value_make(number, payload);

	return dfota_record_put(&bench->store, payload, bytes);
}

/* Number of the value there is; 0 = none. It must be whole. */
static uint32_t value_get(const struct bench *bench)
{
	uint8_t expected[DFOTA_RECORD_PAYLOAD_MAX];
	size_t bytes;
	const uint8_t *payload = dfota_record_get(&bench->store, &bytes);

	if (!payload) {
		assert_int_equal(bytes, 0);
		return 0;
	}
	assert_true(bytes >= 4);
	assert_int_equal(bytes, value_make(dfota_get32(payload), expected));
	assert_memory_equal(payload, expected, bytes);
	return dfota_get32(payload);
}

static void reopen(struct bench *bench)
{
	memset(&bench->store, 0xa5, sizeof(bench->store));
	assert_int_equal(dfota_record_store_open(&bench->store, &bench->sim.flash, OFFSET, TAG), 0);
}

static void newest_record_is_the_value(void **state)
{
	(void)state;
	for (size_t g = 0; g < GEOMETRIES; g++) {
		struct bench bench;

		bench_open(&bench, &geometries[g], 1);
		assert_int_equal(value_get(&bench), 0);
		assert_int_equal(dfota_record_refresh(&bench.store), 0);
		assert_int_equal(bench.power.operations, 0);
		for (uint32_t i = 1; i <= 40; i++) {
			assert_int_equal(value_put(&bench, i), 0);
			assert_int_equal(value_get(&bench), i);
			if (i % 3 == 0)
				reopen(&bench);
			assert_int_equal(value_get(&bench), i);
			if (i % 6 == 0) {
				assert_int_equal(dfota_record_refresh(&bench.store), 0);
				assert_int_equal(value_get(&bench), i);
			}
		}
		sim_flash_free(&bench.sim);
	}
}

static void bad_arguments_are_refused_without_a_write(void **state)
{
	struct dfota_flash_geometry small = geometries[0];
	uint8_t payload[DFOTA_RECORD_PAYLOAD_MAX + 1] = { 0 };
	struct bench bench;

	(void)state;
	small.size_bytes = 0;
	bench_open(&bench, &small, 1);
	assert_int_equal(dfota_record_store_bytes(&bench.sim.flash), 3 * 4096);
	assert_int_equal(dfota_record_put(&bench.store, payload, 1), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_resize(&bench.sim.flash, OFFSET + 3 * 4096 - 1), 0);
	assert_int_equal(dfota_record_put(&bench.store, payload, 1), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_flash_resize(&bench.sim.flash, OFFSET + 3 * 4096), 0);
	assert_int_equal(dfota_record_put(&bench.store, payload, 0), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_record_put(&bench.store, payload, sizeof(payload)),
			 DFOTA_E_ARGUMENT);
	assert_int_equal(bench.sim.calls[SIM_WRITE], 0);
	assert_int_equal(dfota_record_put(&bench.store, payload, DFOTA_RECORD_PAYLOAD_MAX), 0);
	sim_flash_free(&bench.sim);
	small.write_bytes = 8192;
	sim_power_init(&bench.power, 1);
	sim_flash_init(&bench.sim, &bench.power, "records", &small, 65536);
	assert_int_equal(dfota_record_store_open(&bench.store, &bench.sim.flash, 0, TAG),
			 DFOTA_E_ARGUMENT);
	sim_flash_free(&bench.sim);
}

static void another_tag_or_any_flipped_bit_is_no_record(void **state)
{
	struct bench bench;
	uint8_t image[32768];

	(void)state;
	bench_open(&bench, &geometries[0], 1);
	assert_int_equal(value_put(&bench, 1), 0);
	assert_int_equal(dfota_record_store_open(&bench.store, &bench.sim.flash, OFFSET, TAG + 1),
			 0);
	assert_int_equal(value_get(&bench), 0);
	reopen(&bench);
	assert_int_equal(value_put(&bench, 2), 0);
	memcpy(image, sim_flash_view(&bench.sim), sizeof(image));
	/* Value 2 lies in the second block; its length with header is 24 + 78. */
	for (size_t bit = 0; bit < (24 + 78) * 8; bit++) {
		size_t at = OFFSET + 4096 + bit / 8;

		image[at] ^= (uint8_t)(1u << bit % 8);
		sim_flash_load(&bench.sim, image, sizeof(image));
		reopen(&bench);
		assert_int_equal(value_get(&bench), 1);
		image[at] ^= (uint8_t)(1u << bit % 8);
	}
	sim_flash_free(&bench.sim);
}

/* Chains of cuts: each boot refreshes, then writes until the power goes again. */
static void cut_chain(const struct dfota_flash_geometry *geometry, uint64_t seed)
{
	struct bench bench;
	uint64_t random = seed;
	uint32_t durable = 0, tried = 0, got;

	bench_open(&bench, geometry, seed);
	for (int boot = 0; boot < 12; boot++) {
		bench.power.cut_at = 1 + sim_random(&random) % 14;
		bench.power.outcome = (enum sim_outcome)(sim_random(&random) % SIM_OUTCOME_COUNT);
		bench.power.seed = sim_random(&random);
		if (dfota_record_refresh(&bench.store) == 0) {
			durable = tried;
			do
				tried++;
			while (value_put(&bench, tried) == 0 && (durable = tried));
		}
		assert_true(bench.power.off);
		sim_boot(&bench.power);
		reopen(&bench);
		got = value_get(&bench);
		assert_true(got == durable || got == tried);
		/* Until it is refreshed it may decay, and the durable one counts again. */
		tried = got;
	}
	sim_flash_free(&bench.sim);
}

static void cuts_lose_at_most_the_write_in_flight(void **state)
{
	(void)state;
	for (size_t g = 0; g < GEOMETRIES; g++)
		for (uint64_t seed = 1; seed <= 1000; seed++)
			cut_chain(&geometries[g], seed);
}

static void failed_writes_leave_the_old_or_the_new_value(void **state)
{
	static const enum sim_op ops[] = { SIM_WRITE, SIM_ERASE, SIM_FLUSH, SIM_READ_BACK };

	(void)state;
	for (size_t g = 0; g < GEOMETRIES; g++) {
		for (size_t i = 0; i < 8; i++) {
			struct bench bench;
			enum sim_op op = ops[i / 2];
			uint32_t got;

			bench_open(&bench, &geometries[g], i);
			assert_int_equal(value_put(&bench, 1), 0);
			bench.sim.faults[op] =
			    (struct sim_fault){ .skip = i % 2 && op == SIM_FLUSH, .times = 1 };
			if (op == SIM_ERASE || (g >= 3 && op == SIM_WRITE))
				bench.store.fresh = true; /* so that it erases */
			if (value_put(&bench, 2) == 0) {
				assert_int_equal(op, SIM_ERASE);
				assert_true(g < 3);
			}
			assert_int_equal(bench.sim.faults[op].times, op == SIM_ERASE && g < 3);
			bench.sim.faults[op].times = 0;
			reopen(&bench);
			got = value_get(&bench);
			assert_true(got == 1 || got == 2);
			assert_int_equal(value_put(&bench, 3), 0);
			reopen(&bench);
			assert_int_equal(value_get(&bench), 3);
			sim_flash_free(&bench.sim);
		}
	}
}

static void a_write_after_a_failed_one_wins(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, &geometries[0], 1);
	assert_int_equal(value_put(&bench, 1), 0);
	/* The record is on the medium although the caller was told that it failed. */
	bench.sim.faults[SIM_READ_BACK].times = 1;
	assert_int_equal(value_put(&bench, 2), DFOTA_E_READ);
	assert_int_equal(value_get(&bench), 1);
	assert_int_equal(value_put(&bench, 3), 0);
	reopen(&bench);
	assert_int_equal(value_get(&bench), 3);
	sim_flash_free(&bench.sim);
}

static void passing_read_faults_do_not_bring_back_old_values(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, &geometries[0], 1);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(value_put(&bench, i), 0);
	bench.sim.faults[SIM_READ].times = 2;
	reopen(&bench);
	assert_int_equal(value_get(&bench), 3);
	/* A block that stays unreadable is passed over; all of them are an error. */
	bench.sim.faults[SIM_READ] = (struct sim_fault){ .times = 1000,
							 .first_byte = OFFSET + 8192,
							 .end_byte = OFFSET + 8193 };
	reopen(&bench);
	assert_int_equal(value_get(&bench), 2);
	bench.sim.faults[SIM_READ] = (struct sim_fault){ .times = 1000 };
	assert_int_equal(dfota_record_store_open(&bench.store, &bench.sim.flash, OFFSET, TAG),
			 DFOTA_E_READ);
	sim_flash_free(&bench.sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(newest_record_is_the_value),
		cmocka_unit_test(bad_arguments_are_refused_without_a_write),
		cmocka_unit_test(another_tag_or_any_flipped_bit_is_no_record),
		cmocka_unit_test(cuts_lose_at_most_the_write_in_flight),
		cmocka_unit_test(failed_writes_leave_the_old_or_the_new_value),
		cmocka_unit_test(a_write_after_a_failed_one_wins),
		cmocka_unit_test(passing_read_faults_do_not_bring_back_old_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
