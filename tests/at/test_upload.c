/* SPDX-License-Identifier: MIT
 *
 * Data mode from the host: uploads byte for byte, their ends, and what may follow them (row A7).
 */
#include "rig.h"

static const size_t sizes[] = { 1, 2, 3, 1023, 1024, 1025, 2047, 2048, 2049, 100000 };
static const size_t splits[] = { 1, 7, 1000, 1024, 4096, 200000 };

/* What a module says to a whole upload. */
static size_t conversation(char *text, size_t max, size_t size, bool ack, uint16_t checksum)
{
	size_t acks = ack ? size / DFOTA_AT_ACK_BYTES : 0;
	int length = snprintf(text, max, "\r\nCONNECT\r\n");

	memset(text + length, 'A', acks);
	length += (int)acks;
	length += snprintf(text + length, max - (size_t)length, "\r\n+UP: %zu,%x\r\n\r\nOK\r\n",
			   size, checksum);
	return (size_t)length;
}

static void upload_run(size_t size, size_t split, bool ack, bool padded, enum rig_feed feed)
{
	size_t padding = padded ? (2048 - size % 2048) % 2048 : 0, at = 0;
	uint8_t *data = malloc(size + padding);
	struct rig *rig = rig_new(feed);
	char line[64], want[512];

	assert_non_null(data);
	rig_fill(data, size, size + split);
	memset(data + size, 0xff, padding);
	snprintf(line, sizeof(line), "AT+UP=%zu,5,%d\r", size, ack);
	rig_say(rig, line);
	assert_true(dfota_at_in_data(&rig->at) && !dfota_at_idle(&rig->at));
	while (at < size + padding) {
		size_t count = size + padding - at < split ? size + padding - at : split;

		rig_send(rig, data + at, count);
		at += count;
		if (feed == FEED_ALL && at % 3 == 0)
			rig_drain(rig);
	}
	rig_say(rig, "AT+CGMR\r\n");
	at = conversation(want, sizeof(want), size, ack, rig_checksum(data, size));
	snprintf(want + at, sizeof(want) - at, "%s", LINES("BG770AGLAAR01A05") OK);
	rig_expect_piece(rig, 0, LINES("CONNECT"));
	rig_expect_piece(rig, rig->piece_count - 1, LINES("BG770AGLAAR01A05") OK);
	snprintf(line, sizeof(line), "\r\n+UP: %zu,%x\r\n\r\nOK\r\n", size,
		 rig_checksum(data, size));
	rig_expect_piece(rig, rig->piece_count - 2, line);
	rig_expect(rig, want);
	assert_int_equal(rig->ends, 1);
	assert_int_equal(rig->end_received, size);
	assert_int_equal(rig->end_checksum, rig_checksum(data, size));
	assert_int_equal(rig->file_bytes, size);
	assert_memory_equal(rig->file, data, size);
	rig_free(rig);
	free(data);
}

static void test_uploads_of_every_size_and_split_arrive_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (size_t j = 0; j < COUNT(splits); j++)
			for (unsigned bits = 0; bits < 4; bits++)
				upload_run(sizes[i], splits[j], bits & 1, bits & 2, FEED_ALL);
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (unsigned bits = 0; bits < 4; bits++)
			upload_run(sizes[i], 1, bits & 1, bits & 2,
				   bits & 1 ? FEED_BYTES : FEED_BYTES_DRAINED);
}

static void test_an_empty_upload_ends_by_itself(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	rig_say(rig, "AT+UP=0,5,1\r");
	rig_pass(rig, 1);
	rig_expect(rig, LINES("CONNECT") LINES("+UP: 0,0") OK);
	assert_int_equal(rig->ends, 1);
	rig_say(rig, "AT+UP=0,5,1\rAT\r");
	rig_expect(rig, LINES("CONNECT") LINES("+UP: 0,0") OK OK);
	rig_free(rig);
}

/* Hosts that wait for the acknowledgements of a chunk read them with one read(). */
static void test_acknowledgements_of_one_chunk_are_one_write(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);
	static uint8_t data[5000];

	(void)state;
	rig_say(rig, "AT+UP=5000,5,1\r");
	rig_send(rig, data, 2048);
	rig_drain(rig);
	rig_send(rig, data, 1023);
	rig_drain(rig);
	rig_send(rig, data, 1);
	rig_drain(rig);
	rig_send(rig, data, 5000 - 3072);
	rig_drain(rig);
	assert_int_equal(rig->piece_count, 5);
	rig_expect_piece(rig, 0, LINES("CONNECT"));
	rig_expect_piece(rig, 1, "AA");
	rig_expect_piece(rig, 2, "A");
	rig_expect_piece(rig, 3, "A");
	rig_expect_piece(rig, 4, LINES("+UP: 5000,0") OK);
	rig_free(rig);
}

static void test_the_line_feed_of_the_command_is_no_data(void **state)
{
	static const struct {
		const char *before, *command, *after, *kept;
	} rows[] = {
		/* both ends of the line at once */
		{ "", "AT+UP=3,5,0\r\n", "abc", "abc" },
		{ "AT\r", "AT+UP=3,5,0\r\n", "abc", "abc" },
		/* the feed comes late, from a host that always sends it */
		{ "AT\r\n", "AT+UP=3,5,0\r", "\nabc", "abc" },
		{ "AT\r\nAT+NOTHERE\r\n", "AT+UP=3,5,0\r", "\n\nbc", "\nbc" },
		/* a file that begins with a line feed, from a host that does not */
		{ "", "AT+UP=3,5,0\r", "\nbc", "\nbc" },
		{ "AT\r", "AT+UP=3,5,0\r", "\nbc", "\nbc" },
		{ "AT\r\nAT\r", "AT+UP=3,5,0\r", "\nbc", "\nbc" },
		{ "AT+UP=3,5,0\r", "abcA/", "\nbc", "\nbc" },
		/* only one, and only at the beginning */
		{ "", "AT+UP=3,5,0\r\n", "\nbc", "\nbc" },
		{ "AT\r\n", "AT+UP=3,5,0\r\n", "a\nc", "a\nc" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rig *rig = rig_new(FEED_ALL);

		rig_say(rig, rows[i].before);
		rig_say(rig, rows[i].command);
		rig_say(rig, rows[i].after);
		rig->file[rig->file_bytes] = '\0';
		assert_string_equal(rig->file, rows[i].kept);
		assert_false(dfota_at_in_data(&rig->at));
		rig_forget(rig);
		rig_say(rig, "AT\r\n");
		rig_expect(rig, OK);
		rig_free(rig);
	}
}

static void test_a_time_out_keeps_what_came(void **state)
{
	struct rig *rig;

	(void)state;
	for (unsigned early = 0; early < 2; early++) {
		rig = rig_new(FEED_ALL);
		rig_say(rig, "AT+UP=1000,5,1\r");
		rig_pass(rig, 4999);
		rig_say(rig, "abc");
		rig_pass(rig, 4999);
		rig_expect(rig, LINES("CONNECT"));
		if (early) {
			rig_pass(rig, 1);
			rig_expect(rig, LINES("+UP: 3,262") OK);
			rig_say(rig, "AT\r");
		} else { /* the caller is late and brings time and bytes at once */
			rig->now++;
			rig_say(rig, "AT\r");
			rig_expect_piece(rig, 0, LINES("+UP: 3,262") OK);
			rig->out_bytes = rig->piece_count = 0;
			rig_say(rig, "AT\r");
		}
		rig_expect(rig, OK);
		assert_int_equal(rig->ends, 1);
		assert_int_equal(rig->end_received, 3);
		rig_free(rig);
	}
	rig = rig_new(FEED_ALL); /* nothing at all is a normal end too */
	rig_say(rig, "AT+UP=1000,65535,0\r");
	rig_pass(rig, 65535000 - 1);
	rig_expect(rig, LINES("CONNECT"));
	rig_pass(rig, 1);
	rig_expect(rig, LINES("+UP: 0,0") OK);
	rig_free(rig);
}

struct escape_row {
	unsigned before_ms; /* of silence before the pluses */
	const char *pluses;
	unsigned after_ms;
	const char *after;
	const char *kept; /* at the time-out or at the escape */
	bool ended;	  /* by the escape: what came after was a command */
};

static void test_pluses_with_guard_time_end_an_upload(void **state)
{
	static const struct escape_row rows[] = {
		{ 1000, "+++", 1000, "AT\r", "abc", true },
		{ 4000, "+++", 3000, "AT\r", "abc", true },
		{ 999, "+++", 1000, "AT\r", "abc+++AT\r", false },
		{ 0, "+++", 1000, "AT\r", "abc+++AT\r", false },
		{ 1000, "+++", 999, "AT\r", "abc+++AT\r", false },
		{ 1000, "++", 1000, "AT\r", "abc++AT\r", false },
		{ 1000, "+", 0, "x", "abc+x", false },
		{ 1000, "++x", 1000, "+", "abc++x+", false },
		{ 1000, "++++", 1000, "AT\r", "abc++++AT\r", false },
		{ 1000, "x+++", 1000, "AT\r", "abcx+++AT\r", false },
		{ 1000, "+++x", 1000, "AT\r", "abc+++xAT\r", false },
		{ 1000, "+++", 0, "", "abc", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (unsigned late = 0; late < 2; late++) {
			for (enum rig_feed feed = 0; feed < FEED_KINDS; feed++) {
				struct rig *rig = rig_new(feed);

				rig_say(rig, "AT+UP=1000,5,0\rabc");
				rig_pass(rig, rows[i].before_ms);
				rig_say(rig, rows[i].pluses);
				if (late) /* nobody calls in the meantime */
					rig->now += rows[i].after_ms;
				else
					rig_pass(rig, rows[i].after_ms);
				rig_say(rig, rows[i].after);
				rig_pass(rig, 5000);
				assert_int_equal(rig->file_bytes, strlen(rows[i].kept));
				assert_memory_equal(rig->file, rows[i].kept, strlen(rows[i].kept));
				assert_int_equal(rig->ends, 1);
				assert_int_equal(rig->end_received, rig->file_bytes);
				if (rows[i].ended && rows[i].after[0])
					rig_expect_piece(rig, rig->piece_count - 1, OK);
				rig_free(rig);
			}
		}
	}
}

static void test_pluses_at_the_end_of_a_file_are_its_own(void **state)
{
	struct rig *rig = rig_new(FEED_BYTES);

	(void)state;
	rig_say(rig, "AT+UP=6,5,0\rabc");
	rig_pass(rig, 2000);
	rig_say(rig, "+++");
	rig_expect(rig, LINES("CONNECT") LINES("+UP: 6,2962") OK);
	assert_memory_equal(rig->file, "abc+++", 6);
	rig_free(rig);
}

/* Held-back pluses may complete a block. */
static void test_pluses_count_for_the_acknowledgement(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);
	static uint8_t data[1022];

	(void)state;
	rig_say(rig, "AT+UP=2048,5,1\r");
	rig_send(rig, data, sizeof(data));
	rig_pass(rig, 1500);
	rig_say(rig, "+++x");
	rig_expect(rig, LINES("CONNECT") "A");
	rig_send(rig, data, 1021);
	rig_drain(rig);
	rig_expect(rig, "");
	rig_say(rig, "y");
	rig_expect_piece(rig, 0, "A");
	assert_int_equal(rig->file_bytes, 2048);
	rig_free(rig);
}

static void test_a_sink_that_fails_swallows_the_rest_and_tells_its_code(void **state)
{
	static uint8_t data[5000];

	(void)state;
	for (size_t fail_after = 0; fail_after < 5000; fail_after += 1237) {
		struct rig *rig = rig_new(FEED_ALL);

		rig->fail_after = fail_after;
		memset(data, 'A', sizeof(data));
		rig_say(rig, "AT+UP=5000,5,1\r");
		for (size_t at = 0; at < sizeof(data); at += 1000)
			rig_send(rig, data + at, 1000);
		rig_drain(rig);
		rig_expect(rig, LINES("CONNECT") "AAAA" LINES("+CME ERROR: 409"));
		assert_int_equal(rig->ends, 1);
		rig_say(rig, "AT\r");
		rig_expect(rig, OK);
		rig_free(rig);
	}
}

static void test_an_end_that_fails_tells_its_code(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	rig->end_code = 420;
	rig_say(rig, "AT+UP=3,5,1\rabc");
	rig_expect(rig, LINES("CONNECT") LINES("+CME ERROR: 420"));
	rig->fail_after = 1; /* the first error counts */
	rig_say(rig, "AT+UP=3,5,1\rabc");
	rig_expect(rig, LINES("CONNECT") LINES("+CME ERROR: 409"));
	assert_int_equal(rig->ends, 2);
	rig_free(rig);
}

static void test_an_upload_ends_its_line_and_follows_v_and_q(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	rig_say(rig, "AT+SHOW;+UP=3,5,0;+SHOW\rabcAT\r");
	rig_expect(rig, LINES("+SHOW: X") LINES("CONNECT") LINES("+UP: 3,262") OK OK);
	rig_say(rig, "ATV0\rAT+UP=3,5,0\rabc");
	rig_expect(rig, "0\r1\r+UP: 3,262\r\n0\r");
	rig_say(rig, "ATQ1\rAT+UP=3,5,0\rabcAT\r");
	rig_expect(rig, "+UP: 3,262\r\n");
	rig_say(rig, "ATQ0V1E1\rAT+UP=3,5,1\rabcAT\r"); /* data is not echoed */
	rig_expect(rig, OK "AT+UP=3,5,1\r" LINES("CONNECT") LINES("+UP: 3,262") OK "AT\r" OK);
	rig_free(rig);
}

static void test_a_sink_may_say_the_last_line_itself(void **state)
{
	struct rig *rig = rig_new(FEED_ALL);

	(void)state;
	rig_say(rig, "AT+PUT=5\rabcde");
	rig_expect(rig, LINES("CONNECT") LINES("+PUT: 5,5") OK);
	rig_say(rig, "AT+PUT=5\rabc");
	rig_pass(rig, 4999);
	rig_expect(rig, LINES("CONNECT"));
	rig_pass(rig, 1);
	assert_int_equal(rig->piece_count, 1); /* line and result in one write */
	rig_expect(rig, LINES("+PUT: 3,8") OK);
	rig->end_code = 409;
	rig_say(rig, "AT+PUT=1\rx");
	rig_expect(rig, LINES("CONNECT") LINES("+PUT: 1,9") LINES("+CME ERROR: 409"));
	rig_free(rig);
}

static void test_the_checksum_is_the_same_for_any_split(void **state)
{
	static const struct {
		const char *bytes;
		size_t count;
		uint16_t sum;
	} rows[] = {
		{ "", 0, 0 },
		{ "\x12", 1, 0x1200 },
		{ "\x12\x34", 2, 0x1234 },
		{ "\x12\x34\x56", 3, 0x4434 },
		{ "\xff\xff\xff\xff", 4, 0 },
		{ "\0\0\x80", 3, 0x8000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t cut = 0; cut <= rows[i].count; cut++) {
			struct dfota_at_checksum checksum = { 0 };

			dfota_at_checksum_add(&checksum, (const uint8_t *)rows[i].bytes, cut);
			dfota_at_checksum_add(&checksum, (const uint8_t *)rows[i].bytes + cut,
					      rows[i].count - cut);
			assert_int_equal(checksum.sum, rows[i].sum);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uploads_of_every_size_and_split_arrive_whole),
		cmocka_unit_test(test_an_empty_upload_ends_by_itself),
		cmocka_unit_test(test_acknowledgements_of_one_chunk_are_one_write),
		cmocka_unit_test(test_the_line_feed_of_the_command_is_no_data),
		cmocka_unit_test(test_a_time_out_keeps_what_came),
		cmocka_unit_test(test_pluses_with_guard_time_end_an_upload),
		cmocka_unit_test(test_pluses_at_the_end_of_a_file_are_its_own),
		cmocka_unit_test(test_pluses_count_for_the_acknowledgement),
		cmocka_unit_test(test_a_sink_that_fails_swallows_the_rest_and_tells_its_code),
		cmocka_unit_test(test_an_end_that_fails_tells_its_code),
		cmocka_unit_test(test_an_upload_ends_its_line_and_follows_v_and_q),
		cmocka_unit_test(test_a_sink_may_say_the_last_line_itself),
		cmocka_unit_test(test_the_checksum_is_the_same_for_any_split),
	};

	return cmocka_run_group_tests_name("at/upload", tests, NULL, NULL);
}
