/* SPDX-License-Identifier: MIT
 *
 * Lines, strings and answers at their bounds and one beyond; more lines than answers are taken
 * (rows A1, A4).
 */
#include "rig.h"

static void test_strings_to_the_bound_of_the_command(void **state)
{
	(void)state;
	for (size_t bytes = DFOTA_AT_STRING_MAX - 1; bytes <= DFOTA_AT_STRING_MAX + 1; bytes++) {
		struct rig *rig = rig_new(FEED_BYTES);
		char line[DFOTA_AT_LINE_MAX], answer[64];

		memset(line, 'x', sizeof(line));
		memcpy(line, "AT+START=\"", 10);
		memcpy(line + 10 + bytes, "\"\r", 3);
		rig_say(rig, line);
		snprintf(answer, sizeof(answer), LINES("%zu") OK, bytes);
		rig_expect(rig, bytes <= DFOTA_AT_STRING_MAX ? answer : ERROR);
		rig_free(rig);
	}
}

static void test_a_line_that_is_too_long_is_an_error_and_nothing_of_it_runs(void **state)
{
	(void)state;
	for (size_t bytes = DFOTA_AT_LINE_MAX - 1; bytes <= 3 * DFOTA_AT_LINE_MAX; bytes++) {
		bool good = bytes <= DFOTA_AT_LINE_MAX;
		struct rig *rig;
		char *line;

		if (bytes == DFOTA_AT_LINE_MAX + 3)
			bytes = 3 * DFOTA_AT_LINE_MAX;
		rig = rig_new(bytes % 2 ? FEED_ALL : FEED_BYTES);
		line = malloc(bytes);
		assert_non_null(line);
		memset(line, ';', bytes);
		memcpy(line, "AT+SHOW", 7);
		memcpy(line + bytes - 5, "+SHOW", 5);
		rig_send(rig, line, bytes);
		rig_drain(rig);
		rig_expect(rig, ""); /* not before its end has come */
		assert_int_equal(rig->runs, 0);
		rig_say(rig, "\r");
		rig_expect(rig, good ? LINES("+SHOW: X") LINES("+SHOW: X") OK : ERROR);
		assert_int_equal(rig->runs, good ? 2 : 0);
		rig_say(rig, "A/"); /* nor does it run later */
		rig_expect(rig, good ? LINES("+SHOW: X") LINES("+SHOW: X") OK : OK);
		rig_say(rig, "AT\r");
		rig_expect(rig, OK);
		free(line);
		rig_free(rig);
	}
}

static void test_a_deleted_excess_does_not_make_a_long_line_good(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);
	char line[DFOTA_AT_LINE_MAX + 4];

	(void)state;
	memset(line, ';', sizeof(line));
	memcpy(line, "AT+SHOW", 7);
	memcpy(line + DFOTA_AT_LINE_MAX + 1, "\b\r", 3);
	rig_say(rig, line);
	rig_expect(rig, ERROR);
	assert_int_equal(rig->runs, 0);
	rig_free(rig);
}

static void test_an_answer_beyond_the_output_buffer_ends_in_error(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	rig_say(rig, "AT+TALK=100\r");
	assert_int_equal(rig->out_bytes, 2 + 100 * 100 + strlen(OK));
	rig_forget(rig);
	rig_say(rig, "AT+TALK=1000\r");
	assert_true(rig->out_bytes > 10000 && rig->out_bytes <= DFOTA_AT_OUTPUT_MAX);
	assert_memory_equal(rig->out + rig->out_bytes - strlen(ERROR), ERROR, strlen(ERROR));
	rig_forget(rig);
	rig_say(rig, "AT\r");
	rig_expect(rig, OK);
	rig_free(rig);
}

/* Lines that come while nobody takes the answers wait with the caller; each answer is a write of
 * its own. */
static void test_lines_that_arrive_meanwhile_are_kept_and_answered_one_by_one(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);
	char lines[500 * 9 + 1];

	(void)state;
	for (size_t i = 0; i < 500; i++)
		memcpy(lines + i * 9, "AT+SHOW\r\n", 10);
	rig_send(rig, lines, strlen(lines));
	rig_drain(rig);
	assert_int_equal(rig->runs, 500);
	assert_int_equal(rig->piece_count, 500);
	for (size_t i = 0; i < 500; i++)
		rig_expect_piece(rig, i, LINES("+SHOW: X") OK);
	rig_free(rig);
}

/* A port that takes few bytes at a time changes nothing in them. */
static void test_small_writes_carry_the_same_bytes(void **state)
{
	(void)state;
	for (size_t max = 1; max < 40; max++) {
		struct rig *rig = rig_new_with(FEED_ALL, &rig_config);

		rig->max = max;
		rig_say(rig, "ATI\rAT+CGMR;+NOTHERE\r");
		rig_expect(rig, "ATI\r" LINES("Quectel\r\nBG770A-GL\r\nRevision: BG770AGLAAR01A05")
				    OK "AT+CGMR;+NOTHERE\r" LINES("BG770AGLAAR01A05") ERROR);
		rig_free(rig);
	}
}

static void test_a_line_that_has_gone_leaves_settings_and_urcs(void **state)
{
	static const char *const begun[] = {
		"", "AT+SH", "AT+TALK=10\rAT", "AT+UP=100,5,1\rabc", "AT+DOWN=100\r",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(begun); i++) {
		struct rig *rig = rig_new(FEED_ALL);

		rig_send(rig, begun[i], strlen(begun[i]));
		assert_true(dfota_at_urc(&rig->at, "+URC", false));
		dfota_at_hang_up(&rig->at);
		assert_false(dfota_at_in_data(&rig->at));
		assert_int_equal(rig->ends, 0);
		rig_pass(rig, 6000);
		rig_expect(rig, LINES("+URC"));
		rig_say(rig, "+SHOW\r"); /* no rest of a line */
		rig_expect(rig, "");
		rig_say(rig, "AT+SHOW?\r"); /* without echo, as was set */
		rig_expect(rig, LINES("+SHOW: R") OK);
		rig_free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings_to_the_bound_of_the_command),
		cmocka_unit_test(test_a_line_that_is_too_long_is_an_error_and_nothing_of_it_runs),
		cmocka_unit_test(test_a_deleted_excess_does_not_make_a_long_line_good),
		cmocka_unit_test(test_an_answer_beyond_the_output_buffer_ends_in_error),
		cmocka_unit_test(test_lines_that_arrive_meanwhile_are_kept_and_answered_one_by_one),
		cmocka_unit_test(test_a_line_that_has_gone_leaves_settings_and_urcs),
		cmocka_unit_test(test_small_writes_carry_the_same_bytes),
	};

	return cmocka_run_group_tests_name("at/bounds", tests, NULL, NULL);
}
