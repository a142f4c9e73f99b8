/* SPDX-License-Identifier: MIT
 *
 * From the accepted request to the end: URCs over all reboots, and the version that decides.
 *
 * Any URC may be lost, because the port is away while the module reboots and what it sends then is
 * gone. So nothing here depends on having seen one: each silence of the time of row A9 is followed
 * by a look (does AT answer, which version runs), and what that shows decides. A failed attempt is
 * retried by the module itself (rows E2, E3): after END with a code the next START is awaited, up
 * to the fifth failure.
 */
#include <stdio.h>
#include <strings.h>

#include "run.h"

#define FAILURES_MAX   5  /* row E3 */
#define SILENCES_MAX   3  /* while an upgrade runs; a step may take long */
#define LOSSES_MAX     20 /* reboots in a row without any news */
#define MISMATCHES_MAX 3  /* looks at the version after the last reboot */
#define LOOK_AGAIN_MS  1000
#define REASON_MS      500

enum phase {
	PHASE_ASKED,	/* request accepted; nothing heard yet */
	PHASE_DOWNLOAD, /* FTPSTART or HTTPSTART */
	PHASE_WAIT,	/* download done or port lost: START is due */
	PHASE_UPDATE,	/* START or UPDATING */
	PHASE_FAILED,	/* END with a code: the module may try again */
	PHASE_ENDED	/* END,0 */
};

struct follow {
	struct run *run;
	enum phase phase;
	uint64_t deadline_ms, download_deadline_ms;
	uint64_t life_ms; /* last sign of life: news, an answer, the port's return */
	uint64_t end_ms;  /* of the last END */
	uint32_t failures, silences, losses, mismatches;
	bool restarted; /* a reboot was seen since the last END */
	bool reached;	/* the right version was told, but without END,0 */
	bool reopened;	/* the port was opened anew because the module was mute */
	bool done;
};

static void set_deadline(struct follow *f, uint32_t ms)
{
	f->deadline_ms = host_clock_ms() + ms;
}

/* How long to wait for news in this phase. */
static uint32_t patience(const struct follow *f)
{
	const struct dfota_upgrade *u = &f->run->u;

	if (f->phase == PHASE_ENDED)
		return f->restarted ? 0 : u->settle_ms;
	if (f->phase == PHASE_FAILED &&
	    (f->failures >= FAILURES_MAX || run_code_refuses(f->run->result->code)))
		return f->restarted ? u->settle_ms : u->first_urc_timeout_ms;
	/* Without an expected version another one is weaker evidence: a module may name itself
	 * otherwise while it upgrades.
	 */
	if (f->reached && u->expect_version)
		return u->settle_ms;
	return u->first_urc_timeout_ms;
}

static void wait_on(struct follow *f)
{
	set_deadline(f, patience(f));
}

static int succeed(struct follow *f)
{
	struct dfota_upgrade_result *result = f->run->result;

	result->code = 0;
	snprintf(result->message, sizeof(result->message), "Upgraded%s%s%s%s.",
		 result->from[0] ? " from " : "", result->from, result->to[0] ? " to " : "",
		 result->to);
	f->done = true;
	return 0;
}

/* ---- port lost and found ------------------------------------------------------------------ */

static int lose_port(struct follow *f)
{
	struct run *run = f->run;

	dfota_port_close(run->port);
	run->port = NULL;
	f->restarted = true;
	if (++f->losses > LOSSES_MAX)
		return run_fail(
		    run, DFOTA_E_TIMEOUT,
		    "The module's port came and went %d times without any news. Watch the "
		    "module's own log, and power it off and on.",
		    LOSSES_MAX);
	if (f->phase != PHASE_ENDED && f->phase != PHASE_FAILED)
		f->phase = PHASE_WAIT;
	run_stage(run, f->phase == PHASE_ENDED ? DFOTA_STAGE_RESTART : DFOTA_STAGE_REBOOT);
	wait_on(f);
	return 0;
}

static int not_back(struct follow *f)
{
	struct run *run = f->run;
	uint32_t seconds = (run->u.first_urc_timeout_ms + 999) / 1000;

	if (run->result->code > 0)
		return run_fail(
		    run, DFOTA_E_TIMEOUT,
		    "The upgrade failed with code %d (%s), and the module did not come back "
		    "within %u s. Power it off and on; an upgrade that was begun goes on.",
		    run->result->code,
		    dfota_code_text(run->result->code) ? dfota_code_text(run->result->code)
						       : "unknown",
		    seconds);
	return run_fail(
	    run, DFOTA_E_TIMEOUT,
	    "The module did not %s within %u s. If it is alive it goes on by itself; "
	    "otherwise power it off and on, and an upgrade that was begun goes on. Look "
	    "again with: dfota at --port %s ATI",
	    run->port ? "answer" : "come back", seconds, run->u.port);
}

/* Opens the port when it is back, lets the module know that a host is there, and looks which
 * version runs: END may have been lost.
 */
static int reconnect(struct follow *f)
{
	struct run *run = f->run;
	uint32_t wait_ms = run->u.first_urc_timeout_ms;
	char version[DFOTA_HOST_VERSION_MAX + 1];
	int error;

	error = run_open(run, wait_ms);
	if (error == DFOTA_E_STOPPED)
		return run_fail_port(run, error, "waiting for the module");
	if (error)
		return not_back(f);
	if (!f->reopened)
		f->life_ms = host_clock_ms();
	error = port_greet(run->port,
			   run->u.answer_timeout_ms < wait_ms ? run->u.answer_timeout_ms : wait_ms,
			   true);
	if (error == DFOTA_E_TIMEOUT && f->reopened && !port_keeps_fota(run->port))
		return not_back(f);
	if (!error && f->phase != PHASE_ENDED && !port_keeps_fota(run->port)) {
		error = run_version(run, version);
		if (!error) {
			memcpy(run->result->to, version, sizeof(version));
			f->reached = run_reached(run);
		}
	}
	if (error == DFOTA_E_IO)
		return lose_port(f);
	if (error == DFOTA_E_STOPPED)
		return run_fail_port(run, error, "waiting for the module");
	wait_on(f); /* a module that upgrades need not answer */
	return 0;
}

/* ---- looking ------------------------------------------------------------------------------ */

/* Asks for the version that runs. *ret_alive tells whether anything answered. */
static int look(struct follow *f, bool *ret_alive)
{
	struct run *run = f->run;
	char version[DFOTA_HOST_VERSION_MAX + 1];
	int error = port_greet(run->port, run->u.command_timeout_ms, true);

	*ret_alive = false;
	if (!error)
		error = run_version(run, version);
	if (!error || error == DFOTA_E_NOT_FOUND)
		*ret_alive = true;
	if (!error)
		memcpy(run->result->to, version, sizeof(version));
	else if (error == DFOTA_E_IO)
		return lose_port(f);
	else if (error == DFOTA_E_STOPPED)
		return run_fail_port(run, error, "looking after the module");
	if (*ret_alive) {
		f->reopened = false;
		f->life_ms = host_clock_ms();
	}
	return 0;
}

static int wrong_version(struct follow *f)
{
	struct run *run = f->run;
	const char *expected = run->u.expect_version;

	if (!run->result->to[0])
		return run_fail(
		    run, DFOTA_E_VERSION,
		    "The module reported success but tells no version, so it is not known "
		    "whether it runs %s. Look with: dfota at --port %s ATI",
		    expected ? expected : "the new firmware", run->u.port);
	return run_fail(run, DFOTA_E_VERSION,
			"The module reported success but runs %s%s%s. Is it the right package for "
			"this module?",
			run->result->to, expected ? " instead of " : ", as before",
			expected ? expected : "");
}

/* The module answers after END,0: the version decides, once it has restarted. */
static int check_end(struct follow *f)
{
	struct run *run = f->run;
	uint64_t patient_ms = f->end_ms + run->u.first_urc_timeout_ms;

	if (run_reached(run) ||
	    (!run->u.expect_version && !run->result->from[0] && !run_unfinished(run)))
		return succeed(f);
	f->mismatches++;
	if (f->restarted ? f->mismatches < MISMATCHES_MAX : host_clock_ms() < patient_ms) {
		set_deadline(f, LOOK_AGAIN_MS);
		return 0;
	}
	return wrong_version(f);
}

static int no_news(struct follow *f)
{
	struct run *run = f->run;

	return run_fail(run, DFOTA_E_VERSION,
			"The module answers and runs %s, but sent no news of the upgrade for %u s: "
			"unknown error (502). Run the same command again; if an upgrade is still "
			"under way the module refuses it and goes on.",
			run->result->to[0] ? run->result->to : "an unknown version",
			(run->u.first_urc_timeout_ms + 999) / 1000);
}

/* Nothing was heard for the whole time, but the module answers and runs the old version. */
static int quiet_but_alive(struct follow *f)
{
	struct run *run = f->run;
	bool url = run->u.source == DFOTA_UPGRADE_URL;

	switch (f->phase) {
	case PHASE_ASKED:
	case PHASE_DOWNLOAD:
		if (!url && f->phase == PHASE_ASKED)
			return no_news(f);
		if (!host_left_ms(f->download_deadline_ms, 1))
			return run_fail(
			    run, DFOTA_E_TIMEOUT,
			    "The download did not end within %u s. The module may go on by "
			    "itself. Look again with: dfota at --port %s ATI",
			    run->u.download_timeout_ms / 1000, run->u.port);
		run_note(run,
			 f->phase == PHASE_ASKED
			     ? "The download has not begun yet. If this host holds a data call "
			       "on the same APN, disconnect it."
			     : "The download goes on.");
		wait_on(f);
		return 0;
	case PHASE_UPDATE:
		if (++f->silences >= SILENCES_MAX)
			return no_news(f);
		run_note(run, "No news, but the module answers; waiting on.");
		wait_on(f);
		return 0;
	case PHASE_FAILED:
		return run_fail_code(run, run->result->code, true);
	case PHASE_WAIT:
	case PHASE_ENDED: /* does not come here */
		break;
	}
	return no_news(f);
}

/* The deadline passed. */
static int silent(struct follow *f)
{
	struct run *run = f->run;
	bool alive;
	int error;

	if (f->phase == PHASE_ENDED)
		run_stage(run, DFOTA_STAGE_CHECK);
	error = look(f, &alive);
	if (error || !run->port || port_keeps_fota(run->port))
		return error;
	if (alive && f->phase == PHASE_ENDED)
		return check_end(f);
	if (alive && run_reached(run)) {
		if (f->reached)
			return succeed(f);
		f->reached = true;
		wait_on(f);
		return 0;
	}
	f->reached = false;
	if (alive)
		return quiet_but_alive(f);
	f->restarted = true;
	if (host_clock_ms() - f->life_ms < run->u.first_urc_timeout_ms) {
		set_deadline(f, LOOK_AGAIN_MS);
		return 0;
	}
	if (f->reopened)
		return not_back(f);
	f->reopened = true; /* the descriptor may belong to a line that nobody holds any more */
	return lose_port(f);
}

/* ---- URCs --------------------------------------------------------------------------------- */

static void start(struct follow *f)
{
	struct run *run = f->run;

	run->result->attempts++;
	f->phase = PHASE_UPDATE;
	f->restarted = f->reached = false;
	run_stage(run, DFOTA_STAGE_UPDATE);
}

static void end(struct follow *f, int64_t value)
{
	struct run *run = f->run;

	run->result->code = value >= 0 && value <= 9999 ? (int)value : 502;
	f->restarted = f->reached = false;
	f->mismatches = 0;
	f->end_ms = host_clock_ms();
	if (run->result->code == 0) {
		f->phase = PHASE_ENDED;
		run_stage(run, DFOTA_STAGE_RESTART);
		return;
	}
	f->phase = PHASE_FAILED;
	f->failures++;
	if (f->failures < FAILURES_MAX && !run_code_refuses(run->result->code))
		run_note(run,
			 "Attempt %u failed with code %d (%s); the module tries again by itself.",
			 f->failures, run->result->code,
			 dfota_code_text(run->result->code) ? dfota_code_text(run->result->code)
							    : "unknown");
	run_stage(run, DFOTA_STAGE_REBOOT);
}

/* A module may tell at once why the download ended: END,550 after HTTPEND,701. */
static void hear_reason(struct follow *f)
{
	struct run *run = f->run;
	uint64_t deadline_ms = host_clock_ms() + REASON_MS;
	struct dfota_at_event event;

	while (run->port && host_left_ms(deadline_ms, REASON_MS) &&
	       !dfota_port_event(run->port, host_left_ms(deadline_ms, REASON_MS), &event)) {
		if (event.kind == DFOTA_AT_EVENT_FOTA || event.kind == DFOTA_AT_EVENT_URC)
			run_event(run, DFOTA_UPGRADE_URC, 0, 0, event.text);
		if (event.kind != DFOTA_AT_EVENT_FOTA || event.fota != DFOTA_FOTA_END)
			continue;
		if (event.value > 0 && event.value <= 9999)
			run->result->code = (int)event.value;
		return;
	}
}

static int download_end(struct follow *f, int64_t value)
{
	struct run *run = f->run;
	bool alive = false;
	int error;

	if (value == 0) {
		f->phase = PHASE_WAIT;
		run_stage(run, DFOTA_STAGE_REBOOT);
		return 0;
	}
	if (value < 0 || value > 9999)
		return 0; /* says nothing; what follows will */
	run->result->code = (int)value;
	error = look(f, &alive);
	if (error)
		return error;
	hear_reason(f);
	return run_fail_code(run, run->result->code, alive);
}

static int fota(struct follow *f, const struct dfota_at_event *event)
{
	struct run *run = f->run;
	int error = 0;

	run_event(run, DFOTA_UPGRADE_URC, 0, 0, event->text);
	f->losses = f->silences = 0;
	f->reopened = false;
	f->life_ms = host_clock_ms();
	switch (event->fota) {
	case DFOTA_FOTA_FTPSTART:
	case DFOTA_FOTA_HTTPSTART:
		f->phase = PHASE_DOWNLOAD;
		run_stage(run, DFOTA_STAGE_DOWNLOAD);
		break;
	case DFOTA_FOTA_FTPEND:
	case DFOTA_FOTA_HTTPEND:
		error = download_end(f, event->value);
		break;
	case DFOTA_FOTA_START:
		start(f);
		break;
	case DFOTA_FOTA_UPDATING:
		if (f->phase != PHASE_UPDATE) /* START was lost */
			start(f);
		if (event->value >= 0)
			run_event(run, DFOTA_UPGRADE_PROGRESS,
				  dfota_min64((uint64_t)event->value, 100), 100, NULL);
		break;
	case DFOTA_FOTA_END:
		end(f, event->value);
		break;
	case DFOTA_FOTA_OTHER:
		break;
	}
	wait_on(f);
	return error;
}

static int take(struct follow *f, const struct dfota_at_event *event)
{
	if (event->kind == DFOTA_AT_EVENT_FOTA)
		return fota(f, event);
	if (event->kind == DFOTA_AT_EVENT_URC) {
		run_event(f->run, DFOTA_UPGRADE_URC, 0, 0, event->text);
		/* On a real serial line the port stays, and this is the only sign of a reboot. */
		if (strncasecmp(event->text, "RDY", 3) == 0 && !f->restarted) {
			f->restarted = true;
			wait_on(f);
		}
	}
	return 0;
}

int run_follow(struct run *run)
{
	struct follow f = { .run = run, .life_ms = host_clock_ms() };
	struct dfota_at_event event;
	int error = 0;

	f.download_deadline_ms = host_clock_ms() + run->u.download_timeout_ms;
	wait_on(&f);
	while (!error && !f.done) {
		if (!run->port) {
			error = reconnect(&f);
			continue;
		}
		error =
		    dfota_port_event(run->port, host_left_ms(f.deadline_ms, UINT32_MAX), &event);
		if (!error)
			error = take(&f, &event);
		else if (error == DFOTA_E_TIMEOUT)
			error = silent(&f);
		else if (error == DFOTA_E_IO)
			error = lose_port(&f);
		else
			error = run_fail_port(run, error, "following the upgrade");
	}
	return error;
}
