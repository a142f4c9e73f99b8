/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dfota/bytes.h"

static void test_varint_every_length_round_trips(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 64; shift++) {
		for (int add = -1; add <= 1; add++) {
			uint64_t value = ((uint64_t)1 << shift) + (uint64_t)(int64_t)add, got = 0;
			uint8_t buffer[DFOTA_VARINT_MAX];
			size_t n = dfota_varint_put(buffer, value);
			const uint8_t *p = buffer;

			assert_int_equal(dfota_varint_get(&p, buffer + n, &got), 0);
			assert_int_equal(got, value);
			assert_ptr_equal(p, buffer + n);
			p = buffer;
			assert_int_equal(dfota_varint_get(&p, buffer + n - 1, &got),
					 DFOTA_E_CORRUPT);
			assert_ptr_equal(p, buffer);
		}
	}
}

static void test_varint_too_long_is_corrupt(void **state)
{
	static const uint8_t eleven[11] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
					    0x80, 0x80, 0x80, 0x80, 1 };
	static const uint8_t over[10] = { 0xff, 0xff, 0xff, 0xff, 0xff,
					  0xff, 0xff, 0xff, 0xff, 2 };
	const uint8_t *p = eleven;
	uint64_t got;

	(void)state;
	assert_int_equal(dfota_varint_get(&p, eleven + 11, &got), DFOTA_E_CORRUPT);
	p = over;
	assert_int_equal(dfota_varint_get(&p, over + 10, &got), DFOTA_E_CORRUPT);
}

static void test_crc32c_known_vectors(void **state)
{
	uint8_t zeros[32] = { 0 };

	(void)state;
	assert_int_equal(dfota_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(dfota_crc32c(0, zeros, 32), 0x8a9136aa); /* RFC 3720, B.4 */
	assert_int_equal(dfota_crc32c(dfota_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void test_zigzag_extremes_round_trip(void **state)
{
	static const int64_t values[] = { 0, -1, 1, INT64_MIN, INT64_MAX, -77 };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_true(dfota_unzigzag(dfota_zigzag(values[i])) == values[i]);
	assert_int_equal(dfota_zigzag(-1), 1);
}

static void test_inside_never_overflows(void **state)
{
	(void)state;
	assert_true(dfota_inside(0, 0, 0));
	assert_true(dfota_inside(4, 4, 8));
	assert_false(dfota_inside(4, 5, 8));
	assert_false(dfota_inside(UINT64_MAX, 2, 8));
	assert_false(dfota_inside(2, UINT64_MAX, 8));
}

static void test_every_error_has_name_class_and_documented_code(void **state)
{
	(void)state;
	for (int e = 0; e > DFOTA_E_COUNT_; e--) {
		assert_non_null(dfota_error_name(e));
		for (int where = 0; where < DFOTA_WHERE_COUNT; where++)
			for (int started = 0; started < 2; started++)
				assert_non_null(dfota_code_text(dfota_error_code(
					e, (enum dfota_where)where, "boot", started)));
	}
	assert_string_equal(dfota_error_name(-12345), "E_INTERNAL");
	assert_int_equal(dfota_error_code(DFOTA_E_WRITE, DFOTA_WHERE_PARTITION, "tz", true), 524);
	assert_int_equal(dfota_error_code(DFOTA_E_WRITE, DFOTA_WHERE_PARTITION, "usr", true), 525);
	assert_int_equal(dfota_error_code(DFOTA_E_READ, DFOTA_WHERE_PARTITION, "tz", true), 544);
	assert_int_equal(dfota_error_code(DFOTA_E_FLUSH, DFOTA_WHERE_JOURNAL, NULL, true), 540);
	assert_int_equal(dfota_error_code(DFOTA_E_RESIZE, DFOTA_WHERE_JOURNAL, NULL, true), 540);
	assert_int_equal(dfota_error_code(DFOTA_E_RESIZE, DFOTA_WHERE_PARTITION, "tz", true), 530);
	assert_int_equal(dfota_error_code(DFOTA_E_CONTENT, DFOTA_WHERE_PARTITION, "tz", false),
			 510);
	assert_null(dfota_code_text(999));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_varint_every_length_round_trips),
		cmocka_unit_test(test_varint_too_long_is_corrupt),
		cmocka_unit_test(test_crc32c_known_vectors),
		cmocka_unit_test(test_zigzag_extremes_round_trip),
		cmocka_unit_test(test_inside_never_overflows),
		cmocka_unit_test(test_every_error_has_name_class_and_documented_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
