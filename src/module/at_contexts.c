/* SPDX-License-Identifier: MIT
 *
 * AT+CGDCONT, AT+CGACT, AT+CGATT: the host's data calls, which a download must not disturb. Rows D1-D3.
 */
#include "at_commands.h"

static int code_of(int error)
{
	switch (error) {
	case 0:
		return DFOTA_AT_OK;
	case DFOTA_E_BUSY:
		return CME_NOT_ALLOWED;
	default:
		return DFOTA_AT_ERROR;
	}
}

AT_HANDLER(at_context_define)
{
	struct daemon *daemon = context;
	const char *type = at_string(request, 1), *apn = at_string(request, 2);
	uint64_t id = 1;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+CGDCONT: (1-%d),\"IP\",,,(0),(0)", MODULE_CONTEXTS_MAX);
		dfota_at_line(at, "+CGDCONT: (1-%d),\"IPV6\",,,(0),(0)", MODULE_CONTEXTS_MAX);
		dfota_at_line(at, "+CGDCONT: (1-%d),\"IPV4V6\",,,(0),(0)", MODULE_CONTEXTS_MAX);
		return DFOTA_AT_OK;
	}
	if (request->form == DFOTA_AT_READ) {
		for (int i = 0; i < MODULE_CONTEXTS_MAX; i++) {
			const struct context *c = &daemon->contexts.contexts[i];

			if (c->defined)
				dfota_at_line(at, "+CGDCONT: %d,\"%s\",\"%s\",\"\",0,0", i + 1, c->type,
					      c->apn);
		}
		return DFOTA_AT_OK;
	}
	/* Nothing named is nothing deleted. */
	if (request->param_count < 1 || request->params[0].kind != DFOTA_AT_NUMBER ||
	    !at_number(request, 0, 1, MODULE_CONTEXTS_MAX, &id))
		return DFOTA_AT_ERROR;
	if (!apn && request->param_count > 2 && request->params[2].kind != DFOTA_AT_OMITTED)
		return DFOTA_AT_ERROR;
	if (request->param_count <= 1)
		return code_of(contexts_define(&daemon->contexts, id, NULL, NULL));
	if (!type && request->params[1].kind != DFOTA_AT_OMITTED)
		return DFOTA_AT_ERROR;
	if (!type)
		type = daemon->contexts.contexts[id - 1].defined
			       ? daemon->contexts.contexts[id - 1].type
			       : "IP";
	return code_of(contexts_define(&daemon->contexts, id, type, apn ? apn : ""));
}

AT_HANDLER(at_context_activate)
{
	struct daemon *daemon = context;
	uint64_t active = 0, id = 0;
	int error = 0;

	if (request->form == DFOTA_AT_TEST) {
		dfota_at_line(at, "+CGACT: (0,1)");
		return DFOTA_AT_OK;
	}
	if (request->form == DFOTA_AT_READ) {
		for (int i = 0; i < MODULE_CONTEXTS_MAX; i++)
			if (daemon->contexts.contexts[i].defined)
				dfota_at_line(at, "+CGACT: %d,%d", i + 1,
					      daemon->contexts.contexts[i].active ||
						      daemon->contexts.claimed == (uint32_t)i + 1);
		return DFOTA_AT_OK;
	}
	if (request->param_count < 1 || request->param_count > 2 ||
	    request->params[0].kind != DFOTA_AT_NUMBER || !at_number(request, 0, 0, 1, &active) ||
	    !at_number(request, 1, 1, MODULE_CONTEXTS_MAX, &id))
		return DFOTA_AT_ERROR;
	if (id)
		return code_of(contexts_activate(&daemon->contexts, id, active != 0));
	/* Without an identifier: all that are defined. */
	for (uint64_t i = 1; !error && i <= MODULE_CONTEXTS_MAX; i++)
		if (daemon->contexts.contexts[i - 1].defined)
			error = contexts_activate(&daemon->contexts, i, active != 0);
	return code_of(error);
}

AT_HANDLER(at_attach)
{
	uint64_t attached = 1;

	(void)context;
	if (request->form == DFOTA_AT_TEST)
		dfota_at_line(at, "+CGATT: (0,1)");
	else if (request->form == DFOTA_AT_READ)
		dfota_at_line(at, "+CGATT: 1");
	else if (request->param_count != 1 || !at_number(request, 0, 0, 1, &attached))
		return DFOTA_AT_ERROR;
	return DFOTA_AT_OK;
}
