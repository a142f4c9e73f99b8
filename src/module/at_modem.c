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
	if (daemon->functionality != level) {
		daemon->functionality = level;
		at_registration_changed(daemon);
	}
	if (reset) {
		recovery_release(daemon);
		daemon_finish(daemon, DAEMON_REBOOT, LINGER_MS);
	}
	return DFOTA_AT_OK;
}

AT_HANDLER(at_pin)
{
	(void)context;
	if (request->form == DFOTA_AT_READ)
		dfota_at_line(at, "+CPIN: READY");
	return request->form == DFOTA_AT_WRITE ? CME_NOT_ALLOWED : DFOTA_AT_OK;
}

AT_HANDLER(at_character_set)
{
	struct daemon *daemon = context;
	const char *set = at_string(request, 0);

	if (request->form == DFOTA_AT_TEST)
		dfota_at_line(at, "+CSCS: (\"GSM\",\"IRA\")");
	else if (request->form == DFOTA_AT_READ)
		dfota_at_line(at, "+CSCS: \"%s\"", daemon->gsm_characters ? "GSM" : "IRA");
	else if (!set || (strcmp(set, "GSM") != 0 && strcmp(set, "IRA") != 0))
		return DFOTA_AT_ERROR;
	else
		daemon->gsm_characters = *set == 'G';
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
	recovery_release(daemon);
	(void)dfota_at_urc(at, "POWERED DOWN", false);
	daemon_finish(daemon, DAEMON_POWER_OFF, LINGER_MS);
	return DFOTA_AT_OK;
}

/* There is one port, which carries all URCs: the setting is kept for hosts that look at it, until
 * the next boot. */
AT_HANDLER(at_urc_port)
{
	static const char *const ports[] = { "usbat", "usbmodem", "uart1", "all" };
	struct daemon *daemon = context;
	const char *what = at_string(request, 0), *port = at_string(request, 1);

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at,
			      "+QURCCFG: \"urcport\",(\"usbat\",\"usbmodem\",\"uart1\",\"all\")");
		return DFOTA_AT_OK;
	}
	if (!what || strcmp(what, "urcport") != 0 || request->param_count > 2)
		return DFOTA_AT_ERROR;
	if (request->param_count == 1) {
		dfota_at_line(at, "+QURCCFG: \"urcport\",\"%s\"", ports[daemon->urc_port]);
		return DFOTA_AT_OK;
	}
	for (uint8_t i = 0; port && i < sizeof(ports) / sizeof(ports[0]); i++) {
		if (strcmp(port, ports[i]) != 0)
			continue;
		daemon->urc_port = i;
		return DFOTA_AT_OK;
	}
	return DFOTA_AT_ERROR;
}

/* Kept for hosts as well: those of an upgrade, which alone come after the boot, cannot be switched
 * off. */
AT_HANDLER(at_urc_switch)
{
	struct daemon *daemon = context;
	const char *what = at_string(request, 0);
	uint64_t on = !daemon->urc_off;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+QINDCFG: \"all\",(0,1)");
		return DFOTA_AT_OK;
	}
	if (!what || strcmp(what, "all") != 0 || request->param_count > 2 ||
	    !at_number(request, 1, 0, 1, &on))
		return DFOTA_AT_ERROR;
	if (request->param_count == 1)
		dfota_at_line(at, "+QINDCFG: \"all\",%d", !daemon->urc_off);
	else
		daemon->urc_off = on == 0;
	return DFOTA_AT_OK;
}
