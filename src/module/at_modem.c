/* SPDX-License-Identifier: MIT
 *
 * Commands of a modem that hosts expect before they talk about upgrades.
 */
#include "at_commands.h"

#define LINGER_MS 200

AT_HANDLER(at_accept)
{
	(void)context;
	(void)at;
	(void)request;
	return DFOTA_AT_OK;
}

AT_HANDLER(at_capabilities)
{
	(void)context;
	if (request->form == DFOTA_AT_EXEC)
		dfota_at_line(at, "+GCAP: +CGSM");
	return DFOTA_AT_OK;
}

AT_HANDLER(at_functionality)
{
	struct daemon *daemon = context;
	uint64_t level = daemon->functionality, reset = 0;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+CFUN: (0,1,4),(0,1)");
		return DFOTA_AT_OK;
	}
	if (request->form == DFOTA_AT_READ) {
		dfota_at_line(at, "+CFUN: %u", (unsigned)daemon->functionality);
		return DFOTA_AT_OK;
	}
	if (request->param_count > 2 || !at_number(request, 0, 0, 4, &level) ||
	    !at_number(request, 1, 0, 1, &reset) || (level != 0 && level != 1 && level != 4))
		return DFOTA_AT_ERROR;
	daemon->functionality = level;
	if (reset)
		daemon_finish(daemon, DAEMON_REBOOT, LINGER_MS);
	return DFOTA_AT_OK;
}

AT_HANDLER(at_pin)
{
	(void)context;
	if (request->form == DFOTA_AT_READ)
		dfota_at_line(at, "+CPIN: READY");
	return DFOTA_AT_OK;
}

AT_HANDLER(at_character_set)
{
	const char *set = at_string(request, 0);

	(void)context;
	if (request->form == DFOTA_AT_TEST)
		dfota_at_line(at, "+CSCS: (\"GSM\",\"IRA\")");
	else if (request->form == DFOTA_AT_READ)
		dfota_at_line(at, "+CSCS: \"IRA\"");
	else if (!set || (strcmp(set, "GSM") != 0 && strcmp(set, "IRA") != 0))
		return DFOTA_AT_ERROR;
	return DFOTA_AT_OK;
}

AT_HANDLER(at_power_off)
{
	struct daemon *daemon = context;
	uint64_t kind = 1;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+QPOWD: (0,1)");
		return DFOTA_AT_OK;
	}
	if (request->param_count > 1 || !at_number(request, 0, 0, 1, &kind))
		return DFOTA_AT_ERROR;
	(void)dfota_at_urc(at, "POWERED DOWN", false);
	daemon_finish(daemon, DAEMON_POWER_OFF, LINGER_MS);
	return DFOTA_AT_OK;
}
