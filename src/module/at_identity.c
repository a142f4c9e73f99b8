/* SPDX-License-Identifier: MIT
 *
 * ATI and the identification commands. Row A11.
 */
#include "at_commands.h"

#include <inttypes.h>

static int line(struct dfota_at *at, const struct dfota_at_request *request, const char *text)
{
	if (request->form != DFOTA_AT_TEST)
		dfota_at_line(at, "%s", text);
	return DFOTA_AT_OK;
}

/* The second line is for `dfota pack --repair`. */
static void stranded_tell(struct dfota_at *at, const struct daemon *daemon)
{
	const struct dfota_updater_status *journal = &daemon->journal;
	const char *phase = dfota_updater_phase(journal->phase)->name;

	if (daemon->area_lost) {
		dfota_at_line(at, "FOTA: unknown, the area cannot be read");
		return;
	}
	dfota_at_line(at, "FOTA: incomplete, send the package to %s again", journal->version);
	dfota_at_line(at, "FOTA: state %.*s,%" PRIu32 ",%" PRIu32, (int)strcspn(phase, "("), phase,
		      journal->partition, journal->step);
}

AT_HANDLER(at_identity)
{
	const struct daemon *daemon = context;
	char version[MODULE_TEXT_MAX + 1];

	if (request->basic != 0)
		return DFOTA_AT_ERROR;
	daemon_version(daemon, version);
	dfota_at_line(at, "%s", daemon->config.manufacturer);
	dfota_at_line(at, "%s", daemon->config.model);
	dfota_at_line(at, "Revision: %s", version);
	if (daemon->mode == DAEMON_STRANDED)
		stranded_tell(at, daemon);
	return DFOTA_AT_OK;
}

AT_HANDLER(at_manufacturer)
{
	return line(at, request, ((const struct daemon *)context)->config.manufacturer);
}

AT_HANDLER(at_model)
{
	return line(at, request, ((const struct daemon *)context)->config.model);
}

AT_HANDLER(at_revision)
{
	char version[MODULE_TEXT_MAX + 1];

	daemon_version(context, version);
	return line(at, request, version);
}

AT_HANDLER(at_serial)
{
	return line(at, request, ((const struct daemon *)context)->config.imei);
}

AT_HANDLER(at_subscriber)
{
	return line(at, request, ((const struct daemon *)context)->config.imsi);
}

AT_HANDLER(at_card)
{
	const struct daemon *daemon = context;

	if (request->form != DFOTA_AT_TEST)
		dfota_at_line(at, "%s: %s", request->name, daemon->config.iccid);
	return DFOTA_AT_OK;
}
