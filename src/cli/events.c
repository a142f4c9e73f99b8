/* SPDX-License-Identifier: MIT
 *
 * Events of an upgrade as JSON.
 */
#include "events.h"

#include <stdio.h>

void events_put(json_t *line)
{
	if (!line || json_dumpf(line, stdout, JSON_COMPACT) || putchar('\n') == EOF ||
	    fflush(stdout))
		clearerr(stdout);
	json_decref(line);
}

void events_put_event(const char *module, const struct dfota_upgrade_event *event)
{
	const char *stage = dfota_stage_name(event->stage);

	switch (event->kind) {
	case DFOTA_UPGRADE_STAGE:
		events_put(
		    json_pack("{s:s,s:s,s:s}", "event", "stage", "module", module, "stage", stage));
		return;
	case DFOTA_UPGRADE_PROGRESS:
		events_put(json_pack("{s:s,s:s,s:s,s:I,s:I}", "event", "progress", "module", module,
				     "stage", stage, "done", (json_int_t)event->done, "total",
				     (json_int_t)event->total));
		return;
	case DFOTA_UPGRADE_VERSION:
		events_put(json_pack("{s:s,s:s,s:s,s:s}", "event", "version", "module", module,
				     "stage", stage, "version", event->text));
		return;
	case DFOTA_UPGRADE_URC:
		events_put(json_pack("{s:s,s:s,s:s}", "event", "urc", "module", module, "text",
				     event->text));
		return;
	case DFOTA_UPGRADE_NOTE:
		events_put(json_pack("{s:s,s:s,s:s}", "event", "note", "module", module, "text",
				     event->text));
		return;
	}
}

void events_put_result(const char *module, const struct dfota_upgrade_result *result)
{
	const char *version = result->to[0] ? result->to : result->from;

	events_put(json_pack("{s:s,s:s,s:i,s:s,s:s,s:s,s:s,s:i,s:i}", "event", "result", "module",
			     module, "code", result->nothing_to_do ? 0 : result->code, "error",
			     dfota_error_name(result->error), "text", result->message, "from",
			     result->from, "version", version, "attempts", (int)result->attempts,
			     "exit", dfota_error_exit(result->error)));
}

const char *events_label(enum dfota_upgrade_stage stage)
{
	static const char *const labels[DFOTA_STAGE_COUNT] = {
		[DFOTA_STAGE_CONNECT] = "connecting", [DFOTA_STAGE_UPLOAD] = "uploading",
		[DFOTA_STAGE_REQUEST] = "requesting", [DFOTA_STAGE_DOWNLOAD] = "downloading",
		[DFOTA_STAGE_REBOOT] = "rebooting",   [DFOTA_STAGE_UPDATE] = "upgrading",
		[DFOTA_STAGE_RESTART] = "restarting", [DFOTA_STAGE_CHECK] = "checking",
	};

	return labels[stage];
}
