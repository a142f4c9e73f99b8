/* SPDX-License-Identifier: MIT
 *
 * The network as hosts see it before they use it: AT+CREG, +CGREG, +CEREG, +C5GREG, +COPS, +CSQ.
 * The network of the machine stands for all of them: there is one while the module runs normally at
 * full functionality.
 */
#include <stdio.h>

#include "at_commands.h"

#define SIGNAL_GOOD 25 /* of 31: -63 dBm */
#define NONE	    99
#define OPERATOR    "dfota"

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

/* One network, chosen by the module itself; its number is that of the card. */
AT_HANDLER(at_operator)
{
	struct daemon *daemon = context;
	uint64_t mode = 0, format = daemon->operator_format;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+COPS: (2,\"%s\",\"%s\",\"%.5s\"),,(0,3),(0-2)", OPERATOR,
			      OPERATOR, daemon->config.imsi);
	} else if (request->form == DFOTA_AT_READ) {
		if (!registered(daemon))
			dfota_at_line(at, "+COPS: 0");
		else if (format == 2)
			dfota_at_line(at, "+COPS: 0,2,\"%.5s\"", daemon->config.imsi);
		else
			dfota_at_line(at, "+COPS: 0,%u,\"%s\"", (unsigned)format, OPERATOR);
	} else {
		if (request->param_count > 2 || request->params[0].kind != DFOTA_AT_NUMBER ||
		    !at_number(request, 0, 0, 3, &mode) || !at_number(request, 1, 0, 2, &format))
			return DFOTA_AT_ERROR;
		if (mode == 1 || mode == 2)
			return CME_NOT_SUPPORTED;
		daemon->operator_format = (uint8_t)format;
	}
	return DFOTA_AT_OK;
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
