/* SPDX-License-Identifier: MIT
 *
 * What a run tells: events on the way, one message in the end.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "run.h"

const char *dfota_stage_name(enum dfota_upgrade_stage stage)
{
	static const char *const names[] = {
		[DFOTA_STAGE_CONNECT] = "connect", [DFOTA_STAGE_UPLOAD] = "upload",
		[DFOTA_STAGE_REQUEST] = "request", [DFOTA_STAGE_DOWNLOAD] = "download",
		[DFOTA_STAGE_REBOOT] = "reboot",   [DFOTA_STAGE_UPDATE] = "update",
		[DFOTA_STAGE_RESTART] = "restart", [DFOTA_STAGE_CHECK] = "check",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == DFOTA_STAGE_COUNT,
		       "every stage is named");
	return (unsigned int)stage < DFOTA_STAGE_COUNT ? names[stage] : "unknown";
}

void run_event(struct run *run, enum dfota_upgrade_event_kind kind, uint64_t done, uint64_t total,
	       const char *text)
{
	struct dfota_upgrade_event event = {
		.kind = kind, .stage = run->stage, .done = done, .total = total, .text = text
	};

	if (run->u.event)
		run->u.event(run->u.context, &event);
}

void run_stage(struct run *run, enum dfota_upgrade_stage stage)
{
	if (run->stage == stage && run->staged && stage != DFOTA_STAGE_UPDATE)
		return;
	run->stage = stage;
	run->staged = true;
	run_event(run, DFOTA_UPGRADE_STAGE, 0, 0, NULL);
}

void run_note(struct run *run, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	run_event(run, DFOTA_UPGRADE_NOTE, 0, 0, text);
}

int run_fail(struct run *run, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(run->result->message, sizeof(run->result->message), format, arguments);
	va_end(arguments);
	run->result->error = error;
	return error;
}

static int fail_stopped(struct run *run)
{
	if (run->result->requested)
		return run_fail(
		    run, DFOTA_E_STOPPED,
		    "Stopped looking. The module goes on by itself; no command is needed. "
		    "Look again with: dfota at --port %s ATI",
		    run->u.port);
	return run_fail(run, DFOTA_E_STOPPED,
			"Stopped before the upgrade was requested. The firmware was not touched.");
}

int run_fail_port(struct run *run, int error, const char *doing)
{
	const char *untouched = run->result->requested ? "" : " The firmware was not touched.";

	switch (error) {
	case DFOTA_E_STOPPED:
		return fail_stopped(run);
	case DFOTA_E_NOT_FOUND: /* within its time: that is no answer in time */
		return run_fail(run, DFOTA_E_TIMEOUT,
				"%s did not appear while %s.%s Is the module powered, and is this "
				"its AT port?",
				run->u.port, doing, untouched);
	case DFOTA_E_BUSY:
		return run_fail(run, error,
				"Another program holds %s.%s Stop it (ModemManager, a terminal "
				"program) and try again.",
				run->u.port, untouched);
	case DFOTA_E_ARGUMENT:
		return run_fail(run, error,
				"%s is not a serial port or pseudo terminal.%s `dfota ports` lists "
				"those of modules.",
				run->u.port, untouched);
	case DFOTA_E_TIMEOUT:
		return run_fail(run, error,
				"No answer from the module while %s.%s Is %s its AT port?", doing,
				untouched, run->u.port);
	case DFOTA_E_CORRUPT:
		return run_fail(run, error,
				"What the module received is not what was sent (count or checksum "
				"differ, also the second time).%s Check the line to the module.",
				untouched);
	case DFOTA_E_READ:
		return run_fail(run, error, "The package could not be read while %s.%s Is its medium in order?",
				doing, untouched);
	case DFOTA_E_IO:
		if (access(run->u.port, R_OK | W_OK) && errno == EACCES)
			return run_fail(run, error,
					"You may not open %s.%s Join the group that owns it (ls -l %s), or be root.",
					run->u.port, untouched, run->u.port);
		return run_fail(run, error,
				"The port failed or went away while %s.%s Look at the cable and at the module's "
				"power, and try again.",
				doing, untouched);
	}
	return run_fail(run, error, "Failed while %s: %s.%s", doing, dfota_error_text(error),
			untouched);
}

bool run_code_refuses(int code)
{
	return code == 504 || code == 505 || code == 510 || code == 511 || code == 550;
}

static int code_error(int code)
{
	switch (code) {
	case 504:
		return DFOTA_E_ZIP;
	case 505:
		return DFOTA_E_VERSION;
	case 510:
		return DFOTA_E_CONTENT;
	case 511:
		return DFOTA_E_SPACE;
	case 550:
		return DFOTA_E_TOO_LARGE;
	}
	/* The note knows 601 and 701; modules of the family send other numbers around them. */
	return code >= 600 && code < 800 ? DFOTA_E_TRANSFER : DFOTA_E_REFUSED;
}

static const char *code_advice(int code)
{
	switch (code) {
	case 504:
		return "Build or fetch the package again, signed with a key that the module "
		       "trusts.";
	case 505:
		return "Use a package of the same project that leads from the version that runs; "
		       "if it was upgraded already, nothing is to do.";
	case 510:
		return "The firmware on the module was altered: only a package made from those "
		       "very "
		       "contents, or a full image, helps.";
	case 511:
		return "Free space in the module (AT+QFLST, AT+QFDEL), then run the same command "
		       "again.";
	case 550:
		return "Build the package in several steps, from version to version.";
	}
	if (code >= 600 && code < 800)
		return "Check the server, the path and the module's data call, then run the same "
		       "command again.";
	return "Run the same command again; if that fails too, the module needs service.";
}

int run_fail_code(struct run *run, int code, bool came_back)
{
	const struct dfota_upgrade_result *result = run->result;
	const char *cause = dfota_code_text(code);
	char state[DFOTA_HOST_VERSION_MAX + 96] = "";
	bool same = result->from[0] && strcmp(result->from, result->to) == 0;

	if (!came_back)
		snprintf(state, sizeof(state), " The module has not answered since.");
	else if (result->to[0])
		snprintf(state, sizeof(state), " The module runs %s%s.", result->to,
			 same && (code_error(code) == DFOTA_E_TRANSFER || run_code_refuses(code))
			     ? ", as before; nothing was changed"
			     : "");
	return run_fail(run, code_error(code), "The upgrade failed with code %d (%s)%s.%s %s", code,
			cause ? cause : "not a code that this program knows",
			result->attempts > 1 ? ", after several attempts" : "", state,
			code_advice(code));
}

int run_version(struct run *run, char version[DFOTA_HOST_VERSION_MAX + 1])
{
	int error = dfota_port_version(run->port, run->u.expect_version, run->u.command_timeout_ms,
				       version);

	if (!error)
		run_event(run, DFOTA_UPGRADE_VERSION, 0, 0, version);
	return error;
}

bool run_unfinished(const struct run *run)
{
	static const char mark[] = "+incomplete";
	size_t bytes = strlen(run->result->to);

	return bytes >= sizeof(mark) - 1 &&
	       strcmp(run->result->to + bytes - (sizeof(mark) - 1), mark) == 0;
}

bool run_reached(const struct run *run)
{
	const struct dfota_upgrade_result *result = run->result;

	if (!result->to[0] || run_unfinished(run))
		return false;
	if (run->u.expect_version)
		return strcmp(result->to, run->u.expect_version) == 0;
	return result->from[0] && strcmp(result->from, result->to) != 0;
}
