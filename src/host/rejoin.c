/* SPDX-License-Identifier: MIT
 *
 * An upgrade that this run did not begin: the host before it was killed, or restarted, while the
 * module went on.
 *
 * No command tells whether a module upgrades; it refuses what would disturb it, and it reports. So
 * after a refusal, and after the port went away too early, reports are waited for, and the first
 * one is reason enough to follow.
 */
#include <stdio.h>
#include <strings.h>

#include "run.h"

/* From the wire to the kept events until a FOTA URC is among them. */
static int listen_for_news(struct run *run, uint32_t patience_ms)
{
	uint64_t deadline_ms = host_clock_ms() + patience_ms;
	struct dfota_at_event event;
	int error = 0;

	while (!error && !port_keeps_fota(run->port)) {
		error = port_next(run->port, deadline_ms, &event);
		if (!error &&
		    (event.kind == DFOTA_AT_EVENT_FOTA || event.kind == DFOTA_AT_EVENT_URC))
			port_keep(run->port, &event);
	}
	return error;
}

/* A download has no reports between its ends: the module that refused an address which looks right
 * may be in one.
 */
static uint32_t patience(const struct run *run, int error)
{
	const char *target = run->u.target;
	bool url = run->u.source == DFOTA_UPGRADE_URL && (strncasecmp(target, "ftp://", 6) == 0 ||
							  strncasecmp(target, "http://", 7) == 0 ||
							  strncasecmp(target, "https://", 8) == 0);

	return url && error == DFOTA_E_REFUSED ? run->u.first_urc_timeout_ms : run->u.settle_ms;
}

static int join(struct run *run)
{
	run_note(run, "An upgrade is under way already; following it.");
	run->result->error = 0;
	run->result->message[0] = '\0';
	run->result->requested = true;
	return run_follow(run);
}

/* It may have ended while nobody looked. */
static bool ended_well(struct run *run)
{
	if (port_greet(run->port, run->u.command_timeout_ms, true) ||
	    run_version(run, run->result->to) || !run->u.expect_version || !run_reached(run))
		return false;
	run->result->error = 0;
	run->result->code = 0;
	snprintf(run->result->message, sizeof(run->result->message),
		 "Upgraded to %s, by an upgrade that was under way.", run->result->to);
	return true;
}

int run_rejoin(struct run *run, int error)
{
	int heard;

	if (error != DFOTA_E_REFUSED && error != DFOTA_E_IO && error != DFOTA_E_TIMEOUT &&
	    error != DFOTA_E_BUSY)
		return error;
	if (error == DFOTA_E_IO || !run->port) {
		dfota_port_close(run->port);
		run->port = NULL;
		if (run_open(run, run->u.first_urc_timeout_ms))
			return error;
	}
	if (!port_keeps_fota(run->port))
		run_note(run, "Looking whether an upgrade is under way.");
	heard = listen_for_news(run, patience(run, error));
	if (!heard)
		return join(run);
	if (heard == DFOTA_E_STOPPED)
		return run_fail_port(run, heard, "looking after the module");
	if (heard == DFOTA_E_IO && error == DFOTA_E_REFUSED)
		return join(run); /* it refused, and restarts */
	if (heard == DFOTA_E_TIMEOUT && ended_well(run))
		return 0;
	return error;
}

int run_watch(struct run *run)
{
	int heard = 0;

	if (!port_keeps_fota(run->port)) {
		run_note(run, "Waiting for news of an upgrade.");
		heard = listen_for_news(run, run->u.first_urc_timeout_ms);
	}
	if (!heard || heard == DFOTA_E_IO) /* it restarts */
		return join(run);
	if (heard == DFOTA_E_STOPPED)
		return run_fail_port(run, heard, "watching the module");
	return run_fail(
	    run, heard,
	    "No upgrade was heard of in %u s. The module runs %s; it was asked for nothing.",
	    run->u.first_urc_timeout_ms / 1000, run->result->from);
}
