/* SPDX-License-Identifier: MIT
 *
 * Handlers of the AT commands, and access to their parameters. The context is the daemon.
 */
#ifndef DFOTA_MODULE_AT_COMMANDS_H
#define DFOTA_MODULE_AT_COMMANDS_H

#include "daemon.h"

#define AT_HANDLER(name) int name(void *context, struct dfota_at *at, const struct dfota_at_request *request)

/* at_identity.c */
AT_HANDLER(at_identity); /* I */
AT_HANDLER(at_manufacturer);
AT_HANDLER(at_model);
AT_HANDLER(at_revision);
AT_HANDLER(at_serial);
AT_HANDLER(at_subscriber);
AT_HANDLER(at_card);

/* at_modem.c */
AT_HANDLER(at_accept); /* settings without an effect here: X, &C, H ... */
AT_HANDLER(at_capabilities);
AT_HANDLER(at_functionality);
AT_HANDLER(at_pin);
AT_HANDLER(at_power_off);
AT_HANDLER(at_character_set);

AT_HANDLER(at_urc_port);
AT_HANDLER(at_urc_switch);

/* at_network.c */
AT_HANDLER(at_registration);
AT_HANDLER(at_operator);
AT_HANDLER(at_signal);
/* Tells hosts that have asked for it: functionality is another. */
void at_registration_changed(struct daemon *daemon);

/* at_fota.c */
AT_HANDLER(at_fota);

/* at_files.c */
AT_HANDLER(at_file_space);
AT_HANDLER(at_file_list);
AT_HANDLER(at_file_upload);
AT_HANDLER(at_file_download);
AT_HANDLER(at_file_delete);

/* at_handles.c */
AT_HANDLER(at_handle_open);
AT_HANDLER(at_handle_read);
AT_HANDLER(at_handle_write);
AT_HANDLER(at_handle_seek);
AT_HANDLER(at_handle_position);
AT_HANDLER(at_handle_truncate);
AT_HANDLER(at_handle_flush);
AT_HANDLER(at_handle_close);

/* at_contexts.c */
AT_HANDLER(at_context_define);
AT_HANDLER(at_context_activate);
AT_HANDLER(at_attach);

/* Parameter `index` as a number in [min, max]; *ret_value stays (default) when it is omitted. False for all else. */
bool at_number(const struct dfota_at_request *request, uint32_t index, uint64_t min, uint64_t max,
	       uint64_t *ret_value);

/* As a string: NULL when it is omitted or a number. */
const char *at_string(const struct dfota_at_request *request, uint32_t index);

#endif
