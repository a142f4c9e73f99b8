/* SPDX-License-Identifier: MIT
 *
 * Recovery mode: START, UPDATING, END, and the restart after it. Rows A9, A10 and E1-E4.
 *
 * END stands after what it tells: version record or count first, then the flag, then the URC at once, so that a
 * power cut repeats an END that was not told and never one that was.
 */
#include <stdarg.h>
#include <stdio.h>

#include "daemon.h"
#include "log.h"

#define SETTLE_LIMIT_MS 60000 /* row A9 allows 90 s */
#define PACE_LIMIT_MS   30000 /* a host in data mode does not hold up the end for ever */
#define LINGER_MS       500   /* between END and the port's going */

static void fota(struct daemon *daemon, bool droppable, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void fota(struct daemon *daemon, bool droppable, const char *format, ...)
{
	char text[DFOTA_AT_URC_MAX] = "+QIND: \"FOTA\",";
	size_t prefix = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text + prefix, sizeof(text) - prefix, format, arguments);
	va_end(arguments);
	(void)dfota_at_urc(&daemon->wire.at, text, droppable);
}

static void on_percent(void *context, int percent)
{
	struct daemon *daemon = context;

	worker_percent(&daemon->worker, percent);
}

static bool on_stop(void *context)
{
	struct daemon *daemon = context;

	return worker_stopped(&daemon->worker);
}

static void on_job(void *context)
{
	struct daemon *daemon = context;

	upgrade_run(&daemon->recovery.upgrade);
}

static void on_progress(void *context)
{
	struct daemon *daemon = context;

	wire_kick(&daemon->wire);
}

static void on_ended(void *context)
{
	struct daemon *daemon = context;

	daemon->recovery.state = RECOVERY_ENDING;
	daemon->recovery.end_ms = uv_now(&daemon->loop);
	wire_kick(&daemon->wire);
}

int recovery_start(struct daemon *daemon)
{
	struct recovery *recovery = &daemon->recovery;

	recovery->state = RECOVERY_RUNNING;
	recovery->told = -1;
	recovery->held = daemon->config.urc_settle_ms > 0;
	dfota_at_hold_urcs(&daemon->wire.at, recovery->held);
	fota(daemon, false, "\"START\"");
	recovery->upgrade = (struct upgrade){
		.config = &daemon->config,
		.records = &daemon->records,
		.stop = on_stop,
		.percent = on_percent,
		.context = daemon,
	};
	daemon->worker.job = on_job;
	daemon->worker.ended = on_ended;
	daemon->worker.progress = on_progress;
	daemon->worker.context = daemon;
	return worker_start(&daemon->worker);
}

void recovery_release(struct daemon *daemon)
{
	daemon->recovery.held = false;
	dfota_at_hold_urcs(&daemon->wire.at, false);
}

/* Counted from the host's first command, without one from the boot. */
static void settle(struct daemon *daemon)
{
	const struct wire *wire = &daemon->wire;
	uint64_t from = wire->first_input_ms ? wire->first_input_ms : wire->open_ms;
	uint64_t end = dfota_min64(from + daemon->config.urc_settle_ms,
				   wire->open_ms + SETTLE_LIMIT_MS);

	if (!daemon->recovery.held)
		return;
	if (uv_now(&daemon->loop) >= end)
		recovery_release(daemon);
	else
		wire_wake(&daemon->wire, end);
}

/* One at a time and only the newest, so that a slow port does not fall behind. */
static void tell_percent(struct daemon *daemon, int percent)
{
	if (percent <= daemon->recovery.told || daemon->recovery.held || !wire_idle(&daemon->wire))
		return;
	daemon->recovery.told = percent;
	fota(daemon, true, "\"UPDATING\",%d", percent);
}

/* True when the port is quiet and the last URC long enough ago, or when waiting for that has lasted too long. */
static bool paced(struct daemon *daemon)
{
	struct wire *wire = &daemon->wire;
	uint64_t now = uv_now(&daemon->loop), limit = daemon->recovery.end_ms + PACE_LIMIT_MS;
	uint64_t gap = wire->output_ms + daemon->config.urc_gap_ms;

	if (daemon->recovery.held)
		return false; /* settle has set the wake-up */
	if (now >= limit)
		return true;
	wire_wake(wire, limit);
	if (!wire_idle(wire))
		return false; /* whatever makes it idle is a turn */
	if (now >= gap)
		return true;
	wire_wake(wire, gap);
	return false;
}

static void end(struct daemon *daemon)
{
	struct upgrade *upgrade = &daemon->recovery.upgrade;
	bool restart = !upgrade->unrecorded;
	int code = upgrade->code;

	daemon->recovery.state = RECOVERY_ENDED;
	if (upgrade->verdict != DFOTA_VERDICT_RETRY) {
		int error = upgrade_flag_delete(&daemon->records);

		if (error) {
			module_log("upgrade: the flag cannot be deleted (%s)", dfota_error_name(error));
			code = dfota_error_code(error, DFOTA_WHERE_NONE, NULL, false);
			restart = false;
		} else {
			module_log("upgrade: flag deleted");
		}
	}
	fota(daemon, false, "\"END\",%d", code);
	module_log("upgrade: END,%d", code);
	if (restart)
		daemon_finish(daemon, DAEMON_REBOOT, LINGER_MS);
}

void recovery_turn(struct daemon *daemon)
{
	struct recovery *recovery = &daemon->recovery;
	const struct upgrade *upgrade = &recovery->upgrade;

	if (daemon->mode != DAEMON_RECOVERY)
		return;
	settle(daemon);
	if (recovery->state == RECOVERY_RUNNING)
		tell_percent(daemon, atomic_load(&daemon->worker.percent));
	if (recovery->state != RECOVERY_ENDING || upgrade->verdict == DFOTA_VERDICT_STOP ||
	    daemon->action != DAEMON_STAY)
		return;
	if (upgrade->verdict == DFOTA_VERDICT_DONE)
		tell_percent(daemon, 100);
	if (!paced(daemon))
		return;
	if (upgrade->verdict == DFOTA_VERDICT_DONE && recovery->told < 100)
		fota(daemon, true, "\"UPDATING\",100");
	end(daemon);
}
