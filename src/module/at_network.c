/* SPDX-License-Identifier: MIT
 *
 * The network as hosts see it before they use it: AT+CREG, +CGREG, +CEREG, +C5GREG, +CSQ. The network of the machine stands
 * for all of them: there is one while the module runs normally at full functionality.
 */
#include <stdio.h>

#include "at_commands.h"

#define SIGNAL_GOOD 25 /* of 31: -63 dBm */
#define NONE	    99

static const char *const names[NETWORK_DOMAINS] = { "+CREG", "+CGREG", "+CEREG", "+C5GREG" };

static bool registered(const struct daemon *daemon)
{
	return daemon->functionality == 1 && daemon->mode == DAEMON_NORMAL;
}

AT_HANDLER(at_registration)
{
	struct daemon *daemon = context;
	uint64_t told = 0;
	int i = 0;

	while (i + 1 < NETWORK_DOMAINS && strcmp(names[i], request->name) != 0)
		i++;
	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "%s: (0-2)", names[i]);
	} else if (request->form == DFOTA_AT_READ) {
		dfota_at_line(at, "%s: %u,%u", names[i], daemon->registration_told[i],
			      registered(daemon) ? 1u : 0u);
	} else {
		if (request->param_count != 1 || !at_number(request, 0, 0, 2, &told))
			return DFOTA_AT_ERROR;
		daemon->registration_told[i] = (uint8_t)told;
	}
	return DFOTA_AT_OK;
}

void at_registration_changed(struct daemon *daemon)
{
	char text[16];

	for (int i = 0; i < NETWORK_DOMAINS; i++) {
		if (!daemon->registration_told[i])
			continue;
		snprintf(text, sizeof(text), "%s: %u", names[i], registered(daemon) ? 1u : 0u);
		(void)dfota_at_urc(&daemon->wire.at, text, true);
	}
}

AT_HANDLER(at_signal)
{
	const struct daemon *daemon = context;

	if (request->form == DFOTA_AT_TEST)
		dfota_at_line(at, "+CSQ: (0-31,99),(0-7,99)");
	else
		dfota_at_line(at, "+CSQ: %d,%d", registered(daemon) ? SIGNAL_GOOD : NONE, NONE);
	return DFOTA_AT_OK;
}
