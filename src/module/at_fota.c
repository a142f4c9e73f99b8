/* SPDX-License-Identifier: MIT
 *
 * AT+QFOTADL="<url or file>"[,<auto reset>[,<timeout>]]. Rows A3-A7: judged at once, carried out afterwards.
 */
#include "at_commands.h"
#include "request.h"

#define TIMEOUT_MAX_S 65535

AT_HANDLER(at_fota)
{
	struct daemon *daemon = context;
	uint64_t reset = 1, timeout = 0;
	char name[UFS_NAME_MAX + 1];
	const char *source;

	(void)at;
	if (request->form == DFOTA_AT_TEST)
		return DFOTA_AT_OK;
	source = at_string(request, 0);
	if (!source || request->params[0].text_bytes > DFOTA_AT_STRING_MAX ||
	    request->param_count > 3 || !at_number(request, 1, 0, 1, &reset) ||
	    !at_number(request, 2, 1, TIMEOUT_MAX_S, &timeout) || request_busy(daemon))
		return DFOTA_AT_ERROR;
	if (ufs_path_name(source, name))
		return *name && !request_local(daemon, name, reset != 0) ? DFOTA_AT_OK
									 : DFOTA_AT_ERROR;
	return request_url(daemon, source, request->params[0].text_bytes, reset != 0, timeout)
		       ? DFOTA_AT_ERROR
		       : DFOTA_AT_OK;
}
