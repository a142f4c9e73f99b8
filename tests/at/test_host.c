/* SPDX-License-Identifier: MIT
 *
 * The host's end: what each line of a module is, and how lines are found in what the port sends.
 */
#include "rig.h"

#define LINE	       DFOTA_AT_EVENT_LINE, DFOTA_FOTA_OTHER, -1
#define OKAY	       DFOTA_AT_EVENT_OK, DFOTA_FOTA_OTHER, -1
#define FAILED(n)      DFOTA_AT_EVENT_ERROR, DFOTA_FOTA_OTHER, n
#define CONNECTED(n)   DFOTA_AT_EVENT_CONNECT, DFOTA_FOTA_OTHER, n
#define URC	       DFOTA_AT_EVENT_URC, DFOTA_FOTA_OTHER, -1
#define FOTA(stage, n) DFOTA_AT_EVENT_FOTA, DFOTA_FOTA_##stage, n

static const struct row {
	const char *line;
	enum dfota_at_event_kind kind;
	enum dfota_at_fota fota;
	int64_t value;
} rows[] = {
	{ "OK", OKAY },
	{ "ok", OKAY },
	{ " OK ", OKAY },
	{ "OK\t", OKAY },
	{ "OKAY", LINE },
	{ "OK 1", LINE },
	{ "OK,", LINE },
	{ "O", LINE },
	{ "NOK", LINE },
	{ "", LINE },
	{ " ", LINE },
	{ "\"", LINE },
	{ "ERROR", FAILED(-1) },
	{ "error", FAILED(-1) },
	{ "ERROR: 5", FAILED(-1) },
	{ "ERRORS", LINE },
	{ "NO ERROR", LINE },
	{ "COMMAND NOT SUPPORT", FAILED(-1) },
	{ "+CME ERROR: 405", FAILED(405) },
	{ "+CME ERROR:405", FAILED(405) },
	{ "+cme error : 405", FAILED(405) },
	{ "+CME ERROR: 405 file not found", FAILED(405) },
	{ "+CME ERROR: SIM not inserted", FAILED(-1) },
	{ "+CME ERROR: -1", FAILED(-1) },
	{ "+CME ERROR: 99999999999999999999999", FAILED(INT64_MAX) },
	{ "+CME ERROR: 9223372036854775807", FAILED(INT64_MAX) },
	{ "+CME ERROR:", FAILED(-1) },
	{ "+CME ERROR", FAILED(-1) },
	{ "+CMS ERROR: 500", FAILED(500) },
	{ "+CME ERRORS: 405", LINE },
	{ "+CME", LINE },
	{ "CONNECT", CONNECTED(-1) },
	{ "connect", CONNECTED(-1) },
	{ "CONNECT 115200", CONNECTED(115200) },
	{ "CONNECT  512", CONNECTED(512) },
	{ "CONNECT FAIL", CONNECTED(-1) },
	{ "CONNECTED", LINE },
	{ "CONNECT1", LINE },
	/* the upgrade's own */
	{ "+QIND: \"FOTA\",\"FTPSTART\"", FOTA(FTPSTART, -1) },
	{ "+QIND: \"FOTA\",\"FTPEND\",0", FOTA(FTPEND, 0) },
	{ "+QIND: \"FOTA\",\"FTPEND\",601", FOTA(FTPEND, 601) },
	{ "+QIND: \"FOTA\",\"HTTPSTART\"", FOTA(HTTPSTART, -1) },
	{ "+QIND: \"FOTA\",\"HTTPEND\",701", FOTA(HTTPEND, 701) },
	{ "+QIND: \"FOTA\",\"HTTPEnd\",0", FOTA(HTTPEND, 0) },
	{ "+QIND: \"FOTA\",\"HTTPEND\", 0", FOTA(HTTPEND, 0) },
	{ "+QIND: \"FOTA\",\"START\"", FOTA(START, -1) },
	{ "+QIND: \"FOTA\",\"UPDATING\",7", FOTA(UPDATING, 7) },
	{ "+QIND: \"FOTA\",\"UPDATING\",100%", FOTA(UPDATING, 100) },
	{ "+QIND: \"FOTA\",\"END\",0", FOTA(END, 0) },
	{ "+QIND: \"FOTA\",\"END\",552", FOTA(END, 552) },
	{ "+QIND:\"FOTA\",\"END\",0", FOTA(END, 0) },
	{ "+qind: \"fota\",\"end\",0", FOTA(END, 0) },
	{ "+QIND : \"FOTA\" , \"END\" , 0 ", FOTA(END, 0) },
	{ "+QIND:\t\"FOTA\",\t\"END\",\t0", FOTA(END, 0) },
	{ "  +QIND:  \"FOTA\",  \"END\",  0", FOTA(END, 0) },
	{ "+QIND: FOTA,END,0", FOTA(END, 0) },
	{ "+QIND: \"FOTA,END\",0", FOTA(END, 0) },
	{ "+QIND: \"FOTA,\"END,0", FOTA(END, 0) },
	{ "+QIND: FOTA\",END\",0", FOTA(END, 0) },
	{ "+QIND: \"FOTA\",\"END\",\"504\"", FOTA(END, 504) },
	{ "+QIND: \"FOTA\",\"END\",0,junk", FOTA(END, 0) },
	{ "+QIND: \"FOTA\",\"END\",0 junk", FOTA(END, 0) },
	{ "+QIND: \"FOTA\",\"END\"", FOTA(END, -1) },
	{ "+QIND: \"FOTA\",\"END\",", FOTA(END, -1) },
	{ "+QIND: \"FOTA\",\"END\",x", FOTA(END, -1) },
	{ "+QIND: \"FOTA\",\"START\",5", FOTA(START, 5) },
	{ "+QIND: \"FOTA\",\"ENDED\",0", FOTA(OTHER, -1) },
	{ "+QIND: \"FOTA\",\"RESTART\"", FOTA(OTHER, -1) },
	{ "+QIND: \"FOTA\",\"\"", FOTA(OTHER, -1) },
	{ "+QIND: \"FOTA\"", FOTA(OTHER, -1) },
	{ "+QIND: \"FOTAX\",\"END\",0", URC },
	{ "+QIND: \"DFOTA\",\"END\",0", URC },
	/* others that come unasked */
	{ "RDY", URC },
	{ "rdy", URC },
	{ "APP RDY", URC },
	{ "POWERED DOWN", URC },
	{ "NORMAL POWER DOWN", URC },
	{ "+CPIN: READY", URC },
	{ "+QIND: SMS DONE", URC },
	{ "+QIND: PB DONE", URC },
	{ "+CFUN: 1", URC },
	{ "RDYX", LINE },
	{ "APP", LINE },
	{ "+QFUPL: 10117,d736", LINE },
	{ "+QFLST: \"UFS:OK\",12", LINE },
	{ "AT+QFOTADL=\"/data/ufs/x\"", LINE },
	{ "Revision: BG770AGLAAR01A05", LINE },
	{ "\xff\xfe\x80", LINE },
};

static void check(const struct dfota_at_event *event, const struct row *row, const char *what)
{
	if (event->kind != row->kind || event->fota != row->fota || event->value != row->value)
		print_message("%s: \"%s\" is kind %d, fota %d, value %lld\n", what, row->line,
			      (int)event->kind, (int)event->fota, (long long)event->value);
	assert_int_equal(event->kind, row->kind);
	assert_int_equal(event->fota, row->fota);
	assert_true(event->value == row->value);
	assert_int_equal(event->text_bytes, strlen(row->line));
	assert_memory_equal(event->text, row->line, strlen(row->line));
}

static void test_each_line_is_what_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t bytes = strlen(rows[i].line);
		char *exact = malloc(bytes ? bytes : 1); /* no NUL behind it to lean on */
		struct dfota_at_event event;

		assert_non_null(exact);
		memcpy(exact, rows[i].line, bytes);
		dfota_at_classify(exact, bytes, &event);
		check(&event, &rows[i], "classify");
		free(exact);
	}
}

/* Any prefix and any single changed byte gives some event, and its text is the line. */
static void test_damaged_lines_are_harmless(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t bytes = strlen(rows[i].line);

		for (size_t cut = 0; cut <= bytes; cut++) {
			for (unsigned value = 0; value < 256; value += cut ? 1 : 256) {
				char *exact = malloc(cut + 1);
				struct dfota_at_event event;

				assert_non_null(exact);
				memcpy(exact, rows[i].line, cut);
				if (cut)
					exact[cut - 1] = (char)value;
				dfota_at_classify(exact, cut, &event);
				assert_in_range(event.kind, DFOTA_AT_EVENT_LINE,
						DFOTA_AT_EVENT_URC);
				assert_true(event.value >= -1);
				assert_ptr_equal(event.text, exact);
				assert_int_equal(event.text_bytes, cut);
				free(exact);
			}
		}
	}
}

/* All lines in one stream with every kind of line end, in reads of every size. */
static void test_lines_are_found_whatever_the_reads(void **state)
{
	static const char *const ends[] = { "\r\n", "\r", "\n", "\r\n\r\n", "\n\r", "\r\r\n" };
	static char stream[64 * 1024];
	size_t bytes = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bytes += (size_t)snprintf(stream + bytes, sizeof(stream) - bytes, "%s%s",
					  rows[i].line, ends[i % COUNT(ends)]);
		stream[bytes++] = '\0'; /* noise that is dropped */
	}
	for (size_t split = 1; split <= bytes; split += split < 40 ? 1 : 997) {
		struct dfota_at_reader reader = { 0 };
		size_t row = 0;

		for (size_t at = 0; at < bytes;) {
			size_t count = bytes - at < split ? bytes - at : split, taken;
			struct dfota_at_event event;
			bool ready;

			taken = dfota_at_read_line(&reader, (const uint8_t *)stream + at, count,
						   &event, &ready);
			assert_true(taken > 0 && taken <= count);
			assert_true(ready || taken == count);
			at += taken;
			if (!ready)
				continue;
			while (rows[row].line[0] == '\0') /* empty lines are none */
				row++;
			check(&event, &rows[row++], "read_line");
			assert_int_equal(event.text[event.text_bytes], '\0');
		}
		assert_int_equal(row, COUNT(rows));
	}
}

static void test_a_line_that_is_too_long_is_cut(void **state)
{
	(void)state;
	for (size_t bytes = DFOTA_AT_LINE_MAX - 1; bytes < DFOTA_AT_LINE_MAX + 3; bytes++) {
		struct dfota_at_reader reader = { 0 };
		struct dfota_at_event event;
		uint8_t line[DFOTA_AT_LINE_MAX + 16];
		size_t taken;
		bool ready;

		memset(line, 'x', sizeof(line));
		memcpy(line + bytes, "\r\nOK\r\n", 6);
		taken = dfota_at_read_line(&reader, line, bytes + 6, &event, &ready);
		assert_true(ready);
		assert_int_equal(event.kind, DFOTA_AT_EVENT_LINE);
		assert_int_equal(event.text_bytes,
				 bytes < DFOTA_AT_LINE_MAX ? bytes : DFOTA_AT_LINE_MAX);
		dfota_at_read_line(&reader, line + taken, bytes + 6 - taken, &event, &ready);
		assert_true(ready);
		assert_int_equal(event.kind, DFOTA_AT_EVENT_OK);
	}
}

static void test_an_answer_of_the_engine_is_understood(void **state)
{
	struct rig *rig = rig_new_with(FEED_ALL, &rig_config);
	static const enum dfota_at_event_kind kinds[] = {
		DFOTA_AT_EVENT_LINE,  DFOTA_AT_EVENT_LINE, DFOTA_AT_EVENT_LINE,
		DFOTA_AT_EVENT_LINE,  DFOTA_AT_EVENT_OK,   DFOTA_AT_EVENT_LINE,
		DFOTA_AT_EVENT_ERROR, DFOTA_AT_EVENT_LINE, DFOTA_AT_EVENT_CONNECT,
		DFOTA_AT_EVENT_LINE,  DFOTA_AT_EVENT_OK,   DFOTA_AT_EVENT_FOTA,
	};
	struct dfota_at_reader reader = { 0 };
	size_t at = 0, seen = 0;

	(void)state;
	rig_say(rig, "ATI\rAT+FAIL=405\rAT+UP=3,5,0\rabc");
	dfota_at_urc(&rig->at, "+QIND: \"FOTA\",\"END\",0", false);
	rig_pass(rig, 1000);
	while (at < rig->out_bytes) {
		struct dfota_at_event event;
		bool ready;

		at += dfota_at_read_line(&reader, (const uint8_t *)rig->out + at,
					 rig->out_bytes - at, &event, &ready);
		if (ready) {
			assert_true(seen < COUNT(kinds));
			assert_int_equal(event.kind, kinds[seen++]);
		}
	}
	assert_int_equal(seen, COUNT(kinds));
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_line_is_what_it_says),
		cmocka_unit_test(test_damaged_lines_are_harmless),
		cmocka_unit_test(test_lines_are_found_whatever_the_reads),
		cmocka_unit_test(test_a_line_that_is_too_long_is_cut),
		cmocka_unit_test(test_an_answer_of_the_engine_is_understood),
	};

	return cmocka_run_group_tests_name("at/host", tests, NULL, NULL);
}
