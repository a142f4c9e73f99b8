/* SPDX-License-Identifier: MIT
 *
 * Command lines: how they are taken apart, and what is answered (rows A1-A4, V.250 5.2-5.4).
 */
#include "rig.h"

struct row {
	const char *input, *output;
};

/* Each row on an engine of its own, with the bytes handed over in every way. */
static void run(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (enum rig_feed feed = 0; feed < FEED_KINDS; feed++) {
			struct rig *rig = rig_new(feed);

			rig_say(rig, rows[i].input);
			if (rig->out_bytes != strlen(rows[i].output))
				print_message("row %zu, feed %d\n", i, (int)feed);
			rig_expect(rig, rows[i].output);
			assert_true(dfota_at_idle(&rig->at));
			rig_free(rig);
		}
	}
}
#define RUN(rows) run(rows, COUNT(rows))

static void test_the_prefix_in_any_case_opens_a_line(void **state)
{
	static const struct row rows[] = {
		{ "AT\r", OK },
		{ "at\r", OK },
		{ "At\r", OK },
		{ "aT\r", OK },
		{ "\r\n\r\nAT\r\n", OK },
		{ "AT\r\nAT\r\n", OK OK },
		{ "AAT\r", OK },
		{ "A\rAT\r", OK },
		{ "xyzAT\r", OK },
		{ "\xff\xff\xff"
		  "AT\r",
		  OK },
		{ "\x1b"
		  "AT\r",
		  OK },
		{ "+++AT\r", OK },
		{ "+CGMR\r", "" },
		{ "A T\r", "" },
		{ "at+cgmr\r", LINES("BG770AGLAAR01A05") OK },
		{ "ATi\r", LINES("Quectel\r\nBG770A-GL\r\nRevision: BG770AGLAAR01A05") OK },
		{ "AT \r", OK },
		{ " A T + C G M R \r", "" },
		{ "AT + C G M R \r", LINES("BG770AGLAAR01A05") OK },
	};

	(void)state;
	RUN(rows);
}

static void test_the_four_forms_are_told_apart(void **state)
{
	static const struct row rows[] = {
		{ "AT+SHOW=?\r", LINES("+SHOW: T") OK },
		{ "AT+SHOW?\r", LINES("+SHOW: R") OK },
		{ "AT+SHOW=1\r", LINES("+SHOW: W,1") OK },
		{ "AT+SHOW\r", LINES("+SHOW: X") OK },
		{ "AT+show=?\r", LINES("+SHOW: T") OK },
		{ "AT+START=?\r", OK },
		/* forms that the table does not have */
		{ "AT+START?\r", ERROR },
		{ "AT+START\r", ERROR },
		{ "AT+READ=?\r", ERROR },
		{ "AT+READ=1\r", ERROR },
		{ "AT+CGMR?\r", ERROR },
		/* what is no form at all */
		{ "AT+SHOW=??\r", ERROR },
		{ "AT+SHOW?=\r", ERROR },
		{ "AT+SHOW=?1\r", ERROR },
		{ "AT+SHOW??\r", ERROR },
		{ "AT+SHOW\"x\"\r", ERROR },
		{ "AT+SHOW,\r", ERROR },
		{ "AT+\r", ERROR },
		{ "AT+=1\r", ERROR },
		{ "AT+NOTHERE\r", ERROR },
		{ "AT+SHOWS\r", ERROR },
		{ "AT+SHO\r", ERROR },
		{ "AT=\r", ERROR },
		{ "AT?\r", ERROR },
		{ "AT1\r", ERROR },
		{ "AT&\r", ERROR },
		{ "AT&1\r", ERROR },
		{ "AT&X\r", ERROR },
		{ "AT\"\r", ERROR },
		{ "AT,\r", ERROR },
		{ "AT+ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGH=1\r", ERROR },
		{ "AT*p-q_r.s/t:u!v%w1\r", LINES("*P-Q_R.S/T:U!V%W1: X") OK },
	};

	(void)state;
	RUN(rows);
}

static void test_parameters_are_numbers_strings_or_omitted(void **state)
{
	static const struct row rows[] = {
		{ "AT+SHOW=\r", LINES("+SHOW: W,-") OK },
		{ "AT+SHOW=,\r", LINES("+SHOW: W,-,-") OK },
		{ "AT+SHOW=1,,\"x\"\r", LINES("+SHOW: W,1,-,<x>") OK },
		{ "AT+SHOW=,,3\r", LINES("+SHOW: W,-,-,3") OK },
		{ "AT+SHOW= 1 , 2\r", LINES("+SHOW: W,1,2") OK },
		{ "AT+SHOW=\"\"\r", LINES("+SHOW: W,<>") OK },
		{ "AT+SHOW=\"a,b;c\",7\r", LINES("+SHOW: W,<a,b;c>,7") OK },
		{ "AT+SHOW=\"a b  C\"\r", LINES("+SHOW: W,<a b  C>") OK },
		{ "AT+SHOW=\"AT+CGMR;=?\"\r", LINES("+SHOW: W,<AT+CGMR;=?>") OK },
		{ "AT+SHOW=\"\xc3\xa4\xff\"\r", LINES("+SHOW: W,<\xc3\xa4\xff>") OK },
		{ "AT+SHOW=0,007,42\r", LINES("+SHOW: W,0,7,42") OK },
		{ "AT+SHOW=18446744073709551615\r", LINES("+SHOW: W,18446744073709551615") OK },
		{ "AT+SHOW=00000000000000000000000000018\r", LINES("+SHOW: W,18") OK },
		{ "AT+SHOW=18446744073709551616\r", ERROR },
		{ "AT+SHOW=99999999999999999999999999\r", ERROR },
		{ "AT+SHOW=-1\r", ERROR },
		{ "AT+SHOW=+1\r", ERROR },
		{ "AT+SHOW=1x\r", ERROR },
		{ "AT+SHOW=0x10\r", ERROR },
		{ "AT+SHOW=x\r", ERROR },
		{ "AT+SHOW=1?\r", ERROR },
		{ "AT+SHOW=\"x\r", ERROR },
		{ "AT+SHOW=\"\r", ERROR },
		{ "AT+SHOW=\"x\"y\r", ERROR },
		{ "AT+SHOW=\"x\"\"y\"\r", ERROR },
		{ "AT+SHOW=1\"x\"\r", ERROR },
		{ "AT+SHOW=1,2,3,4,5,6,7,8\r", LINES("+SHOW: W,1,2,3,4,5,6,7,8") OK },
		{ "AT+SHOW=,,,,,,,\r", LINES("+SHOW: W,-,-,-,-,-,-,-,-") OK },
		{ "AT+SHOW=1,2,3,4,5,6,7,8,9\r", ERROR },
		{ "AT+SHOW=,,,,,,,,\r", ERROR },
	};

	(void)state;
	RUN(rows);
}

static void test_commands_of_one_line_run_in_order_until_one_fails(void **state)
{
	static const struct row rows[] = {
		{ "AT+CGMR;+SHOW?\r", LINES("BG770AGLAAR01A05") LINES("+SHOW: R") OK },
		{ "AT+SHOW=\"a;b\";+SHOW=2\r", LINES("+SHOW: W,<a;b>") LINES("+SHOW: W,2") OK },
		{ "AT+SHOW=1;+SHOW;+SHOW=?\r",
		  LINES("+SHOW: W,1") LINES("+SHOW: X") LINES("+SHOW: T") OK },
		{ "AT+SHOW=;+SHOW\r", LINES("+SHOW: W,-") LINES("+SHOW: X") OK },
		{ "ATX4&C1\r", LINES("X 4 given") LINES("&C 1 given") OK },
		{ "ATX&C\r", LINES("X 0 none") LINES("&C 0 none") OK },
		{ "ATX4;+SHOW\r", LINES("X 4 given") LINES("+SHOW: X") OK },
		{ "ATX0007+SHOW;X1\r", LINES("X 7 given") LINES("+SHOW: X") LINES("X 1 given") OK },
		{ "atx4E0v1q0\r", LINES("X 4 given") OK },
		{ "AT+SHOW;\r", LINES("+SHOW: X") OK },
		{ "AT;;\r", OK },
		{ "AT+SHOW;+NOTHERE;+CGMR\r", LINES("+SHOW: X") ERROR },
		{ "AT+SHOW;+FAIL=405;+CGMR\r", LINES("+SHOW: X") LINES("+CME ERROR: 405") },
		{ "AT+SHOW;+FAIL;+CGMR\r", LINES("+SHOW: X") ERROR },
		{ "AT+SHOW=1E1\r", ERROR },
		{ "ATX99999999999999999999\r", ERROR },
		{ "AT+SILENT\r", "" },
		{ "AT+SHOW;+SILENT;+SHOW\r", LINES("+SHOW: X") },
	};

	(void)state;
	RUN(rows);
}

static void test_backspace_deletes_what_was_typed(void **state)
{
	static const struct row rows[] = {
		{ "AT+CGMM\bR\r", LINES("BG770AGLAAR01A05") OK },
		{ "AT+CGMM\x7fR\r", LINES("BG770AGLAAR01A05") OK },
		{ "ATXX\b\b+CGMR\r", LINES("BG770AGLAAR01A05") OK },
		{ "AT\b\b\b\b+CGMR\r", LINES("BG770AGLAAR01A05") OK }, /* the prefix stays */
		{ "ATS5=35\rAT+CGMM#R\r", OK LINES("BG770AGLAAR01A05") OK },
	};

	(void)state;
	RUN(rows);
}

static void test_a_slash_repeats_the_last_line(void **state)
{
	static const struct row rows[] = {
		{ "A/", OK },
		{ "AT+SHOW=\"x\",2\rA/", LINES("+SHOW: W,<x>,2") OK LINES("+SHOW: W,<x>,2") OK },
		{ "AT+SHOW\ra/A/\r\n",
		  LINES("+SHOW: X") OK LINES("+SHOW: X") OK LINES("+SHOW: X") OK },
		{ "AT+SHOW;+NOTHERE\rA/", LINES("+SHOW: X") ERROR LINES("+SHOW: X") ERROR },
		{ "AT+CGMR\rAT\x01\rA/", /* a line that was not understood is no last line */
		  LINES("BG770AGLAAR01A05") OK ERROR LINES("BG770AGLAAR01A05") OK },
	};

	(void)state;
	RUN(rows);
}

static void test_registers_change_the_marks_of_a_line(void **state)
{
	static const struct row rows[] = {
		{ "ATS3?\r", LINES("013") OK },
		{ "ATS4?\r", LINES("010") OK },
		{ "ATS5?S3?\r", LINES("008") LINES("013") OK },
		{ "ATS0=2S0?\r", LINES("002") OK },
		{ "ATS12=255\rATS12?\r", OK LINES("255") OK },
		{ "ATS3=13S4=10S5=8;+SHOW\r", LINES("+SHOW: X") OK },
		/* a new S3 ends lines at once, and stands in the result of its own line */
		{ "ATS3=33\rAT+SHOW!", "!\nOK!\n"
				       "!\n+SHOW: X!\n"
				       "!\nOK!\n" },
		{ "ATS3=33\rAT!ATS3=13!AT\r", "!\nOK!\n"
					      "!\nOK!\n" OK OK },
		{ "ATS3=10\rAT\nAT+SHOW\n", "\n\nOK\n\n"
					    "\n\nOK\n\n"
					    "\n\n+SHOW: X\n\n"
					    "\n\nOK\n\n" },
		/* S4 frames what goes out and nothing else */
		{ "ATS4=33\rAT+SHOW=\"!\"\r", "\r!OK\r!"
					      "\r!+SHOW: W,<!>\r!"
					      "\r!OK\r!" },
		{ "ATS4=90\rATZE0\rAT\r", "\rZOK\rZ" OK OK },
		{ "ATS3=128\r", ERROR },
		{ "ATS4=128\r", ERROR },
		{ "ATS5=200\r", ERROR },
		{ "ATS0=256\r", ERROR },
		{ "ATS13=1\r", ERROR },
		{ "ATS13?\r", ERROR },
		{ "ATS99999999999999999999?\r", ERROR },
		{ "ATS\r", ERROR },
		{ "ATS3\r", ERROR },
		{ "ATS3=\r", ERROR },
		{ "ATS=3\r", ERROR },
	};

	(void)state;
	RUN(rows);
}

static void test_result_codes_follow_v_and_q(void **state)
{
	static const struct row rows[] = {
		{ "ATV0\r", "0\r" },
		{ "ATV\rAT+NOTHERE\r", "0\r"
				       "4\r" },
		{ "ATV0\rAT+CGMR\r", "0\r"
				     "BG770AGLAAR01A05\r\n0\r" },
		{ "ATV0\rATI\r", "0\r"
				 "Quectel\r\nBG770A-GL\r\nRevision: BG770AGLAAR01A05\r\n0\r" },
		{ "ATV0\rATV1\r", "0\r" OK },
		{ "ATV2\rAT\r", ERROR OK },
		{ "ATQ1\rAT\rAT+NOTHERE\r", "" },
		{ "ATQ1\rAT+CGMR\r", LINES("BG770AGLAAR01A05") },
		{ "ATQ1\rAT+FAIL=405\rATQ0\r", OK },
		{ "ATQ1\rATQ\r", OK },
		{ "ATQ2\r", ERROR },
		{ "ATE2\r", ERROR },
		{ "ATQ0V1E0\r", OK },
	};

	(void)state;
	RUN(rows);
}

static void test_errors_take_the_form_of_cmee(void **state)
{
	static const struct row rows[] = {
		{ "AT+CMEE?\r", LINES("+CMEE: 1") OK },
		{ "AT+CMEE=?\r", LINES("+CMEE: (0,1,2)") OK },
		{ "AT+FAIL=405\r", LINES("+CME ERROR: 405") },
		{ "AT+FAIL=3\r", LINES("+CME ERROR: 3") },
		{ "AT+FAIL\r", ERROR },
		{ "AT+NOTHERE\r", ERROR },
		{ "AT+CMEE=0\rAT+FAIL=405\r", OK ERROR },
		{ "AT+CMEE=2\rAT+FAIL=405\r", OK LINES("+CME ERROR: file not found") },
		{ "AT+CMEE=2\rAT+FAIL=9999\r", OK LINES("+CME ERROR: unknown error") },
		{ "AT+CMEE=2\rAT+FAIL\r", OK ERROR },
		{ "AT+CMEE=2;+FAIL=420\r", LINES("+CME ERROR: no space") },
		{ "AT+CMEE=3\r", ERROR },
		{ "AT+CMEE=\r", ERROR },
		{ "AT+CMEE=\"1\"\r", ERROR },
		{ "AT+CMEE=1,1\r", ERROR },
		{ "AT+CMEE\r", ERROR },
		{ "AT+CMEE=0\rATZE0\rAT+CMEE?\r", OK OK LINES("+CMEE: 1") OK },
	};

	(void)state;
	RUN(rows);
}

static void test_codes_of_files_stay_numbers_where_real_modules_send_them(void **state)
{
	struct dfota_at_config config = rig_config;
	struct rig *rig;

	(void)state;
	config.cmee = 0;
	config.cme_always = true;
	rig = rig_new_with(FEED_ALL, &config);
	rig_say(rig, "ATE0\r");
	rig_forget(rig);
	rig_say(rig, "AT+FAIL=405\rAT+FAIL=399\rAT+FAIL=400\r");
	rig_expect(rig, LINES("+CME ERROR: 405") ERROR LINES("+CME ERROR: 400"));
	rig_say(rig, "AT+CMEE=2;+FAIL=405\r");
	rig_expect(rig, LINES("+CME ERROR: file not found"));
	rig_free(rig);
}

static void test_reset_brings_back_the_settings_of_the_start(void **state)
{
	static const char *const resets[] = { "ATZ\r", "ATZ0\r", "AT&F\r", "at&f0\r", "ATZ1\r" };

	(void)state;
	for (size_t i = 0; i < COUNT(resets); i++) {
		struct rig *rig = rig_new(FEED_ALL);

		rig_say(rig, "ATQ1V0S4=33S5=35S0=9;+CMEE=2\r");
		rig_expect(rig, "");
		rig_say(rig, resets[i]);
		rig_expect(rig, OK);
		rig_say(rig, "ATS0?S4?S5?;+CMEE?\r");
		rig_expect(rig, "ATS0?S4?S5?;+CMEE?\r" LINES("000") LINES("010") LINES("008")
				    LINES("+CMEE: 1") OK);
		rig_free(rig);
	}
}

/* ---- echo --------------------------------------------------------------------------------------
 */

#define ECHOED(text) text

static void test_echo_is_what_was_typed_as_real_modules_answer(void **state)
{
	static const struct row rows[] = {
		{ "ATI\r",
		  ECHOED("ATI\r") "\r\nQuectel\r\nBG770A-GL\r\nRevision: BG770AGLAAR01A05\r\n"
				  "\r\nOK\r\n" },
		{ "AT+CGMR\r", ECHOED("AT+CGMR\r") "\r\nBG770AGLAAR01A05\r\n\r\nOK\r\n" },
		{ "at+cgmr\r\n", ECHOED("at+cgmr\r") "\r\nBG770AGLAAR01A05\r\n\r\nOK\r\n" },
		{ "AT+START=?\r", ECHOED("AT+START=?\r") "\r\nOK\r\n" },
		{ "ATE0\rAT\rATE1\rAT\r", ECHOED("ATE0\r") OK OK OK ECHOED("AT\r") OK },
		{ "ATE\rAT\r", ECHOED("ATE\r") OK OK },
		{ "AT+SHOW\rA/",
		  ECHOED("AT+SHOW\r") LINES("+SHOW: X") OK ECHOED("A/") LINES("+SHOW: X") OK },
		{ "\r\nAT\r", ECHOED("AT\r") OK },
		{ "ATX\b+CGMR\r", ECHOED("ATX\b+CGMR\r") LINES("BG770AGLAAR01A05") OK },
		{ "ATS3=10\rAT\n", ECHOED("ATS3=10\r") "\n\nOK\n\n" ECHOED("AT\n") "\n\nOK\n\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (enum rig_feed feed = 0; feed < FEED_KINDS; feed++) {
			struct rig *rig = rig_new_with(feed, &rig_config);

			rig_say(rig, rows[i].input);
			rig_expect(rig, rows[i].output);
			rig_free(rig);
		}
	}
}

static void test_a_response_is_one_write_and_echo_another(void **state)
{
	struct rig *rig = rig_new_with(FEED_ALL, &rig_config);

	(void)state;
	rig_say(rig, "ATI\rAT+CGMR\r");
	assert_int_equal(rig->piece_count, 4);
	rig_expect_piece(rig, 0, "ATI\r");
	rig_expect_piece(rig, 1, LINES("Quectel\r\nBG770A-GL\r\nRevision: BG770AGLAAR01A05") OK);
	rig_expect_piece(rig, 2, "AT+CGMR\r");
	rig_expect_piece(rig, 3, LINES("BG770AGLAAR01A05") OK);
	rig_free(rig);

	rig = rig_new_with(FEED_BYTES_DRAINED, &rig_config);
	rig_say(rig, "ATI\r"); /* each byte comes back at once */
	assert_int_equal(rig->piece_count, 5);
	rig_expect_piece(rig, 0, "A");
	rig_expect_piece(rig, 3, "\r");
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_prefix_in_any_case_opens_a_line),
		cmocka_unit_test(test_the_four_forms_are_told_apart),
		cmocka_unit_test(test_parameters_are_numbers_strings_or_omitted),
		cmocka_unit_test(test_commands_of_one_line_run_in_order_until_one_fails),
		cmocka_unit_test(test_backspace_deletes_what_was_typed),
		cmocka_unit_test(test_a_slash_repeats_the_last_line),
		cmocka_unit_test(test_registers_change_the_marks_of_a_line),
		cmocka_unit_test(test_result_codes_follow_v_and_q),
		cmocka_unit_test(test_errors_take_the_form_of_cmee),
		cmocka_unit_test(test_codes_of_files_stay_numbers_where_real_modules_send_them),
		cmocka_unit_test(test_reset_brings_back_the_settings_of_the_start),
		cmocka_unit_test(test_echo_is_what_was_typed_as_real_modules_answer),
		cmocka_unit_test(test_a_response_is_one_write_and_echo_another),
	};

	return cmocka_run_group_tests_name("at/line", tests, NULL, NULL);
}
