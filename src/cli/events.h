/* SPDX-License-Identifier: MIT
 *
 * Events of an upgrade as JSON lines on stdout, each with the module that it is about.
 */
#ifndef DFOTA_CLI_EVENTS_H
#define DFOTA_CLI_EVENTS_H

#include <jansson.h>

#include "dfota/host.h"

/* Writes one line and releases it; NULL (out of memory) and a closed stdout are passed over: the
 * upgrade matters more. */
void events_put(json_t *line);

void events_put_event(const char *module, const struct dfota_upgrade_event *event);
void events_put_result(const char *module, const struct dfota_upgrade_result *result);

/* What people call a stage ("uploading"). */
const char *events_label(enum dfota_upgrade_stage stage);

#endif
