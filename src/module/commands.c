/* SPDX-License-Identifier: MIT
 *
 * The table of AT commands.
 */
#include "at_commands.h"

#define T (1u << DFOTA_AT_TEST)
#define R (1u << DFOTA_AT_READ)
#define W (1u << DFOTA_AT_WRITE)
#define X (1u << DFOTA_AT_EXEC)

const struct dfota_at_command module_commands[] = {
	{ "I", X, at_identity },
	{ "+GMI", T | X, at_manufacturer },
	{ "+CGMI", T | X, at_manufacturer },
	{ "+GMM", T | X, at_model },
	{ "+CGMM", T | X, at_model },
	{ "+GMR", T | X, at_revision },
	{ "+CGMR", T | X, at_revision },
	{ "+QGMR", T | R | X, at_revision },
	{ "+GSN", T | X, at_serial },
	{ "+CGSN", T | X, at_serial },
	{ "+CIMI", T | X, at_subscriber },
	{ "+QCCID", T | X, at_card },
	{ "+ICCID", T | X, at_card },
	{ "+CCID", T | X, at_card },

	{ "X", X, at_accept },
	{ "H", X, at_accept },
	{ "L", X, at_accept },
	{ "M", X, at_accept },
	{ "&C", X, at_accept },
	{ "&D", X, at_accept },
	{ "&K", X, at_accept },
	{ "&S", X, at_accept },
	{ "&W", X, at_accept },
	{ "+IPR", T | W, at_accept },
	{ "+GCAP", T | X, at_capabilities },
	{ "+CFUN", T | R | W, at_functionality },
	{ "+CPIN", T | R | W, at_pin },
	{ "+CSCS", T | R | W, at_character_set },
	{ "+QPOWD", T | W | X, at_power_off },
	{ "+QURCCFG", T | W, at_urc_port },
	{ "+QINDCFG", T | W, at_urc_switch },
	{ "+CREG", T | R | W, at_registration },
	{ "+CGREG", T | R | W, at_registration },
	{ "+CEREG", T | R | W, at_registration },
	{ "+C5GREG", T | R | W, at_registration },
	{ "+COPS", T | R | W, at_operator },
	{ "+CSQ", T | X, at_signal },

	{ "+QFOTADL", T | W, at_fota },

	{ "+QFLDS", T | W | X, at_file_space },
	{ "+QFLST", T | W | X, at_file_list },
	{ "+QFUPL", T | W, at_file_upload },
	{ "+QFDWL", T | W, at_file_download },
	{ "+QFDEL", T | W, at_file_delete },
	{ "+QFOPEN", T | R | W, at_handle_open },
	{ "+QFREAD", T | W, at_handle_read },
	{ "+QFWRITE", T | W, at_handle_write },
	{ "+QFSEEK", T | W, at_handle_seek },
	{ "+QFPOSITION", T | W, at_handle_position },
	{ "+QFTUCAT", T | W, at_handle_truncate },
	{ "+QFFLUSH", T | W, at_handle_flush },
	{ "+QFCLOSE", T | W, at_handle_close },

	{ "+CGDCONT", T | R | W, at_context_define },
	{ "+CGACT", T | R | W, at_context_activate },
	{ "+CGATT", T | R | W, at_attach },
};

const size_t module_command_count = sizeof(module_commands) / sizeof(module_commands[0]);

bool at_number(const struct dfota_at_request *request, uint32_t index, uint64_t min, uint64_t max,
	       uint64_t *ret_value)
{
	const struct dfota_at_param *param = &request->params[index];

	if (index >= request->param_count || param->kind == DFOTA_AT_OMITTED)
		return true;
	if (param->kind != DFOTA_AT_NUMBER || param->number < min || param->number > max)
		return false;
	*ret_value = param->number;
	return true;
}

const char *at_string(const struct dfota_at_request *request, uint32_t index)
{
	const struct dfota_at_param *param = &request->params[index];

	if (index >= request->param_count || param->kind != DFOTA_AT_STRING)
		return NULL;
	return strlen(param->text) == param->text_bytes ? param->text : NULL;
}
