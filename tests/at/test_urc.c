/* SPDX-License-Identifier: MIT
 *
 * URCs: each stands alone, in order, with a gap, never inside a response or in data mode (rows A8,
 * A10).
 */
#include "rig.h"

#define URC(text) assert_true(dfota_at_urc(&rig->at, text, false))

static void test_a_urc_is_framed_and_goes_at_once_on_a_quiet_port(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	URC("RDY");
	assert_false(dfota_at_idle(&rig->at));
	assert_int_equal(dfota_at_tick(&rig->at, rig->now), 0);
	rig_drain(rig);
	rig_expect(rig, LINES("RDY"));
	assert_true(dfota_at_idle(&rig->at));
	assert_true(dfota_at_tick(&rig->at, rig->now) == UINT64_MAX);
	rig_free(rig);
}

static void test_urcs_keep_their_order_and_a_gap(void **state)
{
	static const uint32_t gaps[] = { 0, 1, 100, 250 };

	(void)state;
	for (size_t i = 0; i < COUNT(gaps); i++) {
		struct dfota_at_config config = rig_config;
		uint64_t gap = gaps[i] ? gaps[i] : 100;
		struct rig *rig;

		config.urc_gap_ms = gaps[i];
		rig = rig_new_with(FEED_ALL, &config);
		for (int n = 0; n < 5; n++) {
			char text[48];

			snprintf(text, sizeof(text), "+QIND: \"FOTA\",\"UPDATING\",%d", n % 10);
			URC(text);
		}
		rig_pass(rig, 5 * gap);
		assert_int_equal(rig->piece_count, 5);
		for (size_t n = 1; n < 5; n++)
			assert_int_equal(rig->piece_ms[n] - rig->piece_ms[n - 1], gap);
		rig_expect_piece(rig, 0, LINES("+QIND: \"FOTA\",\"UPDATING\",0"));
		rig_expect_piece(rig, 4, LINES("+QIND: \"FOTA\",\"UPDATING\",4"));
		rig_free(rig);
	}
}

static void test_a_urc_that_comes_during_a_command_follows_its_response(void **state)
{
	(void)state;
	for (enum rig_feed feed = 0; feed < FEED_KINDS; feed++) {
		struct rig *rig = rig_new(feed);

		rig_say(rig, "AT+URC\r");
		rig_expect(rig, LINES("before\r\nafter") OK);
		rig_pass(rig, 99);
		rig_expect(rig, "");
		rig_pass(rig, 1);
		rig_expect(rig, LINES("+URC: 1"));
		rig_free(rig);
	}
}

/* The gap counts from when the port took the response, not from when it was made. */
static void test_a_slow_port_keeps_the_gap(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);
	uint8_t bytes[64];

	(void)state;
	rig_send(rig, "AT\r", 3);
	URC("one");
	URC("two");
	rig->now += 500;
	assert_int_equal(dfota_at_output(&rig->at, bytes, sizeof(bytes), rig->now), 6);
	rig_pass(rig, 99);
	rig_expect(rig, "");
	rig_pass(rig, 1);
	rig_expect(rig, LINES("one"));
	rig_pass(rig, 99);
	rig->now += 1;
	assert_int_equal(dfota_at_output(&rig->at, bytes, 2, rig->now), 2); /* of "two" */
	URC("three");
	rig->now += 500;
	assert_int_equal(dfota_at_output(&rig->at, bytes, sizeof(bytes), rig->now), 5);
	rig_pass(rig, 99);
	rig_expect(rig, "");
	rig_pass(rig, 1);
	rig_expect(rig, LINES("three"));
	rig_free(rig);
}

/* A host that asks all the time must not keep URCs away. */
static void test_a_busy_host_gets_urcs_nevertheless(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);
	unsigned urcs = 0;

	(void)state;
	for (int n = 0; n < 3; n++)
		URC("+URC");
	for (int i = 0; i < 100; i++) {
		rig_say(rig, "AT\r");
		rig_pass(rig, 50);
	}
	for (size_t i = 0; i < rig->piece_count; i++)
		urcs += rig->out[rig->piece_end[i] - 3] == 'C';
	assert_int_equal(urcs, 3);
	rig_free(rig);
}

static void test_a_line_that_is_typed_holds_urcs_back_for_a_while(void **state)
{
	static const char *const begun[] = { "A", "AT", "AT+CG" };

	(void)state;
	for (size_t i = 0; i < COUNT(begun); i++) {
		struct rig *rig = rig_new(FEED_ALL);

		rig_say(rig, begun[i]);
		URC("one");
		rig_pass(rig, 1999);
		rig_expect(rig, "");
		rig_say(rig, &"AT+CGMR\r"[strlen(begun[i])]); /* goes on */
		rig_expect(rig, LINES("BG770AGLAAR01A05") OK LINES("one"));
		assert_int_equal(rig->piece_count, 0);
		rig_pass(rig, 5000);
		rig_say(rig, begun[i]); /* is left half typed */
		URC("two");
		rig_pass(rig, 1999);
		rig_expect(rig, "");
		rig_pass(rig, 1);
		rig_expect(rig, LINES("two"));
		rig_say(rig, &"AT+CGMR\r"[strlen(begun[i])]); /* and is still good */
		rig_expect(rig, LINES("BG770AGLAAR01A05") OK);
		rig_free(rig);
	}
}

static void test_urcs_wait_for_the_end_of_data_mode(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	rig_say(rig, "AT+UP=3000,5,1\r");
	URC("one");
	for (int i = 0; i < 3; i++) {
		rig_send(rig, rig->file + 100000, 999);
		rig_pass(rig, 4000);
	}
	rig_expect(rig, LINES("CONNECT") "AA");
	rig_say(rig, "abc");
	rig_pass(rig, 1000);
	rig_expect_piece(rig, 0, LINES("+UP: 3000,6202") OK);
	rig_expect_piece(rig, 1, LINES("one"));
	rig_forget(rig);

	rig->max = 10;
	memset(rig->file, 'x', 40);
	rig_send(rig, "AT+DOWN=40\r", 11);
	URC("two");
	for (int i = 0; i < 3; i++) {
		uint8_t bytes[10];

		rig->now += 2000;
		assert_true(dfota_at_output(&rig->at, bytes, sizeof(bytes), rig->now) > 0);
	}
	assert_true(dfota_at_in_data(&rig->at));
	rig_pass(rig, 1000);
	rig_expect(rig, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" LINES("+DOWN: 40,0") OK LINES("two"));
	rig_free(rig);
}

static void test_held_urcs_only_queue(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	dfota_at_hold_urcs(&rig->at, true);
	URC("one");
	URC("two");
	assert_true(dfota_at_tick(&rig->at, rig->now) == UINT64_MAX);
	rig_pass(rig, 60000);
	rig_say(rig, "AT\r");
	rig_expect(rig, OK);
	assert_false(dfota_at_idle(&rig->at));
	dfota_at_hold_urcs(&rig->at, false);
	rig_pass(rig, 200);
	rig_expect(rig, LINES("one") LINES("two"));
	rig_free(rig);
}

/* Fills the queue with `droppable` percents among lasting ones. */
static void fill(struct rig *rig, uint64_t droppable)
{
	for (unsigned i = 0; i < DFOTA_AT_URCS_MAX; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", i);
		assert_true(dfota_at_urc(&rig->at, text, droppable >> i & 1));
	}
}

static void test_a_full_queue_drops_its_oldest_percent_only(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);
	char want[1024] = "";
	size_t bytes = 0;

	(void)state;
	fill(rig, 1u << 3 | 1u << 5 | 1u << 31);
	assert_true(dfota_at_urc(&rig->at, "100", true));  /* supersedes 3 */
	assert_true(dfota_at_urc(&rig->at, "END", false)); /* and that 5 */
	rig_pass(rig, 10000);
	for (unsigned i = 0; i < DFOTA_AT_URCS_MAX; i++)
		if (i != 3 && i != 5)
			bytes +=
			    (size_t)snprintf(want + bytes, sizeof(want) - bytes, LINES("%u"), i);
	snprintf(want + bytes, sizeof(want) - bytes, LINES("100") LINES("END"));
	rig_expect(rig, want);

	fill(rig, 0); /* nothing may go */
	assert_false(dfota_at_urc(&rig->at, "100", true));
	assert_false(dfota_at_urc(&rig->at, "END", false));
	rig_pass(rig, 10000);
	assert_int_equal(rig->piece_count, DFOTA_AT_URCS_MAX);
	rig_expect_piece(rig, DFOTA_AT_URCS_MAX - 1, LINES("31"));
	rig_free(rig);
}

static void test_a_long_urc_is_cut_and_has_one_line(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);
	char text[DFOTA_AT_URC_MAX + 100], want[DFOTA_AT_URC_MAX + 8];

	(void)state;
	for (size_t bytes = DFOTA_AT_URC_MAX - 1; bytes <= DFOTA_AT_URC_MAX + 50; bytes++) {
		memset(text, 'u', bytes);
		text[bytes] = '\0';
		URC(text);
		snprintf(want, sizeof(want), LINES("%.*s"), DFOTA_AT_URC_MAX, text);
		rig_pass(rig, 100);
		rig_expect(rig, want);
	}
	URC("a\r\nOK\r\nb"); /* text from elsewhere cannot play a result code */
	rig_pass(rig, 100);
	rig_expect(rig, LINES("a??OK??b"));
	rig_free(rig);
}

static void test_urcs_stand_in_words_in_every_mode(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	rig_say(rig, "ATV0Q1\r");
	URC("+QIND: \"FOTA\",\"END\",0");
	rig_pass(rig, 100);
	rig_expect(rig, LINES("+QIND: \"FOTA\",\"END\",0"));
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_urc_is_framed_and_goes_at_once_on_a_quiet_port),
		cmocka_unit_test(test_urcs_keep_their_order_and_a_gap),
		cmocka_unit_test(test_a_urc_that_comes_during_a_command_follows_its_response),
		cmocka_unit_test(test_a_slow_port_keeps_the_gap),
		cmocka_unit_test(test_a_busy_host_gets_urcs_nevertheless),
		cmocka_unit_test(test_a_line_that_is_typed_holds_urcs_back_for_a_while),
		cmocka_unit_test(test_urcs_wait_for_the_end_of_data_mode),
		cmocka_unit_test(test_held_urcs_only_queue),
		cmocka_unit_test(test_a_full_queue_drops_its_oldest_percent_only),
		cmocka_unit_test(test_a_long_urc_is_cut_and_has_one_line),
		cmocka_unit_test(test_urcs_stand_in_words_in_every_mode),
	};

	return cmocka_run_group_tests_name("at/urc", tests, NULL, NULL);
}
