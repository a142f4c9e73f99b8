/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "dfota/host.h"

/* A pty; what a test writes to `master` before it asks is there when the port is read. */
struct wire {
	int master, slave;
	char path[64];
	struct dfota_port *port;
};

static void wire_open(struct wire *wire)
{
	assert_int_equal(openpty(&wire->master, &wire->slave, wire->path, NULL, NULL), 0);
	assert_int_equal(dfota_port_open(&wire->port, wire->path, 0, NULL), 0);
}

static void wire_close(struct wire *wire)
{
	dfota_port_close(wire->port);
	close(wire->slave);
	if (wire->master >= 0)
		close(wire->master);
}

static void wire_send(struct wire *wire, const char *text)
{
	assert_int_equal(write(wire->master, text, strlen(text)), strlen(text));
}

/* ---- version ------------------------------------------------------------------------------ */

static void test_version_from_line_table(void **state)
{
	static const struct {
		const char *line;
		const char *version; /* NULL: none */
	} rows[] = {
		{ "Revision: RG500QEAAAR01A02M4G", "RG500QEAAAR01A02M4G" },
		{ "revision:v12", "v12" },
		{ "REVISION:   v12  ", "v12" },
		{ "BG770AGLAAR01A05", "BG770AGLAAR01A05" },
		{ "+CGMR: EG25GGBR07A08M2G", "EG25GGBR07A08M2G" },
		{ "+QGMR: EG25GGBR07A07M2G_01.001.01.001", "EG25GGBR07A07M2G_01.001.01.001" },
		{ "", NULL },
		{ "   ", NULL },
		{ "Revision:", NULL },
		{ "Revision: two words", NULL },
		{ "Revision: a\"b", NULL },
		{ "Revision: a\x1b[1m", NULL },
		{ "Revision: \xc3\xa4", NULL },
		{ "0123456789012345678901234567890123456789012345678901234567890123",
		  "0123456789012345678901234567890123456789012345678901234567890123" },
		{ "01234567890123456789012345678901234567890123456789012345678901234", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char version[DFOTA_HOST_VERSION_MAX + 1] = "untouched";
		bool found = dfota_version_from_line(rows[i].line, version);

		assert_int_equal(found, rows[i].version != NULL);
		assert_string_equal(version, found ? rows[i].version : "untouched");
	}
}

static void test_version_reads_the_revision_line_of_ati(void **state)
{
	char version[DFOTA_HOST_VERSION_MAX + 1];
	struct wire wire;

	(void)state;
	wire_open(&wire);
	wire_send(&wire, "ATI\r\r\nMaker\r\nModel\r\nRevision: V7\r\n\r\nOK\r\n");
	assert_int_equal(dfota_port_version(wire.port, NULL, 1000, version), 0);
	assert_string_equal(version, "V7");
	wire_close(&wire);
}

static void test_version_none_is_not_found(void **state)
{
	char version[DFOTA_HOST_VERSION_MAX + 1];
	struct wire wire;

	(void)state;
	wire_open(&wire);
	wire_send(&wire, "\r\nMaker\r\nModel\r\n\r\nOK\r\n\r\nERROR\r\n\r\nERROR\r\n");
	assert_int_equal(dfota_port_version(wire.port, NULL, 1000, version), DFOTA_E_NOT_FOUND);
	wire_close(&wire);
}

/* ---- port --------------------------------------------------------------------------------- */

static void test_open_refuses_what_is_no_port(void **state)
{
	struct dfota_port *port;

	(void)state;
	assert_int_equal(dfota_port_open(&port, "/dev/null", 0, NULL), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_port_open(&port, "/", 0, NULL), DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_port_open(&port, "/dev/there-is-none", 0, NULL), DFOTA_E_NOT_FOUND);
}

static void test_open_twice_is_busy_until_closed(void **state)
{
	struct dfota_port *second;
	struct wire wire;

	(void)state;
	wire_open(&wire);
	assert_int_equal(dfota_port_open(&second, wire.path, 150, NULL), DFOTA_E_BUSY);
	dfota_port_close(wire.port);
	assert_int_equal(dfota_port_open(&wire.port, wire.path, 0, NULL), 0);
	wire_close(&wire);
}

static void test_event_times_out_and_reports_hang_up(void **state)
{
	struct dfota_at_event event;
	struct wire wire;

	(void)state;
	wire_open(&wire);
	assert_int_equal(dfota_port_event(wire.port, 10, &event), DFOTA_E_TIMEOUT);
	close(wire.master);
	wire.master = -1;
	assert_int_equal(dfota_port_event(wire.port, 10000, &event), DFOTA_E_IO);
	wire_close(&wire);
}

static void test_event_reports_a_path_that_leads_elsewhere(void **state)
{
	char folder[] = "/tmp/dfota-host-XXXXXX", link[sizeof(folder) + 8];
	struct dfota_at_event event;
	struct dfota_port *port;
	struct wire first, second;

	(void)state;
	wire_open(&first);
	wire_open(&second);
	dfota_port_close(first.port);
	assert_non_null(mkdtemp(folder));
	snprintf(link, sizeof(link), "%s/at", folder);
	assert_int_equal(symlink(first.path, link), 0);
	assert_int_equal(dfota_port_open(&port, link, 0, NULL), 0);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(second.path, link), 0);
	assert_int_equal(dfota_port_event(port, 10000, &event), DFOTA_E_IO);
	dfota_port_close(port);
	unlink(link);
	rmdir(folder);
	first.port = NULL;
	wire_close(&first);
	wire_close(&second);
}

static bool stop_at_third_look(void *context)
{
	int *looks = context;

	return ++*looks >= 3;
}

static void test_stop_ends_every_wait(void **state)
{
	int looks = 0;
	struct dfota_host_stop stop = { stop_at_third_look, &looks };
	struct dfota_at_event event;
	struct dfota_port *port;
	struct wire wire;

	(void)state;
	assert_int_equal(dfota_port_open(&port, "/dev/there-is-none", 60000, &stop),
			 DFOTA_E_STOPPED);
	looks = 0;
	wire_open(&wire);
	dfota_port_close(wire.port);
	assert_int_equal(dfota_port_open(&wire.port, wire.path, 0, &stop), 0);
	assert_int_equal(dfota_port_event(wire.port, 60000, &event), DFOTA_E_STOPPED);
	looks = 0;
	assert_int_equal(dfota_port_greet(wire.port, 60000), DFOTA_E_STOPPED);
	wire_close(&wire);
}

/* ---- commands ----------------------------------------------------------------------------- */

static void count_line(void *context, const char *text)
{
	int *lines = context;

	(void)text;
	++*lines;
}

static void test_command_keeps_urcs_and_drops_percents_first(void **state)
{
	struct dfota_at_event event;
	struct wire wire;
	int lines = 0, kept = 0;
	char text[64];

	(void)state;
	wire_open(&wire);
	wire_send(&wire, "+QIND: \"FOTA\",\"START\"\r\n");
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "+QIND: \"FOTA\",\"UPDATING\",%d\r\n", i);
		wire_send(&wire, text);
	}
	wire_send(&wire, "+QIND: \"FOTA\",\"END\",0\r\nline\r\nOK\r\n");
	assert_int_equal(dfota_port_command(wire.port, "ATI", 1000, count_line, &lines, NULL), 0);
	assert_int_equal(lines, 1);
	assert_string_equal(dfota_port_final(wire.port), "OK");
	assert_int_equal(dfota_port_event(wire.port, 0, &event), 0);
	assert_int_equal(event.fota, DFOTA_FOTA_START);
	while (!dfota_port_event(wire.port, 0, &event) && event.fota == DFOTA_FOTA_UPDATING)
		kept++;
	assert_int_equal(event.fota, DFOTA_FOTA_END);
	assert_int_equal(event.value, 0);
	assert_in_range(kept, 10, 99); /* the newest percents are among them */
	assert_int_equal(dfota_port_event(wire.port, 0, &event), DFOTA_E_TIMEOUT);
	wire_close(&wire);
}

static void test_command_bounds(void **state)
{
	char command[DFOTA_AT_LINE_MAX + 2];
	struct wire wire;
	int cme = 0;

	(void)state;
	wire_open(&wire);
	memset(command, 'A', sizeof(command));
	command[DFOTA_AT_LINE_MAX + 1] = '\0';
	assert_int_equal(dfota_port_command(wire.port, command, 10, NULL, NULL, NULL),
			 DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_port_command(wire.port, "AT\rATD", 10, NULL, NULL, NULL),
			 DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_port_command(wire.port, "", 10, NULL, NULL, NULL), DFOTA_E_ARGUMENT);
	command[DFOTA_AT_LINE_MAX] = '\0';
	wire_send(&wire, "\r\n+CME ERROR: 407\r\n");
	assert_int_equal(dfota_port_command(wire.port, command, 1000, NULL, NULL, &cme),
			 DFOTA_E_REFUSED);
	assert_int_equal(cme, 407);
	wire_send(&wire, "\r\nERROR\r\n");
	assert_int_equal(dfota_port_command(wire.port, "AT", 1000, NULL, NULL, &cme),
			 DFOTA_E_REFUSED);
	assert_int_equal(cme, -1);
	wire_close(&wire);
}

static void test_upload_refuses_what_it_cannot_say(void **state)
{
	char name[DFOTA_HOST_NAME_MAX + 40];
	struct wire wire;

	(void)state;
	wire_open(&wire);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(dfota_port_upload(wire.port, 0, 0, "n", 10, NULL, NULL, NULL),
			 DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_port_upload(wire.port, 0, 1, "a\"b", 10, NULL, NULL, NULL),
			 DFOTA_E_ARGUMENT);
	assert_int_equal(dfota_port_upload(wire.port, 0, 1, name, 10, NULL, NULL, NULL),
			 DFOTA_E_ARGUMENT);
	wire_close(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_from_line_table),
		cmocka_unit_test(test_version_reads_the_revision_line_of_ati),
		cmocka_unit_test(test_version_none_is_not_found),
		cmocka_unit_test(test_open_refuses_what_is_no_port),
		cmocka_unit_test(test_open_twice_is_busy_until_closed),
		cmocka_unit_test(test_event_times_out_and_reports_hang_up),
		cmocka_unit_test(test_event_reports_a_path_that_leads_elsewhere),
		cmocka_unit_test(test_stop_ends_every_wait),
		cmocka_unit_test(test_command_keeps_urcs_and_drops_percents_first),
		cmocka_unit_test(test_command_bounds),
		cmocka_unit_test(test_upload_refuses_what_it_cannot_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
