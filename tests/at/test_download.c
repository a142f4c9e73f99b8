/* SPDX-License-Identifier: MIT
 *
 * Data mode towards the host: files of every size through ports of every appetite.
 */
#include "rig.h"

static const size_t sizes[] = { 1, 2, 3, 1023, 1024, 1025, 2047, 2048, 2049, 100000 };

static void test_downloads_of_every_size_and_write_size(void **state)
{
	static const size_t writes[] = { 1, 7, 64, 4096 };
	static char want[110000];

	(void)state;
	for (size_t i = 0; i <= COUNT(sizes); i++) {
		size_t size = i < COUNT(sizes) ? sizes[i] : 0;

		for (size_t j = 0; j < COUNT(writes); j++) {
			struct rig *rig;
			char line[64];
			size_t at = strlen(LINES("CONNECT"));

			if (size / writes[j] > RIG_PIECES_MAX / 2)
				continue;
			rig = rig_new(FEED_ALL);
			rig->max = writes[j];
			rig_fill(rig->file, size, size);
			memcpy(want, LINES("CONNECT"), at);
			memcpy(want + at, rig->file, size);
			at += size;
			at += (size_t)snprintf(want + at, sizeof(want) - at,
					       "\r\n+DOWN: %zu,%x\r\n\r\nOK\r\n" OK, size,
					       rig_checksum(rig->file, size));
			/* what arrives meanwhile waits */
			snprintf(line, sizeof(line), "AT+DOWN=%zu\r\nAT\r", size);
			rig_send(rig, line, strlen(line));
			rig_drain(rig);
			rig_expect_at(rig, want, at, __FILE__, __LINE__);
			assert_true(dfota_at_idle(&rig->at));
			rig_free(rig);
		}
	}
}

static void test_a_download_takes_no_input_until_it_is_over(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	rig_say(rig, "");
	assert_int_equal(dfota_at_input(&rig->at, (const uint8_t *)"AT+DOWN=3\rAT\r", 13, rig->now),
			 10);
	assert_true(dfota_at_in_data(&rig->at));
	assert_int_equal(dfota_at_input(&rig->at, (const uint8_t *)"AT\r", 3, rig->now), 0);
	rig_drain(rig);
	assert_false(dfota_at_in_data(&rig->at));
	assert_int_equal(dfota_at_input(&rig->at, (const uint8_t *)"AT\r", 3, rig->now), 3);
	rig_free(rig);
}

static void test_a_source_that_fails_ends_the_download_with_its_code(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	rig->fail_after = 100;
	rig->max = 40;
	memset(rig->file, 'x', 200);
	rig_say(rig, "AT+DOWN=200\r");
	assert_int_equal(rig->out_bytes,
			 strlen(LINES("CONNECT")) + 80 + strlen(LINES("+CME ERROR: 411")));
	rig_expect_piece(rig, rig->piece_count - 1, LINES("+CME ERROR: 411"));
	rig_forget(rig);
	rig_say(rig, "AT\r");
	rig_expect(rig, OK);
	rig_free(rig);
}

static void test_a_read_tells_its_length_and_has_no_last_line(void **state)
{
	(void)state;
	for (enum rig_feed feed = 0; feed < FEED_KINDS; feed++) {
		struct rig *rig = rig_new(feed);

		memcpy(rig->file, "hello", 5);
		rig_say(rig, "AT+GET=5\r\nAT\r\n");
		rig_expect(rig, LINES("CONNECT 5") "hello" OK OK);
		rig_say(rig, "AT+GET=0\r");
		rig_expect(rig, LINES("CONNECT 0") OK);
		rig_say(rig, "AT+SHOW;+GET=2;+SHOW\r");
		rig_expect(rig, LINES("+SHOW: X") LINES("CONNECT 2") "he" OK);
		rig->fail_after = 3;
		rig_say(rig, "AT+GET=5\r");
		rig_expect(rig, LINES("CONNECT 5") LINES("+CME ERROR: 411"));
		rig_say(rig, "ATV0\r");
		rig_say(rig, "AT+GET=2\r");
		rig_expect(rig, "0\r1\rhe0\r");
		rig_free(rig);
	}
}

struct stop_row {
	unsigned before_ms; /* of silence before the pluses */
	const char *pluses;
	unsigned after_ms;
	bool stops;
};

/* The port takes 10 bytes; then the host has enough. */
static void test_pluses_with_guard_time_end_a_download(void **state)
{
	static const struct stop_row rows[] = {
		{ 1000, "+++", 1000, true },   { 5000, "+++", 9000, true },
		{ 999, "+++", 1000, false },   { 1000, "+++", 999, false },
		{ 1000, "++", 5000, false },   { 1000, "++++", 5000, false },
		{ 1000, "+++x", 5000, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rig *rig = rig_new(FEED_ALL);
		const uint8_t *pluses = (const uint8_t *)rows[i].pluses;
		size_t count = strlen(rows[i].pluses), taken;
		uint8_t bytes[64];

		memset(rig->file, 'x', 40);
		rig_send(rig, "AT+DOWN=40\r", 11);
		assert_int_equal(dfota_at_output(&rig->at, bytes, 64, rig->now), 11);
		assert_int_equal(dfota_at_output(&rig->at, bytes, 10, rig->now), 10);
		rig->now += rows[i].before_ms;
		taken = dfota_at_input(&rig->at, pluses, count, rig->now);
		rig->now += rows[i].after_ms;
		dfota_at_tick(&rig->at, rig->now);
		assert_int_equal(dfota_at_in_data(&rig->at), !rows[i].stops);
		rig_pass(rig, 0);
		rig_expect(rig, rows[i].stops
				    ? LINES("+DOWN: 10,7878") OK
				    : "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" LINES("+DOWN: 40,0") OK);
		rig_send(rig, pluses + taken, count - taken); /* what waited, and a command */
		rig_say(rig, "AT\r");
		rig_expect(rig, OK);
		rig_free(rig);
	}
}

static void test_a_command_that_waits_is_not_taken_for_an_end(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);
	const uint8_t *line = (const uint8_t *)"AT+++\r";
	uint8_t bytes[64];

	(void)state;
	rig_send(rig, "AT+DOWN=40\r", 11);
	assert_int_equal(dfota_at_output(&rig->at, bytes, 64, rig->now), 11);
	for (int i = 0; i < 5; i++) {
		rig->now += 1000;
		assert_int_equal(dfota_at_input(&rig->at, line, 6, rig->now), 0);
	}
	assert_true(dfota_at_in_data(&rig->at));
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_downloads_of_every_size_and_write_size),
		cmocka_unit_test(test_a_download_takes_no_input_until_it_is_over),
		cmocka_unit_test(test_a_source_that_fails_ends_the_download_with_its_code),
		cmocka_unit_test(test_a_read_tells_its_length_and_has_no_last_line),
		cmocka_unit_test(test_pluses_with_guard_time_end_a_download),
		cmocka_unit_test(test_a_command_that_waits_is_not_taken_for_an_end),
	};

	return cmocka_run_group_tests_name("at/download", tests, NULL, NULL);
}
